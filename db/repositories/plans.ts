/** Plans of orders: only those that may still be asked for are kept. */
import { and, eq, inArray, lt } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { orders, snapshots, taskPods, tasks } from "../schema/index.ts";

/**
 * Removes what is stored of an order's plans, and of what was seen for them, below generation `keepFrom`: the one in
 * force, or an older one. Runs in the caller's transaction, and keeps other writers of the order's plans out until its
 * end: of two attempts at the same plan, the second finds what the first has left.
 */
export async function forgetOldPlans(tx: Tx, orderId: string, keepFrom: number): Promise<void> {
  await tx.select({ id: orders.id }).from(orders).where(eq(orders.id, orderId)).for("update");
  const old = and(eq(tasks.orderId, orderId), lt(tasks.generation, keepFrom));
  await tx
    .delete(taskPods)
    .where(
      and(eq(taskPods.orderId, orderId), inArray(taskPods.taskId, tx.select({ id: tasks.id }).from(tasks).where(old))),
    );
  await tx.delete(tasks).where(old);
  await tx.delete(snapshots).where(and(eq(snapshots.orderId, orderId), lt(snapshots.generation, keepFrom)));
}
