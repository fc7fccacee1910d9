/** The right of an order to change the workloads of a service. */
import { and, eq, exists, inArray, isNotNull, not, notInArray, or, sql } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { locks, orders, pipelines, tasks } from "../schema/index.ts";

/**
 * Why this order must not change the workloads of the service, for a person; undefined if it may: it has not ended and
 * holds the service's lock. One statement, so one moment.
 */
export async function mayChange(tx: Tx, orderId: string, service: string): Promise<string | undefined> {
  const [row] = await tx
    .select({ endedAt: orders.endedAt, state: orders.state, holder: locks.orderId })
    .from(orders)
    .leftJoin(locks, and(eq(locks.workspaceGroup, orders.workspaceGroup), eq(locks.service, service)))
    .where(eq(orders.id, orderId));
  if (row === undefined) return "there is no such order";
  if (row.endedAt !== null) return `the order has ended (${row.state})`;
  if (row.holder === null) return `the order does not hold the lock of ${service}`;
  if (row.holder !== orderId) return `the lock of ${service} is held by order ${row.holder}`;
  return undefined;
}

/** What can be done with an order that has ended and still holds locks. */
export const RELEASE_LOCKS = "release-locks";

/**
 * An order takes the place of a superseded (or abandoned) one: its locks of `services` become this order's. What the former
 * one held besides it has not changed, and is freed, or goes back to the one before it. Runs in the caller's transaction;
 * doing it again changes nothing.
 */
export async function takeOverLocks(
  tx: Tx,
  { from, to, services }: { from: string; to: string; services: string[] },
): Promise<void> {
  await giveBackLocks(tx, from, services);
  await tx.delete(locks).where(and(eq(locks.orderId, from), notInArray(locks.service, services)));
  await tx
    .update(locks)
    .set({ orderId: to, takenFrom: from, takenAt: sql`now()` })
    .where(and(eq(locks.orderId, from), inArray(locks.service, services)));
  await tx.update(orders).set({ allowedActions: [] }).where(eq(orders.id, from));
}

/**
 * Of what an order took over, the locks of services that it has neither changed nor released go back to the former order:
 * what that one left there is not set right. `keeps`: services whose locks stay.
 */
export async function giveBackLocks(tx: Tx, orderId: string, keeps: string[] = []): Promise<void> {
  const changed = tx
    .select({ one: sql`1` })
    .from(pipelines)
    .where(
      and(
        eq(pipelines.orderId, orderId),
        eq(pipelines.subject, locks.service),
        or(pipelines.committed, isNotNull(pipelines.generation)),
      ),
    );
  // By the order's own records: those of an app may come later than the order's end.
  const released = tx
    .select({ one: sql`1` })
    .from(tasks)
    .where(
      and(
        eq(tasks.orderId, orderId),
        eq(tasks.kind, "pipeline"),
        eq(tasks.subject, locks.service),
        eq(tasks.state, "SUCCEEDED"),
      ),
    );
  const given = await tx
    .update(locks)
    .set({ orderId: sql`${locks.takenFrom}`, takenFrom: null })
    .where(
      and(
        eq(locks.orderId, orderId),
        isNotNull(locks.takenFrom),
        notInArray(locks.service, keeps),
        not(exists(changed)),
        not(exists(released)),
      ),
    )
    .returning({ to: locks.orderId });
  const holders = [...new Set(given.map((lock) => lock.to))];
  if (holders.length === 0) return;
  await tx
    .update(orders)
    .set({ allowedActions: [RELEASE_LOCKS] })
    .where(inArray(orders.id, holders));
}

/** Services whose lock an order holds. */
export async function locksOf(tx: Tx, orderId: string): Promise<string[]> {
  const rows = await tx.select({ service: locks.service }).from(locks).where(eq(locks.orderId, orderId));
  return rows.map((row) => row.service).toSorted();
}
