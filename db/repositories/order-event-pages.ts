/** Reading what orders did, in the order of their positions. */
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import { isEnded, PIPELINE_STATES, type PipelineStateName } from "../../domain/pipeline/states.ts";
import type { Tx } from "../client.ts";
import { orderEvents, orders, pipelines } from "../schema/index.ts";
import { page, type Page, type PageRequest } from "./rows.ts";

/** One event of an order. Positions begin at 1 and have no gaps, over all workflows of the order. */
export type PlacedEvent = {
  readonly position: number;
  /** Id of the workflow that wrote it. */
  readonly stream: string;
  /** App service that it is about; absent when it is about the order. */
  readonly subject?: string;
} & RecordedEvent;

/** A place in the events of an order: everything up to and including `after` is known. */
export interface EventPlace {
  readonly orderId: string;
  readonly after: number;
}

/** What follows a place. */
export interface EventPage extends EventPlace {
  readonly events: readonly PlacedEvent[];
  /** The order's state, once it has ended and nothing follows these events any more. */
  readonly over?: PipelineStateName;
}

/** How long events of an ended order's apps are waited for, seconds: one that was lost never says that it has ended. */
const LAST_WORDS = 10;

const OPEN_STATES = PIPELINE_STATES.filter((state) => !isEnded(state));

/**
 * Reads what follows each of the places, at most `limit` events of each, with one statement. Places after which there is
 * nothing, yet, are left out. Positions are given under the lock of the order's row until the commit, so what is seen is
 * never followed by an event of a lower position.
 */
export async function readEventPages(tx: Tx, places: readonly EventPlace[], limit: number): Promise<EventPage[]> {
  const { rows } = await tx.execute<{
    order_id: string;
    after: number;
    /** What is newest of the order, in the same snapshot as the events. */
    newest: number;
    state: PipelineStateName;
    over: boolean;
    position: number | null;
    stream: string;
    subject: string | null;
    event: RecordedEvent;
  }>(sql`
    select asked.order_id, asked.after, o.position as newest, o.state, e.position, e.stream, p.subject, e.event,
      o.ended_at is not null and (
        o.updated_at < now() - make_interval(secs => ${LAST_WORDS})
        or not exists (
          select from ${pipelines} as open
          where open.order_id = o.id and open.state in ${OPEN_STATES}
        )
      ) as over
    from unnest(
      ${sql.param(places.map(({ orderId }) => orderId))}::text[],
      ${sql.param(places.map(({ after }) => after))}::int[]
    ) as asked(order_id, after)
    join ${orders} as o on o.id = asked.order_id and (o.position > asked.after or o.ended_at is not null)
    left join lateral (
      select * from ${orderEvents} as one
      where one.order_id = asked.order_id and one.position > asked.after
      order by one.position limit ${limit}
    ) as e on true
    left join ${pipelines} as p on p.workflow_id = e.stream
    order by asked.order_id, asked.after, e.position`);
  const pages = Map.groupBy(rows, (row) => `${row.order_id} ${row.after}`);
  return [...pages.values()].flatMap(([first, ...rest]) => {
    if (first === undefined) return [];
    const events = [first, ...rest].flatMap(({ position, stream, subject, event }) =>
      position === null ? [] : [placed(position, stream, subject, event)],
    );
    const over = first.over && first.newest === (events.at(-1)?.position ?? first.after);
    return [{ orderId: first.order_id, after: first.after, events, ...(over && { over: first.state }) }];
  });
}

/** One page of an order's events, oldest first; the position is an event's own. */
export async function listOrderEvents(
  tx: Tx,
  orderId: string,
  request: PageRequest<number>,
): Promise<Page<PlacedEvent>> {
  const rows = await tx
    .select({
      position: orderEvents.position,
      stream: orderEvents.stream,
      subject: pipelines.subject,
      event: orderEvents.event,
    })
    .from(orderEvents)
    .leftJoin(pipelines, eq(pipelines.workflowId, orderEvents.stream))
    .where(and(eq(orderEvents.orderId, orderId), gt(orderEvents.position, request.after ?? 0)))
    .orderBy(asc(orderEvents.position))
    .limit(request.limit + 1);
  return page(rows, request.limit, ({ position, stream, subject, event }) => placed(position, stream, subject, event));
}

function placed(position: number, stream: string, subject: string | null, event: RecordedEvent): PlacedEvent {
  return { position, stream, ...(subject !== null && { subject }), ...event };
}
