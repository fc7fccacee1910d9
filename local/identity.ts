import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";

const algorithm = "ES256";

/** Who issues the local stack's tokens, and for whom. */
export const issuer = "https://local.cellwright.invalid";
export const audience = "cellwright";

/** A public key. One that has been replaced is believed until `exp`, in seconds since 1970. */
type PublicKey = JWK & { kid: string; exp?: number };

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
  const present = await publicKeyOf(key);
  const { kid } = present;
  const jwksFile = join(directory, "jwks.json");
  const now = Date.now() / 1000;
  const replaced = readPublicKeys(jwksFile).filter((one) => one.kid !== kid && (one.exp ?? 0) > now);
  writePublicKeys(jwksFile, [present, ...replaced]);

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

/**
 * Exchanges the signing key. Tokens of the old one are believed for `grace` more seconds, so that whoever has one can get
 * another; the product sees the exchange within a second or two, without being started again.
 * @returns when the old tokens end
 */
export async function rotateIdentity(directory: string, grace: number): Promise<Date> {
  await ensureIdentity(directory);
  const keyFile = join(directory, "signing-key.json");
  const jwksFile = join(directory, "jwks.json");
  const former = await publicKeyOf(JSON.parse(readFileSync(keyFile, "utf8")) as JWK);
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const next = await exportJWK(privateKey);
  const exp = Math.ceil(Date.now() / 1000 + grace);
  const others = readPublicKeys(jwksFile).filter((one) => one.kid !== former.kid);
  // Published before anything is signed with it. Should this end in between, the next start takes it back.
  writePublicKeys(jwksFile, [await publicKeyOf(next), { ...former, exp }, ...others]);
  const draft = `${keyFile}.next`;
  writeSecret(draft, JSON.stringify(next));
  renameSync(draft, keyFile);
  return new Date(exp * 1000);
}

/** Writes tokens of an administrator and of a viewer to where people look for them; answers the administrator's. */
export async function writeTokens(directory: string, identity: LocalIdentity): Promise<string> {
  const token = await identity.issueToken("local-admin", ["admin"]);
  writeSecret(join(directory, "token"), token);
  writeSecret(join(directory, "viewer-token"), await identity.issueToken("local-viewer", ["viewer"]));
  return token;
}

async function publicKeyOf(key: JWK): Promise<PublicKey> {
  const { d: _secret, ...publicKey } = key;
  return { ...publicKey, kid: await calculateJwkThumbprint(publicKey), alg: algorithm, use: "sig" };
}

function readPublicKeys(file: string): PublicKey[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { keys: PublicKey[] }).keys : [];
}

/** Whole or not at all: a running product reads the file whenever it changes. */
function writePublicKeys(file: string, keys: readonly PublicKey[]): void {
  const draft = `${file}.next`;
  writeFileSync(draft, JSON.stringify({ keys }));
  renameSync(draft, file);
}

/** Writes a file that only its owner can read. */
export function writeSecret(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 });
}
