import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new order's id: 9 characters of time, 9 of chance; sorts by time, is read aloud without mistakes (no i, l, o, u). */
export function newOrderId(now: number = Date.now()): string {
  let time = "";
  for (let rest = now, place = 0; place < 9; place += 1, rest = Math.floor(rest / 32))
    time = ALPHABET[rest % 32] + time;
  return time + Array.from(randomBytes(9), (byte) => ALPHABET[byte % 32]).join("");
}
