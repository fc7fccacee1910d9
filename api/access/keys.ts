/** Where the public keys of token issuers come from: a file that may be replaced, or the issuer itself over HTTP. */
import { readFileSync, statSync } from "node:fs";
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors } from "jose";
import type { JSONWebKeySet, JWTVerifyGetKey } from "jose";

/** Keys could not be had; says nothing about the token. The message is shown to the caller. */
export class KeysUnavailableError extends Error {
  override readonly name = "KeysUnavailableError";
}

/** Milliseconds between two looks at a key file. */
const FILE_LOOK = 1_000;

/**
 * Keys of a JWK Set in a file, read again when the file changes. A key with the member `exp` (seconds since 1970) is good
 * until then: so a key that has been replaced ends by itself.
 * @throws Error when the file cannot be read now; a later fault keeps the keys that were read last.
 */
export function fileKeys(file: string): JWTVerifyGetKey {
  let jwks = readKeys(file);
  let version = versionOf(file);
  let lookedAt = Date.now();
  let inUse: { of: string; set: JWTVerifyGetKey } | undefined;
  return (header, token) => {
    const now = Date.now();
    if (Math.abs(now - lookedAt) >= FILE_LOOK) {
      lookedAt = now;
      try {
        const present = versionOf(file);
        if (present !== version) [jwks, version] = [readKeys(file), present];
      } catch {
        // It is being replaced, or was damaged: what was good a moment ago still is, until its `exp`.
      }
    }
    const keys = jwks.keys.filter((key) => !isPast((key as { exp?: unknown }).exp, now));
    // Made anew only when the keys are others: a set remembers the keys that it has imported.
    const of = `${version}/${keys.length}`;
    if (inUse?.of !== of) inUse = { of, set: createLocalJWKSet({ keys }) };
    return inUse.set(header, token);
  };
}

export interface RemoteKeyOptions {
  /** Where the keys are; found by OpenID Connect discovery unless told. */
  readonly jwksUrl?: string | undefined;
  /** Bound of one request. Milliseconds, 5,000 unless told. */
  readonly timeout?: number;
  /** Least time between two fetches because of an unknown key. Milliseconds, 30,000 unless told. */
  readonly cooldown?: number;
  /** How long fetched keys are good: a key that was withdrawn ends after this at the latest. Milliseconds, 300,000 unless told. */
  readonly maxAge?: number;
  /** For how long the issuer is not asked again for what could not be had. Milliseconds, 3,000 unless told. */
  readonly respite?: number;
}

/** Keys of an OpenID Connect issuer, fetched when first needed, and again when they are old or do not hold a token's key. */
export function remoteKeys(issuer: string, options: RemoteKeyOptions = {}): JWTVerifyGetKey {
  const { jwksUrl, timeout = 5_000, cooldown = 30_000, maxAge = 300_000, respite = 3_000 } = options;
  const find = sparing(respite, async (): Promise<JWTVerifyGetKey> => {
    const url = jwksUrl ?? (await discover(issuer, timeout));
    return createRemoteJWKSet(new URL(url), {
      timeoutDuration: timeout,
      cooldownDuration: cooldown,
      cacheMaxAge: maxAge,
      [customFetch]: sparing(respite, async (address, request) => Response.json(await readKeySet(address, request))),
    });
  });
  let finding: Promise<JWTVerifyGetKey> | undefined;
  return async (header, token) => {
    try {
      // Whatever comes at the same time shares one discovery.
      finding ??= find().catch((error: unknown) => {
        finding = undefined;
        throw error;
      });
      return await (
        await finding
      )(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      if (error instanceof errors.JOSENotSupported) throw error;
      throw new KeysUnavailableError(`the keys of the token issuer ${issuer} cannot be read (${reasonOf(error)})`, {
        cause: error,
      });
    }
  };
}

/**
 * Asks, but for some milliseconds after a failure answers with that one: nobody waits for a silent issuer who could know
 * from the one before, and one in trouble is not asked for every request.
 */
function sparing<Question extends unknown[], Answer>(
  milliseconds: number,
  ask: (...question: Question) => Promise<Answer>,
): (...question: Question) => Promise<Answer> {
  let failed: { at: number; error: unknown } | undefined;
  return async (...question) => {
    if (failed !== undefined && performance.now() < failed.at + milliseconds) throw failed.error;
    try {
      return await ask(...question);
    } catch (error) {
      failed = { at: performance.now(), error };
      throw error;
    }
  };
}

/** Reads one JSON document. @throws Error unless the answer is whole, in time, and a success */
async function readJson(url: string, request: RequestInit): Promise<unknown> {
  const response = await fetch(url, request);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return await response.json();
}

async function readKeySet(url: string, request: RequestInit): Promise<JSONWebKeySet> {
  return keySet(await readJson(url, request), url);
}

/** The address of an issuer's keys, from its discovery document. */
async function discover(issuer: string, timeout: number): Promise<string> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const request: RequestInit = { redirect: "error", signal: AbortSignal.timeout(timeout) };
  const document = (await readJson(url, request)) as { issuer?: unknown; jwks_uri?: unknown };
  // Another issuer's document must not lend this one its keys (OpenID Connect Discovery 1.0, 4.3).
  if (document.issuer !== issuer) throw new Error(`${url} describes another issuer`);
  if (typeof document.jwks_uri !== "string") throw new Error(`${url} has no jwks_uri`);
  assertSecure(document.jwks_uri, "jwks_uri");
  return document.jwks_uri;
}

/**
 * Keys that travel unprotected can be exchanged on their way.
 * @throws Error unless the address is https, or http on this machine itself.
 */
export function assertSecure(address: string, what: string): void {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const loopback = url !== undefined && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol !== "https:" && !(loopback && url.protocol === "http:")) {
    throw new Error(`${what} is "${address}": an https URL is needed`);
  }
}

function readKeys(file: string): JSONWebKeySet {
  return keySet(JSON.parse(readFileSync(file, "utf8")), file);
}

/** @throws Error when what is at that place is something else */
function keySet(read: unknown, place: string): JSONWebKeySet {
  const set = read as Partial<JSONWebKeySet> | null;
  if (!Array.isArray(set?.keys)) throw new Error(`${place} is no JWK Set: an object with the member "keys" is needed`);
  return set as JSONWebKeySet;
}

function versionOf(file: string): string {
  const { ino, mtimeMs, size } = statSync(file);
  return `${ino}/${mtimeMs}/${size}`;
}

function isPast(exp: unknown, now: number): boolean {
  return typeof exp === "number" && exp * 1000 <= now;
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWKSTimeout) return "no answer in time";
  if (!(error instanceof Error)) return "unknown";
  if (error.name === "TimeoutError") return "no answer in time";
  const { code } = (error.cause ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : error.message;
}
