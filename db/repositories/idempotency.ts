import { and, eq } from "drizzle-orm";
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
  if (stored === undefined || stored.status === null) throw new Error("A committed idempotency key has no answer");
  if (stored.bodyHash !== call.bodyHash) return { kind: "misused" };
  return { kind: "repeated", answer: { status: stored.status, body: stored.body } };
}

/** Stores the answer of a claimed key; has to happen in the transaction that claimed it. */
export async function storeAnswer(tx: Tx, call: KeyedCall, answer: StoredAnswer): Promise<void> {
  await tx.update(idempotencyKeys).set({ status: answer.status, body: answer.body }).where(at(call));
}

function at(call: KeyedCall) {
  return and(
    eq(idempotencyKeys.subject, call.subject),
    eq(idempotencyKeys.route, call.route),
    eq(idempotencyKeys.key, call.key),
  );
}
