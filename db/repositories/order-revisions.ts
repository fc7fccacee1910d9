/** Which revisions orders name. A revision that an order names stays, also after the order's end: it may run, and be gone back to. */
import { and, asc, eq } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { orderRevisions, orders } from "../schema/index.ts";

export async function nameRevisions(
  tx: Tx,
  orderId: string,
  workspaceGroup: string,
  named: readonly { service: string; revision: number }[],
): Promise<void> {
  await tx
    .insert(orderRevisions)
    .values(named.map(({ service, revision }) => ({ orderId, workspaceGroup, service, number: revision })));
}

/** Orders that name a revision, oldest first, as people speak of them. */
export async function ordersNaming(
  tx: Tx,
  workspaceGroup: string,
  service: string,
  number: number,
  limit: number,
): Promise<string[]> {
  const rows = await tx
    .select({ id: orders.id, kind: orders.kind })
    .from(orderRevisions)
    .innerJoin(orders, eq(orders.id, orderRevisions.orderId))
    .where(
      and(
        eq(orderRevisions.workspaceGroup, workspaceGroup),
        eq(orderRevisions.service, service),
        eq(orderRevisions.number, number),
      ),
    )
    .orderBy(asc(orders.createdAt))
    .limit(limit);
  return rows.map((row) => `${row.kind} order ${row.id}`);
}
