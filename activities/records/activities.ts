/** Activities on the records of orders. All are quick, idempotent, and safe to try for as long as the database is away. */
import type { Database } from "../../db/client.ts";
import { appendEvents, nextSequence } from "../../db/repositories/order-events.ts";
import type { Append } from "../../db/repositories/order-events.ts";
import { acquireLocks, findOrder, readPipelineTasks, releaseLocks } from "../../db/repositories/orders.ts";
import { CellwrightFailure } from "../../domain/failures.ts";
import type { TaskDefinition } from "../../domain/pipeline/task.ts";
import { guarded } from "../activity.ts";

export type RecordActivities = ReturnType<typeof createRecordActivities>;

/** Leaves a transaction without keeping anything of it. */
class Refused extends Error {}

/** `subjectsOf` names what an order locks, from its kind and request. */
export function createRecordActivities(db: Database, subjectsOf: (kind: string, request: unknown) => string[]) {
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
        await db.transaction(async (tx) => {
          const others = await acquireLocks(tx, order.id, order.workspaceGroup, subjectsOf(order.kind, order.request));
          if (others.length === 0) return;
          detail = others
            .map((lock) => `${lock.service} is held by order ${lock.orderId} (${lock.title}, ${lock.state})`)
            .join("; ");
          throw new Refused();
        });
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return { ok: false, detail: `${detail}. Bring that order to its end first.` };
      }
      return { ok: true };
    },

    async releaseLocks(input: { orderId: string }): Promise<void> {
      await releaseLocks(db, input.orderId);
    },
  });
}
