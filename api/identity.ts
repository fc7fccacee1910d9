import { EVERYWHERE_ROLES, type Role } from "../domain/access/roles.ts";

/** Who makes a request. */
export interface Identity {
  readonly subject: string;
  /** Values of the token's claim of groups. */
  readonly groups: readonly string[];
  /** Roles in every workspace group, and for what belongs to none. */
  readonly roles: readonly Role[];
  /** When the token ends; streams must not outlive it. */
  readonly expiresAt: Date;
}

export type TokenCheck =
  | { readonly kind: "accepted"; readonly identity: Identity }
  /** `why` is shown to the caller. */
  | { readonly kind: "rejected"; readonly why: string }
  /** The issuer's keys cannot be had, so nobody knows whether the token is good. `why` is shown to the caller. */
  | { readonly kind: "unavailable"; readonly why: string };

export type VerifyToken = (token: string) => Promise<TokenCheck>;

/** The roles of a claim that may be given everywhere; whatever else it holds means nothing. */
export function rolesEverywhere(claim: unknown): Role[] {
  const named: readonly unknown[] = Array.isArray(claim) ? claim : [];
  return EVERYWHERE_ROLES.filter((role) => named.includes(role));
}
