/** The issuers that the settings name, as the check of their tokens. */
import type { VerifyToken } from "../identity.ts";
import { fileKeys, remoteKeys, type RemoteKeyOptions } from "./keys.ts";
import { createTokenVerifier, type Administrators, type Issuer } from "./tokens.ts";

export interface IssuerSettings {
  /** An issuer that is part of this installation; its keys are in a file. */
  readonly local?: { readonly issuer: string; readonly audience: string; readonly jwksFile: string } | undefined;
  /** An OpenID Connect issuer of somebody else's. */
  readonly oidc?:
    | {
        readonly issuer: string;
        readonly audience: string;
        readonly jwksUrl?: string | undefined;
        readonly groupsClaim: string;
        readonly prefix: string;
      }
    | undefined;
  readonly administrators: Administrators;
}

/** @throws Error when the file with keys cannot be read. An OpenID Connect issuer is only asked when a token needs it. */
export function tokenVerifier(
  { local, oidc, administrators }: IssuerSettings,
  options: Omit<RemoteKeyOptions, "jwksUrl"> = {},
): VerifyToken {
  const issuers: Issuer[] = [];
  if (local !== undefined) {
    const { issuer, audience, jwksFile } = local;
    issuers.push({ issuer, audience, keys: fileKeys(jwksFile), prefix: "", groupsClaim: "groups", givesRoles: true });
  }
  if (oidc !== undefined) {
    const { jwksUrl, ...rest } = oidc;
    // Its claim "roles" is about its own world: what it says there must not make anybody an administrator here.
    issuers.push({ ...rest, keys: remoteKeys(oidc.issuer, { ...options, jwksUrl }), givesRoles: false });
  }
  return createTokenVerifier(issuers, administrators);
}
