/** The right of an order to change the workloads of a service. */
import { and, eq } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { locks, orders } from "../schema/index.ts";

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
