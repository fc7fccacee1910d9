/** Orders as stored: rows, plans, locks and the live state of pods. */
import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql } from "drizzle-orm";
import type { PipelineStateName } from "../../domain/pipeline/states.ts";
import type { PodState } from "../../domain/workload/pod-state.ts";
import type { Pipeline } from "../../domain/pipeline/task.ts";
import type { Actor } from "../../domain/pipeline/model.ts";
import type { PlannedPod } from "../../domain/workload/planned.ts";
import type { Tx } from "../client.ts";
import { locks, orders, pipelines, snapshots, taskPods, tasks } from "../schema/index.ts";
import { giveBackLocks, locksOf, RELEASE_LOCKS } from "./locks.ts";
import { appendEvents, nextSequence } from "./order-events.ts";

export type Order = typeof orders.$inferSelect;
export type Task = typeof tasks.$inferSelect;
export type TaskPod = typeof taskPods.$inferSelect;
export type PipelineRow = typeof pipelines.$inferSelect;

export async function insertOrder(
  tx: Tx,
  order: Pick<Order, "id" | "kind" | "workflowId" | "workspaceGroup" | "title" | "request" | "creator"> &
    Partial<Pick<Order, "supersedes">>,
): Promise<void> {
  await tx.insert(orders).values({ ...order, request: order.request });
}

export async function findOrder(tx: Tx, id: string): Promise<Order | undefined> {
  const [order] = await tx.select().from(orders).where(eq(orders.id, id));
  return order;
}

export type OrderFilter = {
  kind?: string;
  state?: PipelineStateName;
  workspaceGroup?: string;
  title?: string;
  /** Orders of these groups only. */
  visible: "all" | readonly string[];
};

