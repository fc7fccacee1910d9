/** Activities on the records of orders. All are quick, idempotent, and safe to try for as long as the database is away. */
import { Context } from "@temporalio/activity";
import type { Database, Tx } from "../../db/client.ts";
import { appendEvents, nextSequence } from "../../db/repositories/order-events.ts";
import type { Append } from "../../db/repositories/order-events.ts";
import { takeOverLocks } from "../../db/repositories/locks.ts";
import { acquireLocks, findOrder, leftBehind, readPipelineTasks, releaseLocks } from "../../db/repositories/orders.ts";
import type { Order } from "../../db/repositories/orders.ts";
import { CellwrightFailure } from "../../domain/failures.ts";
import type { OrderEngine } from "../../domain/pipeline/engine.ts";
import type { TaskDefinition } from "../../domain/pipeline/task.ts";
import { guarded } from "../activity.ts";

export type RecordActivities = ReturnType<typeof createRecordActivities>;

/** How long one try waits for a superseded order to make safe what it holds; below the activity's own bound. Milliseconds. */
const SUPERSEDE_TIMEOUT = 15_000;

/** How often it is asked, before the start is given up for now. */
const SUPERSEDE_TRIES = 8;

/** Leaves a transaction without keeping anything of it. */
class Refused extends Error {}

/** `subjectsOf` names what an order locks, from its kind and request. */
export function createRecordActivities(
  db: Database,
  engine: Pick<OrderEngine, "act">,
  subjectsOf: (kind: string, request: unknown) => string[],
) {
  return guarded({
    appendEvents: (append: Append): Promise<void> => db.transaction((tx) => appendEvents(tx, append)),

    /** What a child runs, and where its stream of events goes on. */
    async loadPipeline(input: {
      workflowId: string;
      generation: number;
    }): Promise<{ tasks: TaskDefinition[]; nextSequence: number }> {
      const rows = await readPipelineTasks(db, input.workflowId, input.generation);
      const order = rows[0] && (await findOrder(db, rows[0].orderId));
      // A child that is only now getting to its first step must not begin for an order that was given up meanwhile.
      if (order && order.endedAt !== null) {
        throw new CellwrightFailure(
          "Superseded",
          `order ${order.id} has ended ${order.state}; nothing of it begins any more`,
        );
      }
      if (rows.length === 0) {
        throw new CellwrightFailure(
          "RecordsInconsistent",
          `plan ${input.generation} has no tasks for ${input.workflowId}`,
        );
      }
      return { tasks: rows.map((row) => row.definition), nextSequence: await nextSequence(db, input.workflowId) };
    },

    /** All locks of the order or none; `detail` names who holds what is missing. */
    async acquireLocks(input: { orderId: string }): Promise<{ ok: true } | { ok: false; detail: string }> {
      const order = await findOrder(db, input.orderId);
      if (!order) throw new CellwrightFailure("NotFound", `there is no order ${input.orderId}`);
      let detail = "";
      try {
        if (order.supersedes !== null) {
          const refusal = await supersede(order, order.supersedes);
          if (refusal !== undefined) return { ok: false, detail: refusal };
        }
        await db.transaction(async (tx) => {
          if (order.supersedes !== null) {
            const refusal = await refusalOfEnded(tx, order.supersedes, servicesOf(order));
            if (refusal !== undefined) {
              detail = refusal;
              throw new Refused();
            }
            await takeOverLocks(tx, { from: order.supersedes, to: order.id, services: servicesOf(order) });
          }
          const others = await acquireLocks(tx, order.id, order.workspaceGroup, servicesOf(order));
          if (others.length === 0) return;
          detail = others
            .map((lock) => `${lock.service} is held by order ${lock.orderId} (${lock.title}, ${lock.state})`)
            .join("; ")
            .concat(
              ". Bring that order to its end first (confirm, retry, rollback, cancel or terminate it), or make an order that supersedes it.",
            );
          throw new Refused();
        });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return { ok: false, detail };
      }
      return { ok: true };
    },

    async releaseLocks(input: { orderId: string }): Promise<void> {
      await releaseLocks(db, input.orderId);
    },
  });

  function servicesOf(order: Order): string[] {
    return subjectsOf(order.kind, order.request);
  }

  /**
   * Ends the former order, so that nothing of it acts any more; its locks stay until they are taken over. Doing it again
   * changes nothing. Answers why it cannot be superseded.
   */
  async function supersede(order: Order, former: string): Promise<string | undefined> {
    const old = await findOrder(db, former);
    if (!old) return `there is no order ${former} to supersede`;
    if (old.endedAt !== null) return undefined;
    const result = await engine.act(
      old.workflowId,
      {
        verb: "supersede",
        id: `supersede/${order.id}`,
        actor: { subject: order.creator, role: "order" },
        reason: `by order ${order.id} (${order.title})`,
        covers: servicesOf(order),
      },
      SUPERSEDE_TIMEOUT,
    );
    if (result.kind === "refused") return `order ${former} cannot be superseded: ${result.refusal.detail}`;
    if (result.kind === "answered") {
      return result.answer.ok ? undefined : `order ${former} cannot be superseded: ${result.answer.detail}`;
    }
    if (Context.current().info.attempt >= SUPERSEDE_TRIES) {
      return `order ${former} has been asked to stop and has not come to its end yet. Look at it, then start this order again`;
    }
    throw new CellwrightFailure("OrderUnreachable", `order ${former} has not answered yet; asking it again`);
  }
}

/** Of a former order that has ended: abandoned, or superseded already by this one or by one that was given up. */
async function refusalOfEnded(tx: Tx, former: string, services: string[]): Promise<string | undefined> {
  const old = await findOrder(tx, former);
  if (!old) return `there is no order ${former} to supersede`;
  if (old.state !== "ABANDONED" && old.state !== "SUPERSEDED") {
    return `order ${old.id} has ended ${old.state}: nothing of it is left to supersede. Make this order anew without "supersedes"`;
  }
  const missing = await leftBehind(tx, old.id, services);
  if (missing.length === 0) return undefined;
  return `order ${old.id} has begun to change ${missing.join(", ")}: an order that supersedes it must release ${missing.join(", ")}, too`;
}
