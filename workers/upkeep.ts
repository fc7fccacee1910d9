/**
 * Level-triggered upkeep of orders: no crash between Postgres and Temporal may leave an order in only one of them.
 * Starts the workflow of a row that has none yet; has a workflow that ended without saying so cleaned up after.
 */
import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/client";
import type { Client } from "@temporalio/client";
import type { Logger } from "pino";
import type { Database } from "../db/client.ts";
import { loggableError } from "../db/errors.ts";
import { findOrder, openOrders, readPipelines, readTasks } from "../db/repositories/orders.ts";
import type { Order } from "../db/repositories/orders.ts";
import { forgetPodReports } from "../db/repositories/pod-reports.ts";
import { hasRecorded } from "../db/repositories/runs.ts";
import type { OrderEngine } from "../domain/pipeline/engine.ts";
import { isEnded, isTaskOver } from "../domain/pipeline/states.ts";
import { ORCHESTRATOR_QUEUE } from "../domain/pipeline/task.ts";
import type { AbandonInput } from "../workflows/abandon.ts";
import { pause } from "./process.ts";

/** Milliseconds between two looks. */
const INTERVAL = 2_000;
/** How long the API has for starting the workflow of an order itself. Milliseconds. */
const START_GRACE = 5_000;
/** A question about a pod that nobody has taken the answer of for so long was asked by a process that has died. Seconds. */
const REPORTS_KEPT = 120;
/** Orders read at once. */
const PAGE = 200;
/** A preview that nobody has touched for this long, in milliseconds, is looked at only now and then. */
const QUIET_AFTER = 60_000;
const QUIET_ROUNDS = 30;
const AT_ONCE = 10;

export type UpkeepDeps = {
  db: Database;
  client: Client;
  subjectsOf: (kind: string, request: unknown) => string[];
  engine: OrderEngine;
  log: Logger;
  signal: AbortSignal;
};

/** Runs until the signal is aborted. */
export async function keepUp(deps: UpkeepDeps): Promise<void> {
  const { log, signal } = deps;
  for (let round = 0; !signal.aborted; round += 1) {
    try {
      if (round % QUIET_ROUNDS === 0) await forgetPodReports(deps.db, REPORTS_KEPT);
      let last: Order | undefined;
      do {
        const page = await openOrders(deps.db, PAGE, last);
        last = page.length === PAGE ? page.at(-1) : undefined;
        const due = page.filter((order) => !isQuiet(order) || round % QUIET_ROUNDS === 0);
        for (let from = 0; from < due.length && !signal.aborted; from += AT_ONCE) {
          await Promise.all(
            due.slice(from, from + AT_ONCE).map((order) =>
              lookAfter(deps, order).catch((error: unknown) => {
                log.warn(
                  { order: order.id, error: loggableError(error) },
                  "an order could not be looked after; trying again",
                );
              }),
            ),
          );
        }
      } while (last && !signal.aborted);
    } catch (error) {
      log.warn({ error: loggableError(error) }, "orders could not be listed; trying again");
    }
    await pause(INTERVAL, signal);
  }
}

async function lookAfter(deps: UpkeepDeps, order: Order): Promise<void> {
  const gone = await endOf(deps.client, order.workflowId);
  if (gone === undefined) {
    // By the plan and not by the records: a child that was ended before its first record has left none.
    for (const task of await readTasks(deps.db, order.id, order.generation)) {
      const child = task.definition.pipeline;
      if (!child || task.attempt === 0 || task.state === "FAILED" || isTaskOver(task.state)) continue;
      const end = await endOf(deps.client, child.workflowId);
      // A child that is not there yet, or only as a former run, is being started: that is as durable as the order itself.
      if (end === undefined || end.how === NEVER_STARTED || (end.attempt ?? task.attempt) !== task.attempt) continue;
      const how = `The workflow of ${child.subject} ${end.how}`;
      const known = end.attempt !== undefined;
      await abandon(deps, order, { workflowId: child.workflowId, attempt: task.attempt, known, how });
    }
    return;
  }
  if (gone.how === NEVER_STARTED && order.position === 0) {
    if (Date.now() - order.createdAt.getTime() < START_GRACE) return;
    deps.log.info({ order: order.id }, "starting the workflow of an order that has none");
    await deps.engine.start({ ...order, subjects: deps.subjectsOf(order.kind, order.request) });
    return;
  }
  await abandon(deps, order, { workflowId: order.workflowId, how: `The order's workflow ${gone.how}` });
}

function isQuiet(order: Order): boolean {
  const still = Date.now() - order.updatedAt.getTime() > QUIET_AFTER;
  return still && (order.state === "READY" || order.state === "INIT_FAILED");
}

/** How long it may take until the pipeline above has heard of, and recorded, a stored end. Milliseconds. */
const TELLING = 10_000;

const NEVER_STARTED = "does not exist";

type End = {
  /** In words. */
  how: string;
  /** Of a child: which of its runs it was. */
  attempt?: number;
};

/** How a workflow came to its end; undefined while it runs. */
async function endOf(client: Client, workflowId: string): Promise<End | undefined> {
  try {
    const { status, memo } = await client.workflow.getHandle(workflowId).describe();
    const attempt = memo?.["attempt"];
    const end = (how: string): End => ({ how, ...(typeof attempt === "number" && { attempt }) });
    switch (status.name) {
      case "RUNNING":
      case "CONTINUED_AS_NEW":
        return undefined;
      case "TERMINATED":
        return end("was terminated from outside");
      case "COMPLETED":
        return end("ended without a record of it");
      default:
        return end(`ended as ${status.name}`);
    }
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { how: NEVER_STARTED };
    throw error;
  }
}

async function abandon(
  deps: UpkeepDeps,
  order: Order,
  { known = false, ...lost }: End & { workflowId: string; /** Which run it was is certain. */ known?: boolean },
): Promise<void> {
  const { db, client, log } = deps;
  const { workflowId, attempt, how } = lost;
  // The last record and the end of a workflow are two steps: what was read before the look may be out of date.
  const now = await findOrder(db, order.id);
  const row = (await readPipelines(db, order.id)).find((one) => one.workflowId === workflowId);
  if (!now || now.endedAt !== null) return;
  // An app that is being retried, or rolled back, still has the record of its former run's end.
  const isFormer = known && attempt !== undefined && !(await hasRecorded(db, order.id, workflowId, attempt));
  if (row && isEnded(row.state) && row.state !== "ABANDONED" && !isFormer) {
    // The pipeline above is told of an end once it is stored: a child that was lost in between has told nobody.
    const isTold = row.subject === null || Date.now() - row.updatedAt.getTime() < TELLING;
    if (isTold) return;
  }
  const input: AbandonInput = { orderId: order.id, orderWorkflowId: order.workflowId, ...lost };
  try {
    await client.workflow.start("abandonPipelines", {
      workflowId: `abandon/${workflowId}${attempt === undefined ? "" : `/${attempt}`}`,
      taskQueue: ORCHESTRATOR_QUEUE,
      args: [input],
      // Once for each run that is lost: a second time, it would harm the run that has taken its place.
      workflowIdReusePolicy: "ALLOW_DUPLICATE_FAILED_ONLY",
      workflowIdConflictPolicy: "FAIL",
      staticSummary: `clean up after ${workflowId}: ${how}`,
    });
    log.warn({ order: order.id, workflowId, how }, "abandoned");
  } catch (error) {
    // It is being, or has been, cleaned up after already.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
