/** What became of revisions, from the records of orders. */
import { and, asc, desc, eq, inArray, isNull, or, sql } from "drizzle-orm";
import { isEnded } from "../../domain/pipeline/states.ts";
import { liveOf, type Live } from "../../domain/revision/live.ts";
import type { Release } from "../../domain/revision/types.ts";
import type { Tx } from "../client.ts";
import { locks, orderEvents, orderRevisions, orders, pipelines } from "../schema/index.ts";

/** How many of the orders that released a revision are told. */
const NAMED_RELEASES = 10;

/** Successful releases of these revisions of one service, newest first; those of an order rolled back since as well. */
export async function releasesOf(
  tx: Tx,
  group: string,
  service: string,
  numbers: readonly number[],
): Promise<Map<number, Release[]>> {
  if (numbers.length === 0) return new Map();
  const successes = tx
    .selectDistinctOn([orderRevisions.orderId], {
      number: orderRevisions.number,
      order: orders.id,
      title: orders.title,
      at: sql<number>`(${orderEvents.event}->>'at')::double precision`.as("at"),
    })
    .from(orderRevisions)
    .innerJoin(orders, eq(orders.id, orderRevisions.orderId))
    .innerJoin(pipelines, ofService())
    .innerJoin(orderEvents, eq(orderEvents.stream, pipelines.workflowId))
    .where(
      and(
        eq(orderRevisions.workspaceGroup, group),
        eq(orderRevisions.service, service),
        inArray(orderRevisions.number, [...numbers]),
        // In the words of the index that holds nothing else.
        sql`${orderEvents.event}->>'type' = 'pipelineChanged' and ${orderEvents.event}->>'state' = 'SUCCEEDED'`,
      ),
    )
    .orderBy(orderRevisions.orderId, asc(orderEvents.sequence))
    .as("successes");
  const ranked = tx
    .select({
      number: successes.number,
      order: successes.order,
      title: successes.title,
      at: successes.at,
      place: sql<number>`row_number() over (partition by ${successes.number} order by ${successes.at} desc)`.as(
        "place",
      ),
    })
    .from(successes)
    .as("ranked");
  const rows = await tx
    .select()
    .from(ranked)
    .where(sql`${ranked.place} <= ${NAMED_RELEASES}`)
    .orderBy(desc(ranked.at), desc(ranked.order));
  const byNumber = new Map<number, Release[]>();
  for (const { number, order, title, at } of rows) {
    const release = { order, title, at: new Date(at).toISOString() };
    byNumber.set(number, [...(byNumber.get(number) ?? []), release]);
  }
  return byNumber;
}

/** What runs of a service now, by the records. */
export async function readLive(tx: Tx, group: string, service: string): Promise<Live> {
  const [row] = await tx
    .select({
      order: orders.id,
      orderState: orders.state,
      revision: orderRevisions.number,
      state: pipelines.state,
      rolledBackTo: sql<number | null>`(${pipelines.rollback}->>'revision')::integer`,
    })
    .from(orderRevisions)
    .innerJoin(orders, eq(orders.id, orderRevisions.orderId))
    .innerJoin(pipelines, ofService())
    .where(
      and(
        eq(orderRevisions.workspaceGroup, group),
        eq(orderRevisions.service, service),
        // Back where it was, a pipeline counts as one that has changed nothing; the order before it may not know of it.
        or(pipelines.committed, eq(pipelines.state, "ROLLED_BACK")),
      ),
    )
    .orderBy(desc(pipelines.updatedAt), desc(orders.id))
    .limit(1);
  if (row === undefined) return liveOf(undefined);
  const { order, revision, state, orderState, rolledBackTo } = row;
  return liveOf({
    order,
    revision,
    // A pipeline whose order was ended around it did not come to say so itself.
    state: !isEnded(state) && isEnded(orderState) ? orderState : state,
    ...(rolledBackTo !== null && { rolledBackTo }),
  });
}

/** Orders that have not ended and name the service, and the one that holds its lock, as people speak of them. */
export async function ordersHolding(tx: Tx, group: string, service: string, limit: number): Promise<string[]> {
  const rows = await tx
    .select({ id: orders.id, kind: orders.kind, state: orders.state })
    .from(orderRevisions)
    .innerJoin(orders, eq(orders.id, orderRevisions.orderId))
    .leftJoin(locks, and(eq(locks.orderId, orders.id), eq(locks.service, orderRevisions.service)))
    .where(
      and(
        eq(orderRevisions.workspaceGroup, group),
        eq(orderRevisions.service, service),
        or(isNull(orders.endedAt), sql`${locks.orderId} is not null`),
      ),
    )
    .orderBy(asc(orders.createdAt), asc(orders.id))
    .limit(limit);
  return rows.map((row) => `${row.kind} order ${row.id} (${row.state})`);
}

function ofService() {
  return and(eq(pipelines.orderId, orderRevisions.orderId), eq(pipelines.subject, orderRevisions.service));
}
