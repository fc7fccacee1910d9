import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet } from "jose";

const ROLES = ["admin", "viewer"] as const;
export type Role = (typeof ROLES)[number];

/** Who makes a request. */
export interface Identity {
  readonly subject: string;
  readonly roles: readonly Role[];
  /** When the token ends; streams must not outlive it. */
  readonly expiresAt: Date;
}

type TokenCheck =
  | { readonly kind: "accepted"; readonly identity: Identity }
  /** `why` is shown to the caller. */
  | { readonly kind: "rejected"; readonly why: string };

export type VerifyToken = (token: string) => Promise<TokenCheck>;

/** Asymmetric algorithms only: with a symmetric one the key set could be used to make tokens. */
const ALGORITHMS = ["ES256", "ES384", "EdDSA", "RS256", "PS256"];

export interface TokenRules {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: JSONWebKeySet;
}

/** Makes the check of bearer tokens: JSON Web Tokens with the claims `sub`, `exp` and `roles`. */
export function createTokenVerifier({ issuer, audience, jwks }: TokenRules): VerifyToken {
  const keys = createLocalJWKSet(jwks);
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "exp"],
        clockTolerance: 5,
      });
      const { sub = "", exp = 0, roles } = payload;
      // The subject is written into records: bounded, and nothing that cannot be stored or read.
      if (!/^[!-~]{1,255}$/.test(sub)) {
        return { kind: "rejected", why: "its subject must be 1 to 255 printable ASCII characters" };
      }
      const granted: readonly unknown[] = Array.isArray(roles) ? roles : [];
      return {
        kind: "accepted",
        identity: {
          subject: sub,
          roles: ROLES.filter((role) => granted.includes(role)),
          expiresAt: new Date(exp * 1000),
        },
      };
    } catch (error) {
      if (error instanceof errors.JWTExpired) return { kind: "rejected", why: "it has expired" };
      if (error instanceof errors.JWTClaimValidationFailed) {
        return { kind: "rejected", why: `its claim "${error.claim}" is missing or not the expected one` };
      }
      if (error instanceof errors.JOSEError) {
        return { kind: "rejected", why: "it is malformed, or not signed by a known key" };
      }
      throw error;
    }
  };
}
