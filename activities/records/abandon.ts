/** Activities for pipelines whose workflow was ended from outside: end what still runs, find what must be made safe, say so. */
import { WorkflowNotFoundError } from "@temporalio/client";
import type { Client } from "@temporalio/client";
import type { Database, Tx } from "../../db/client.ts";
import { appendEvents, nextSequence } from "../../db/repositories/order-events.ts";
import { findOrder, readPipelines, readTasks } from "../../db/repositories/orders.ts";
import { CellwrightFailure } from "../../domain/failures.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import { isEnded, isTaskOver } from "../../domain/pipeline/states.ts";
import type { Invocation } from "../../domain/pipeline/task.ts";
import { alive, guarded } from "../activity.ts";

export type AbandonActivities = ReturnType<typeof createAbandonActivities>;

/** How often a workflow is looked at while its end is awaited. Milliseconds. */
const LOOK_INTERVAL = 250;

/** The lost workflow's own tasks, or, when it was the order's, all of the order's. */
type Lost = { orderId: string; workflowId: string };

export function createAbandonActivities(db: Database, client: Client) {
  const isOpen = async (workflowId: string): Promise<boolean> => {
    try {
      const { status } = await client.workflow.getHandle(workflowId).describe();
      return status.name === "RUNNING" || status.name === "CONTINUED_AS_NEW";
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  };

  return guarded({
    /**
     * Cancels the order's workflows that still run, so that they make safe what they hold; terminates those that have
     * not ended after `graceMs`. Answers with the ids of those terminated.
     */
    endWorkflows: (input: { orderId: string; graceMs: number }): Promise<string[]> =>
      alive(async () => {
        const open: string[] = [];
        for (const { workflowId } of await planned(db, input.orderId)) {
          if (await isOpen(workflowId)) open.push(workflowId);
        }
        for (const id of open) await ignoringGone(() => client.workflow.getHandle(id).cancel());
        const until = Date.now() + input.graceMs;
        let left = open;
        while (left.length > 0 && Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL));
          const states = await Promise.all(left.map(isOpen));
          left = left.filter((_, index) => states[index]);
        }
        for (const id of left) {
          await ignoringGone(() =>
            client.workflow.getHandle(id).terminate("its order was abandoned, and it did not end by itself in time"),
          );
        }
        return left;
      }),

    /** What must be called so that nothing that a dead workflow set going does any harm. */
    async listSafeties(lost: Lost): Promise<{ task: string; attempt: number; call: Invocation }[]> {
      const streams = Map.groupBy(await unfinished(lost), (task) => task.stream);
      return [...streams.values()].flatMap((tasks) => {
        const able = tasks.filter((task) => task.definition.onStop);
        // What the dead set going last may not have been recorded any more: the next task counts as begun.
        const next = able.find((task) => task.attempt === 0);
        return able.flatMap((task) =>
          (task.attempt > 0 || task === next) && task.definition.onStop
            ? [{ task: task.id, attempt: task.attempt + 1, call: task.definition.onStop }]
            : [],
        );
      });
    },

    /** Writes the end into the streams of the dead: they have no other writer any more. Repeating it changes nothing. */
    recordAbandoned: (input: Lost & { reason: string; at: number }): Promise<void> =>
      db.transaction(async (tx) => {
        const order = await findOrder(tx, input.orderId);
        if (!order) throw new CellwrightFailure("NotFound", `there is no order ${input.orderId}`);
        const whole = order.workflowId === input.workflowId;
        const rows = (await planned(tx, input.orderId))
          .filter((row) => (whole ? row.begun : row.workflowId === input.workflowId) && !row.ended)
          // The order's own stream last: its end is the end of all.
          .toSorted((a, b) => Number(a.subject === null) - Number(b.subject === null));
        const tasks = await readTasks(tx, input.orderId, order.generation);
        for (const row of rows) {
          const events: RecordedEvent[] = tasks
            .filter((task) => task.stream === row.workflowId && !isTaskOver(task.state))
            .map((task) => ({
              type: "taskChanged",
              at: input.at,
              task: task.id,
              state: "CANCELLED",
              attempt: task.attempt,
              reason: "abandoned",
            }));
          events.push({
            type: "pipelineChanged",
            at: input.at,
            state: "ABANDONED",
            reason: input.reason,
            allowed: [],
            committed: row.committed,
          });
          await appendEvents(tx, {
            orderId: input.orderId,
            stream: row.workflowId,
            ...(row.subject !== null && { subject: row.subject }),
            first: await nextSequence(tx, row.workflowId),
            events,
          });
        }
      }),
  });

  async function unfinished(lost: Lost) {
    const order = await findOrder(db, lost.orderId);
    if (!order) throw new CellwrightFailure("NotFound", `there is no order ${lost.orderId}`);
    const tasks = await readTasks(db, lost.orderId, order.generation);
    const whole = order.workflowId === lost.workflowId;
    // Confirmed or not: a group that has started and whose app has not come to its end is frozen as it is.
    return tasks.filter((task) => (whole || task.stream === lost.workflowId) && task.state !== "SUCCEEDED");
  }
}

/**
 * Every workflow of an order: its own, and one for each pipeline in its plan. By the plan and not by the records: a
 * workflow that was ended before its first record has left none.
 */
async function planned(
  tx: Tx,
  orderId: string,
): Promise<{ workflowId: string; subject: string | null; begun: boolean; ended: boolean; committed: boolean }[]> {
  const order = await findOrder(tx, orderId);
  if (!order) throw new CellwrightFailure("NotFound", `there is no order ${orderId}`);
  const rows = new Map((await readPipelines(tx, orderId)).map((row) => [row.workflowId, row]));
  const children = (await readTasks(tx, orderId, order.generation)).flatMap((task) =>
    task.definition.pipeline ? [{ ...task.definition.pipeline, begun: task.attempt > 0 }] : [],
  );
  return [{ workflowId: order.workflowId, subject: null, begun: true }, ...children].map((one) => {
    const row = rows.get(one.workflowId);
    return {
      workflowId: one.workflowId,
      subject: one.subject,
      begun: one.begun || row !== undefined,
      ended: row !== undefined && isEnded(row.state),
      committed: row?.committed ?? false,
    };
  });
}

async function ignoringGone(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
