import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from "node:crypto";

/** A key for AES-256-GCM. `id` is derived from the key, says nothing about it, and stands before what it sealed. */
export interface EncryptionKey {
  readonly id: string;
  readonly key: KeyObject;
}

const FORMAT = 1;
const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES;

/** Reads a key from base64. @throws Error when it does not hold exactly 32 bytes. */
export function readEncryptionKey(base64: string): EncryptionKey {
  const raw = Buffer.from(base64, "base64");
  if (raw.length !== 32 || raw.toString("base64") !== base64.trim()) {
    throw new Error("The encryption key must be 32 bytes in base64, for example from: openssl rand -base64 32");
  }
  return { id: keyId(raw), key: createSecretKey(raw) };
}

function keyId(raw: Buffer): string {
  return createHash("sha256")
    .update("cellwright key id")
    .update(raw)
    .digest()
    .subarray(0, KEY_ID_BYTES)
    .toString("hex");
}

/**
 * Encrypts a text. `context` says what the text belongs to; the same has to be given to open it, so a sealed text that
 * was moved to another row does not open there.
 */
export function seal(key: EncryptionKey, context: string, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.key, nonce).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([Buffer.from([FORMAT]), Buffer.from(key.id, "hex"), nonce, cipher.getAuthTag(), body]);
}

/** Opens what `seal` made. @throws Error when it was sealed by another key or for another context, or was changed. */
export function open(key: EncryptionKey, context: string, sealed: Buffer): string {
  if (sealed.length < HEADER_BYTES || sealed[0] !== FORMAT)
    throw new Error("This is not a sealed text of a known format");
  const id = sealed.subarray(1, 1 + KEY_ID_BYTES).toString("hex");
  if (id !== key.id) throw new Error(`Sealed by key ${id}, but the configured key is ${key.id}: configure the former`);
  const nonce = sealed.subarray(1 + KEY_ID_BYTES, HEADER_BYTES - TAG_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key.key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(HEADER_BYTES - TAG_BYTES, HEADER_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(HEADER_BYTES)), decipher.final()]).toString("utf8");
}
