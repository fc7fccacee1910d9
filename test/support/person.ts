/** A person at the API who confirms whatever awaits, and who does not give up when something is away for a while. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, type Client, type ReleaseOrder, type Reply } from "./client.ts";

/** Milliseconds between two looks at an order. */
const LOOK = 120;
const ENDED = new Set(["SUCCEEDED", "CANCELLED", "ROLLED_BACK", "SUPERSEDED", "TERMINATED", "ABANDONED"]);

export type PersonOptions = {
  /** Told of every confirmation that is about to be sent for the first time. */
  onConfirm?: (task: string) => void;
  /** Looks at every state of the order; true: do not confirm yet. */
  waits?: (order: ReleaseOrder) => boolean;
  /** Bounds the whole, ms. */
  within?: number;
};

/**
 * Confirms until the order has ended, and answers with it. Each confirmation has one Idempotency-Key, however often it
 * has to be repeated.
 * @throws Error when the order fails, or a confirmation is refused, or it all lasts too long
 */
export async function confirmAll(client: Client, order: string, options: PersonOptions = {}): Promise<ReleaseOrder> {
  const { onConfirm, waits = () => false, within = 120_000 } = options;
  const until = Date.now() + within;
  const confirmed = new Set<string>();
  for (;;) {
    const now = await patiently(() => client.call<ReleaseOrder>("GET", `/api/v1/release-orders/${order}`), until);
    if (now.status !== 200) throw new Error(`the order cannot be read: ${JSON.stringify(now.body)}`);
    const read = now.body;
    if (ENDED.has(read.state)) return read;
    if (read.state === "FAILED") throw new Error(`the order cannot go on: ${describe(read)}`);
    if (Date.now() > until) throw new Error(`the order has not ended within ${within} ms: ${describe(read)}`);
    const awaiting = waits(read)
      ? []
      : read.tasks.filter(({ id, allowedActions }) => allowedActions.includes("confirm") && !confirmed.has(id));
    for (const { id } of awaiting) {
      onConfirm?.(id);
      const key = `confirm ${id}`;
      const { status, body } = await patiently(() => client.tryAct(order, "confirm", { task: id, key }), until);
      if (status !== 200) throw new Error(`confirming ${id} was refused (${status}): ${JSON.stringify(body)}`);
      confirmed.add(id);
    }
    if (awaiting.length === 0) await sleep(LOOK);
  }
}

/** Asks again, with the same words, while nobody answers or the answer is that something is away. */
export async function patiently<T>(ask: () => Promise<Reply<T>>, until: number): Promise<Reply<T>> {
  for (;;) {
    const reply = await ask().catch((error: unknown) => {
      if (Date.now() > until) throw error;
      return undefined;
    });
    if (reply !== undefined && (reply.status < 500 || Date.now() > until)) return reply;
    await sleep(LOOK);
  }
}
