/** The record of what orders did: append-only streams, and the projections made of them in the same transaction. */
import { and, asc, eq, inArray, sql } from "drizzle-orm";
import { CellwrightFailure } from "../../domain/failures.ts";
import { stableJson } from "../../domain/json.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import { isEnded } from "../../domain/pipeline/states.ts";
import type { Tx } from "../client.ts";
import { locks, orderEvents, orders, pipelines, tasks } from "../schema/index.ts";
import { giveBackLocks, RELEASE_LOCKS } from "./locks.ts";

export type Append = {
  orderId: string;
  /** Workflow id of the writer. */
  stream: string;
  /** What the writer's pipeline is about; absent for the order's own. */
  subject?: string;
  /** Sequence number of the first event, from 1. */
  first: number;
  events: RecordedEvent[];
};

/**
 * Appends to a stream. Already stored and equal is success; already stored and different, or a gap, is a failure: then
 * two writers believe to own the stream. Runs in the caller's transaction, which must be one.
 * @throws CellwrightFailure NotFound (no such order), RecordsInconsistent
 */
export async function appendEvents(tx: Tx, append: Append): Promise<void> {
  // The order row's lock makes positions gapless in commit order, so that readers by position miss nothing.
  const [order] = await tx
    .select({ position: orders.position })
    .from(orders)
    .where(eq(orders.id, append.orderId))
    .for("update");
  if (!order) throw new CellwrightFailure("NotFound", `there is no order ${append.orderId}`);
  const [pipeline] = await tx
    .insert(pipelines)
    .values({
      workflowId: append.stream,
      orderId: append.orderId,
      subject: append.subject ?? null,
      state: "INITIALIZING",
    })
    .onConflictDoUpdate({ target: pipelines.workflowId, set: { updatedAt: sql`now()` } })
    .returning({ events: pipelines.events, orderId: pipelines.orderId });
  const stored = pipeline?.events ?? 0;
  if (append.first > stored + 1) {
    throw new CellwrightFailure(
      "RecordsInconsistent",
      `events ${stored + 1} to ${append.first - 1} of ${append.stream} are missing before event ${append.first}`,
    );
  }
  const repeated = append.events.slice(0, Math.max(0, stored + 1 - append.first));
  if (repeated.length > 0) await checkEqual(tx, append, repeated);
  const fresh = append.events.slice(repeated.length);
  if (fresh.length === 0) return;
  const firstFresh = append.first + repeated.length;
  await tx.insert(orderEvents).values(
    fresh.map((event, index) => ({
      orderId: append.orderId,
      position: order.position + 1 + index,
      stream: append.stream,
      sequence: firstFresh + index,
      event,
    })),
  );
  await tx
    .update(orders)
    .set({ position: order.position + fresh.length, updatedAt: sql`now()` })
    .where(eq(orders.id, append.orderId));
  await tx
    .update(pipelines)
    .set({ events: firstFresh + fresh.length - 1 })
    .where(eq(pipelines.workflowId, append.stream));
  for (const event of fresh) await project(tx, append, event);
}

async function checkEqual(tx: Tx, append: Append, repeated: RecordedEvent[]): Promise<void> {
  const found = await tx
    .select({ sequence: orderEvents.sequence, event: orderEvents.event })
    .from(orderEvents)
    .where(
      and(
        eq(orderEvents.stream, append.stream),
        inArray(
          orderEvents.sequence,
          repeated.map((_, index) => append.first + index),
        ),
      ),
    )
    .orderBy(asc(orderEvents.sequence));
  repeated.forEach((event, index) => {
    // jsonb does not keep the order of keys.
    if (stableJson(found[index]?.event) !== stableJson(event)) {
      throw new CellwrightFailure(
        "RecordsInconsistent",
        `event ${append.first + index} of ${append.stream} is stored with another content`,
      );
    }
  });
}

async function project(tx: Tx, append: Append, event: RecordedEvent): Promise<void> {
  const { orderId, stream } = append;
  switch (event.type) {
    case "planned":
      await tx.update(orders).set({ generation: event.generation, digest: event.digest }).where(eq(orders.id, orderId));
      return;
    case "rollbackPlanned":
      for (const { task, to } of event.tasks) {
        // A pipeline whose workflow was lost before its first record has no row yet.
        await tx.execute(sql`
          insert into ${pipelines} (workflow_id, order_id, subject, state, generation, rollback)
          select t.definition -> 'pipeline' ->> 'workflowId', t.order_id, t.subject, 'ROLLING_BACK',
                 ${event.generation}, ${JSON.stringify(to)}::jsonb
          from ${tasks} as t where t.order_id = ${orderId} and t.id = ${task}
          on conflict (workflow_id) do update set generation = excluded.generation, rollback = excluded.rollback`);
      }
      return;
    case "pipelineChanged": {
      const common = { state: event.state, reason: event.reason ?? null };
      await tx
        .update(pipelines)
        .set({ ...common, committed: event.committed, updatedAt: sql`now()` })
        .where(eq(pipelines.workflowId, stream));
      if (append.subject !== undefined) return;
      const ended = isEnded(event.state);
      // An abandoned order keeps its locks: what it held may need a person's look first. A superseded one's are taken over.
      if (ended && event.state !== "ABANDONED" && event.state !== "SUPERSEDED") {
        await giveBackLocks(tx, orderId);
        await tx.delete(locks).where(eq(locks.orderId, orderId));
      }
      const held =
        event.state === "ABANDONED" || event.state === "SUPERSEDED"
          ? await tx.select({ service: locks.service }).from(locks).where(eq(locks.orderId, orderId)).limit(1)
          : [];
      const allowedActions = held.length > 0 ? [...event.allowed, RELEASE_LOCKS] : event.allowed;
      await tx
        .update(orders)
        .set({ ...common, allowedActions, ...(ended && { endedAt: new Date(event.at) }) })
        .where(eq(orders.id, orderId));
      return;
    }
    case "taskChanged":
      await tx
        .update(tasks)
        .set({
          state: event.state,
          attempt: event.attempt,
          reason: event.reason ?? null,
          turn: event.turn ?? null,
          changed: event.changed ?? false,
          updatedAt: new Date(event.at),
        })
        .where(and(eq(tasks.orderId, orderId), eq(tasks.id, event.task)));
      return;
    case "acted":
      return;
  }
}

/** The next sequence number that a stream expects. */
export async function nextSequence(tx: Tx, stream: string): Promise<number> {
  const [row] = await tx.select({ events: pipelines.events }).from(pipelines).where(eq(pipelines.workflowId, stream));
  return (row?.events ?? 0) + 1;
}
