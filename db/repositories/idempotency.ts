import { and, eq, sql } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { idempotencyKeys } from "../schema/access.ts";

/** One keyed call. */
export interface KeyedCall {
  readonly subject: string;
  /** Method and path. */
  readonly route: string;
  readonly key: string;
  readonly bodyHash: string;
}

export interface StoredAnswer {
  readonly status: number;
  readonly body: unknown;
}

export type KeyClaim =
  | { readonly kind: "first" }
  | { readonly kind: "repeated"; readonly answer: StoredAnswer }
  /** Claimed before, by a call whose answer has not been stored: it is being answered, or nobody knows how it ended. */
  | { readonly kind: "unanswered" }
  /** The key has been used for another body. */
  | { readonly kind: "misused" };

/**
 * Claims a key for the running transaction. A concurrent call of the same key waits here until this transaction has
 * ended, and then finds its answer, or, if it was rolled back, becomes the first one.
 */
export async function claimKey(tx: Tx, call: KeyedCall): Promise<KeyClaim> {
  const claimed = await tx
    .insert(idempotencyKeys)
    .values(call)
    .onConflictDoNothing()
    .returning({ key: idempotencyKeys.key });
  if (claimed.length > 0) return { kind: "first" };
  const [stored] = await tx.select().from(idempotencyKeys).where(at(call));
  if (stored === undefined) throw new Error("A claimed idempotency key is not there");
  if (stored.bodyHash !== call.bodyHash) return { kind: "misused" };
  if (stored.status === null) return { kind: "unanswered" };
  return { kind: "repeated", answer: { status: stored.status, body: stored.body } };
}

/** Stores the answer of a claimed key. Work that is done in the transaction of the claim is answered there too. */
export async function storeAnswer(tx: Tx, call: KeyedCall, answer: StoredAnswer): Promise<void> {
  await tx.update(idempotencyKeys).set({ status: answer.status, body: answer.body }).where(at(call));
}

/**
 * Forgets the oldest keys from before a time, at most `limit` of them: a call that is repeated after that is a new one.
 * @returns how many are gone; fewer than the limit when none is left
 */
export async function pruneKeys(tx: Tx, before: Date, limit: number): Promise<number> {
  const { rowCount } = await tx.execute(sql`
    delete from ${idempotencyKeys} where ctid = any(array(
      select ctid from ${idempotencyKeys} where ${idempotencyKeys.createdAt} < ${before.toISOString()}::timestamptz
      order by ${idempotencyKeys.createdAt} limit ${limit}))`);
  return rowCount ?? 0;
}

function at(call: KeyedCall) {
  return and(
    eq(idempotencyKeys.subject, call.subject),
    eq(idempotencyKeys.route, call.route),
    eq(idempotencyKeys.key, call.key),
  );
}