/** Youngest first; `before` is the place of the last one of the page before. */
export async function listOrders(
  tx: Tx,
  filter: OrderFilter,
  before: { createdAt: string; id: string } | undefined,
  limit: number,
): Promise<(Order & { place: string })[]> {
  // The cursor keeps the microseconds that a JavaScript date would lose.
  const place = sql<string>`to_char(${orders.createdAt} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  const rows = await tx
    .select({ order: orders, place })
    .from(orders)
    .where(
      and(
        filter.visible === "all" ? undefined : inArray(orders.workspaceGroup, [...filter.visible]),
        filter.kind === undefined ? undefined : eq(orders.kind, filter.kind),
        filter.state === undefined ? undefined : eq(orders.state, filter.state),
        filter.workspaceGroup === undefined ? undefined : eq(orders.workspaceGroup, filter.workspaceGroup),
        filter.title === undefined ? undefined : sql`starts_with(${orders.title}, ${filter.title})`,
        before === undefined
          ? undefined
          : or(
              sql`${orders.createdAt} < ${before.createdAt}::timestamptz`,
              and(sql`${orders.createdAt} = ${before.createdAt}::timestamptz`, lt(orders.id, before.id)),
            ),
      ),
    )
    .orderBy(desc(orders.createdAt), desc(orders.id))
    .limit(limit);
  return rows.map((row) => ({ ...row.order, place: row.place }));
}

export async function readPipelines(tx: Tx, orderId: string): Promise<PipelineRow[]> {
  return tx.select().from(pipelines).where(eq(pipelines.orderId, orderId));
}

/** Whether an app of an order may stand changed by it: it has begun, and was neither cancelled nor rolled back. */
export function hasBegun({ subject, state }: Pick<PipelineRow, "subject" | "state">): boolean {
  return subject !== null && state !== "CANCELLED" && state !== "ROLLED_BACK";
}

/** Services that an order has begun and holds, and that are not among `covers`: what a successor would leave behind. */
export async function leftBehind(tx: Tx, orderId: string, covers: readonly string[]): Promise<string[]> {
  const held = await locksOf(tx, orderId);
  return (await readPipelines(tx, orderId))
    .filter(hasBegun)
    .map((row) => row.subject ?? "")
    .filter((service) => held.includes(service) && !covers.includes(service))
    .toSorted();
}

/** Tasks of the plans in force: of the order's own, and of those by which some of its pipelines are rolled back. */
export async function readTasks(tx: Tx, orderId: string, generation: number): Promise<Task[]> {
  const rows = await tx
    .select({ task: tasks })
    .from(tasks)
    .leftJoin(pipelines, eq(pipelines.workflowId, tasks.stream))
    .where(and(eq(tasks.orderId, orderId), eq(tasks.generation, sql`coalesce(${pipelines.generation}, ${generation})`)))
    .orderBy(asc(tasks.place));
  return rows.map((row) => row.task);
}

/** Tasks of one plan, also of one that is no longer in force. */
export async function readPlan(tx: Tx, orderId: string, generation: number): Promise<Task[]> {
  return tx
    .select()
    .from(tasks)
    .where(and(eq(tasks.orderId, orderId), eq(tasks.generation, generation)))
    .orderBy(asc(tasks.place));
}

export async function findTask(tx: Tx, orderId: string, id: string): Promise<Task | undefined> {
  const [task] = await tx
    .select()
    .from(tasks)
    .where(and(eq(tasks.orderId, orderId), eq(tasks.id, id)));
  return task;
}

/** Definitions of the tasks that one workflow owns in one plan, in the plan's order. */
export async function readPipelineTasks(tx: Tx, workflowId: string, generation: number): Promise<Task[]> {
  return tx
    .select()
    .from(tasks)
    .where(and(eq(tasks.stream, workflowId), eq(tasks.generation, generation)))
    .orderBy(asc(tasks.place));
}

export async function readPods(tx: Tx, orderId: string, taskIds: string[]): Promise<TaskPod[]> {
  if (taskIds.length === 0) return [];
  return tx
    .select()
    .from(taskPods)
    .where(and(eq(taskPods.orderId, orderId), inArray(taskPods.taskId, taskIds)))
    .orderBy(asc(taskPods.place));
}

/** One statement must not exceed the protocol's number of parameters. */
const ROWS_PER_STATEMENT = 1000;

/** Stores a plan as it was compiled, in place of an earlier try at the same generation; not in place of one that has begun. */
export async function storePlan(
  tx: Tx,
  orderId: string,
  generation: number,
  pipelinesOf: Pipeline[],
  pods: PlannedPod[],
): Promise<void> {
  const ofPlan = and(eq(tasks.orderId, orderId), eq(tasks.generation, generation));
  // A try that comes late must not undo what the plan has done since.
  const [begun] = await tx
    .select({ id: tasks.id })
    .from(tasks)
    .where(and(ofPlan, gt(tasks.attempt, 0)))
    .limit(1);
  if (begun) return;
  const former = await tx.delete(tasks).where(ofPlan).returning({ id: tasks.id });
  for (let from = 0; from < former.length; from += ROWS_PER_STATEMENT) {
    const ids = former.slice(from, from + ROWS_PER_STATEMENT).map((task) => task.id);
    await tx.delete(taskPods).where(and(eq(taskPods.orderId, orderId), inArray(taskPods.taskId, ids)));
  }
  const rows = pipelinesOf.flatMap((pipeline) => pipeline.tasks.map((task) => ({ pipeline, task })));
  for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
    await tx.insert(tasks).values(
      rows.slice(from, from + ROWS_PER_STATEMENT).map(({ pipeline, task }, index) => ({
        orderId,
        id: task.id,
        generation,
        stream: pipeline.workflowId,
        subject: task.pipeline?.subject ?? pipeline.subject ?? null,
        kind: task.kind,
        group: task.group ?? null,
        place: from + index,
        definition: task,
      })),
    );
  }
  for (let from = 0; from < pods.length; from += ROWS_PER_STATEMENT) {
    await tx
      .insert(taskPods)
      .values(
        pods
          .slice(from, from + ROWS_PER_STATEMENT)
          .map(({ task, ...pod }, index) => ({ orderId, taskId: task, place: from + index, ...pod })),
      );
  }
}

/** Live states of pods. A writer with an older epoch than the stored one changes nothing. */
export async function upsertPods(
  tx: Tx,
  orderId: string,
  taskId: string,
  epoch: number,
  pods: { pod: string; state: PodState; reason?: string }[],
): Promise<void> {
  if (pods.length === 0) return;
  const values = sql.join(
    pods.map((pod) => sql`(${pod.pod}::text, ${pod.state}::text, ${pod.reason ?? null}::text)`),
    sql`, `,
  );
  await tx.execute(sql`
    update ${taskPods} as p set state = v.state, reason = v.reason, epoch = ${epoch}, updated_at = now()
    from (values ${values}) as v(pod, state, reason)
    where p.order_id = ${orderId} and p.task_id = ${taskId} and p.pod = v.pod and p.epoch <= ${epoch}`);
}

export async function storeSnapshot(
  tx: Tx,
  snapshot: { orderId: string; generation: number; source: string; observation: unknown },
): Promise<void> {
  await tx
    .insert(snapshots)
    .values(snapshot)
    .onConflictDoUpdate({
      target: [snapshots.orderId, snapshots.generation, snapshots.source],
      set: { observation: snapshot.observation, takenAt: sql`now()` },
    });
}

export async function readSnapshots(
  tx: Tx,
  orderId: string,
  generation: number,
): Promise<{ source: string; observation: unknown }[]> {
  return tx
    .select({ source: snapshots.source, observation: snapshots.observation })
    .from(snapshots)
    .where(and(eq(snapshots.orderId, orderId), eq(snapshots.generation, generation)));
}

export type Holder = { service: string; orderId: string; title: string; state: PipelineStateName };

/**
 * Takes the locks of all services for an order, or none. Taking them again is fine. Answers with those that hold some
 * of them; empty when all were taken. Runs in the caller's transaction, which must be rolled back when it is not empty.
 */
export async function acquireLocks(
  tx: Tx,
  orderId: string,
  workspaceGroup: string,
  services: string[],
): Promise<Holder[]> {
  // In one order everywhere, so that two orders that want the same services never wait for each other in a circle.
  for (const service of services.toSorted()) {
    await tx.insert(locks).values({ workspaceGroup, service, orderId }).onConflictDoNothing();
  }
  const held = await tx
    .select({ service: locks.service, orderId: locks.orderId, title: orders.title, state: orders.state })
    .from(locks)
    .innerJoin(orders, eq(orders.id, locks.orderId))
    .where(and(eq(locks.workspaceGroup, workspaceGroup), inArray(locks.service, services)))
    .orderBy(asc(locks.service));
  return held.filter((lock) => lock.orderId !== orderId);
}

/** Frees an order's locks. Those that it took over from a superseded order go back to that one: what it left is not mended. */
export async function releaseLocks(tx: Tx, orderId: string): Promise<string[]> {
  await giveBackLocks(tx, orderId);
  const gone = await tx.delete(locks).where(eq(locks.orderId, orderId)).returning({ service: locks.service });
  return gone.map((lock) => lock.service);
}

/** Orders that have not ended, oldest first; the next page follows `after`. */
export async function openOrders(tx: Tx, limit: number, after?: Order): Promise<Order[]> {
  return tx
    .select()
    .from(orders)
    .where(and(isNull(orders.endedAt), after && gt(orders.id, after.id)))
    .orderBy(asc(orders.id))
    .limit(limit);
}

/** Frees the locks of an abandoned order, and says in its events who wanted it and why. Runs in the caller's transaction. */
export async function freeLocks(
  tx: Tx,
  order: Pick<Order, "id" | "workflowId">,
  said: { at: number; actor: Actor; reason: string },
): Promise<string[]> {
  const services = await releaseLocks(tx, order.id);
  await appendEvents(tx, {
    orderId: order.id,
    stream: order.workflowId,
    first: await nextSequence(tx, order.workflowId),
    events: [{ type: "acted", verb: RELEASE_LOCKS, outcome: "accepted", ...said }],
  });
  await tx.update(orders).set({ allowedActions: [] }).where(eq(orders.id, order.id));
  return services;
}
