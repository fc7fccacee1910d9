/** The check of bearer tokens: JSON Web Tokens of one or several issuers. */
import { decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import { rolesEverywhere, type TokenCheck, type VerifyToken } from "../identity.ts";
import { KeysUnavailableError } from "./keys.ts";

/** Asymmetric algorithms only: with a symmetric one the key set could be used to make tokens. */
const ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/** Seconds by which clocks may differ. */
const CLOCK_TOLERANCE = 5;

/** An issuer whose tokens are believed, and how much. */
export interface Issuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;
  readonly audience: string;
  readonly keys: JWTVerifyGetKey;
  /** Put before subjects and groups, so that those of one issuer are never taken for those of another. */
  readonly prefix: string;
  /** Name of the claim that holds a person's groups. */
  readonly groupsClaim: string;
  /** Whether the claim `roles` gives roles everywhere: only for an issuer that is part of this installation. */
  readonly givesRoles: boolean;
}

/** Who is an administrator everywhere, whatever their token says: as they are named after prefixing. */
export interface Administrators {
  readonly subjects: readonly string[];
  readonly groups: readonly string[];
}

/** Makes the check. A token is held against the one issuer that it names. */
export function createTokenVerifier(
  issuers: readonly Issuer[],
  administrators: Administrators = { subjects: [], groups: [] },
): VerifyToken {
  return async (token) => {
    try {
      const named = decodeJwt(token).iss;
      const issuer = issuers.find((one) => one.issuer === named);
      if (issuer === undefined) return rejected('its claim "iss" names no issuer that is trusted here');
      const { payload } = await jwtVerify(token, issuer.keys, {
        issuer: issuer.issuer,
        audience: issuer.audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "exp"],
        clockTolerance: CLOCK_TOLERANCE,
      });
      return identityIn(payload, issuer, administrators);
    } catch (error) {
      if (error instanceof KeysUnavailableError) return { kind: "unavailable", why: error.message };
      if (error instanceof errors.JWTExpired) return rejected("it has expired");
      if (error instanceof errors.JWTClaimValidationFailed) {
        return rejected(`its claim "${error.claim}" is missing or not the expected one`);
      }
      if (error instanceof errors.JOSEError) return rejected("it is malformed, or not signed by a known key");
      throw error;
    }
  };
}

function identityIn(payload: JWTPayload, issuer: Issuer, administrators: Administrators): TokenCheck {
  const { sub = "", exp = 0 } = payload;
  const subject = issuer.prefix + sub;
  // The subject is written into records: bounded, and nothing that cannot be stored or read.
  if (sub === "" || !isPrincipal(subject)) {
    return rejected("its subject must be 1 to 255 printable ASCII characters, without spaces");
  }
  const groups = groupsIn(payload[issuer.groupsClaim])
    .map((name) => issuer.prefix + name)
    .filter(isPrincipal);
  const isAdministrator =
    administrators.subjects.includes(subject) || groups.some((name) => administrators.groups.includes(name));
  const given = issuer.givesRoles ? rolesEverywhere(payload["roles"]) : [];
  return {
    kind: "accepted",
    identity: {
      subject,
      groups,
      roles: isAdministrator && !given.includes("admin") ? [...given, "admin"] : given,
      expiresAt: new Date(exp * 1000),
    },
  };
}

/** Issuers give one group as a text, several as a list. */
function groupsIn(claim: unknown): string[] {
  const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return values.filter((value) => typeof value === "string" && value !== "") as string[];
}

function isPrincipal(text: string): boolean {
  return /^[!-~]{1,255}$/.test(text);
}

function rejected(why: string): TokenCheck {
  return { kind: "rejected", why };
}
