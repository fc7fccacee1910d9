/** Which revisions orders name. A revision that an order names stays, also after the order's end: it may run, and be gone back to. */
import { and, asc, desc, eq, gte, inArray, max, ne } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { orderRevisions, orders, pipelines } from "../schema/index.ts";
import type { Order } from "./orders.ts";

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

/** How many of a service's revisions are looked for in cells that they may have left workloads in. */
const MOST_RECENT = 50;

/**
 * Numbers of the revisions that orders name for a service which have done anything at or after `since`; those of the
 * orders that did something last come first. When an order was made says nothing: it may have waited while others came
 * to their end.
 */
export async function recentRevisions(
  tx: Tx,
  workspaceGroup: string,
  service: string,
  since: Date | undefined,
): Promise<number[]> {
  const rows = await tx
    .select({ number: orderRevisions.number, at: max(orders.updatedAt) })
    .from(orderRevisions)
    .innerJoin(orders, eq(orders.id, orderRevisions.orderId))
    .where(
      and(
        eq(orderRevisions.workspaceGroup, workspaceGroup),
        eq(orderRevisions.service, service),
        since && gte(orders.updatedAt, since),
      ),
    )
    .groupBy(orderRevisions.number)
    .orderBy(desc(max(orders.updatedAt)))
    .limit(MOST_RECENT);
  return rows.map((row) => row.number);
}

/** A revision that was released successfully; `since`: when that was, after which others may have changed something. */
export type Success = { revision: number; since: Date };

/** Service → the last revision that another order than this one released successfully, and did not roll back. */
export async function lastSuccesses(
  tx: Tx,
  order: Pick<Order, "id" | "kind" | "workspaceGroup">,
  services: string[],
): Promise<Map<string, Success>> {
  if (services.length === 0) return new Map();
  const rows = await tx
    .selectDistinctOn([pipelines.subject], {
      service: orderRevisions.service,
      revision: orderRevisions.number,
      since: pipelines.updatedAt,
    })
    .from(pipelines)
    .innerJoin(orders, eq(orders.id, pipelines.orderId))
    .innerJoin(
      orderRevisions,
      and(eq(orderRevisions.orderId, pipelines.orderId), eq(orderRevisions.service, pipelines.subject)),
    )
    .where(
      and(
        inArray(pipelines.subject, services),
        eq(pipelines.state, "SUCCEEDED"),
        eq(orders.kind, order.kind),
        eq(orders.workspaceGroup, order.workspaceGroup),
        ne(orders.id, order.id),
      ),
    )
    .orderBy(asc(pipelines.subject), desc(pipelines.updatedAt));
  return new Map(rows.map(({ service, ...success }) => [service, success]));
}
