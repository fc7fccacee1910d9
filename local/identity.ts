import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";

const algorithm = "ES256";

/** Who issues the local stack's tokens, and for whom. */
export const issuer = "https://local.cellwright.invalid";
export const audience = "cellwright";

/** The local stack's own token issuer and secrets, made once and kept in a directory that only its owner can read. */
export interface LocalIdentity {
  /** Path of the public keys, as a JWK Set. */
  jwksFile: string;
  /** 32 bytes, base64; encrypts what the product stores encrypted. */
  encryptionKey: string;
  /** A bearer token for 30 days. */
  issueToken(subject: string, roles: readonly string[]): Promise<string>;
}

export async function ensureIdentity(directory: string): Promise<LocalIdentity> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const keyFile = join(directory, "signing-key.json");
  if (!existsSync(keyFile)) {
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
    writeSecret(keyFile, JSON.stringify(await exportJWK(privateKey)));
  }
  const key = JSON.parse(readFileSync(keyFile, "utf8")) as JWK;
  const { d: _secret, ...publicKey } = key;
  const kid = await calculateJwkThumbprint(publicKey);
  const jwksFile = join(directory, "jwks.json");
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ ...publicKey, kid, alg: algorithm, use: "sig" }] }));

  const encryptionFile = join(directory, "encryption.key");
  if (!existsSync(encryptionFile)) writeSecret(encryptionFile, randomBytes(32).toString("base64"));

  const signer = await importJWK(key, algorithm);
  return {
    jwksFile,
    encryptionKey: readFileSync(encryptionFile, "utf8"),
    issueToken: (subject, roles) =>
      new SignJWT({ roles })
        .setProtectedHeader({ alg: algorithm, kid })
        .setSubject(subject)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime("30d")
        .sign(signer),
  };
}

/** Writes a file that only its owner can read. */
export function writeSecret(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}
