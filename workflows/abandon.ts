/** Cleans up after a pipeline whose workflow was ended from outside. Started by the reconciler. */
import { getExternalWorkflowHandle, proxyActivities } from "@temporalio/workflow";
import type { AbandonActivities } from "../activities/records/abandon.ts";
import { describeFailure, invoke } from "./calls.ts";
import { childLostSignal } from "./messages.ts";

const quick = proxyActivities<AbandonActivities>({
  startToCloseTimeout: "20 seconds",
  retry: { initialInterval: "200 milliseconds", maximumInterval: "5 seconds" },
});
const patient = proxyActivities<AbandonActivities>({
  startToCloseTimeout: "5 minutes",
  heartbeatTimeout: "10 seconds",
  retry: { initialInterval: "200 milliseconds", maximumInterval: "5 seconds" },
});

/** How long children have for making safe what they hold, before they are terminated. Milliseconds. */
const GRACE = 30_000;

export type AbandonInput = {
  orderId: string;
  /** The workflow that is gone: the order's own, or a child's. */
  workflowId: string;
  /** The order's workflow; the same as `workflowId` when that is what is gone. */
  orderWorkflowId: string;
  /** A child's: which of its runs it was. */
  attempt?: number;
  /** How it ended, in a person's words. */
  how: string;
};

/**
 * The order's workflow is gone: children are ended, everything that may still act is fenced, the order ends ABANDONED
 * and keeps its locks. A child's workflow is gone: it is fenced, and the order hears of it and can retry the app.
 */
export async function abandonPipelines(input: AbandonInput): Promise<void> {
  const whole = input.workflowId === input.orderWorkflowId;
  if (whole) await patient.endWorkflows({ orderId: input.orderId, graceMs: GRACE });
  const safeties = await quick.listSafeties(input);
  const failures = await Promise.all(
    safeties.map(({ task, attempt, call }) =>
      invoke(call, attempt, task).then(
        (outcome) => (outcome.outcome !== "done" ? `${task}: ${outcome.reason}` : undefined),
        (error: unknown) => `${task}: ${describeFailure(error, call.queue)}`,
      ),
    ),
  );
  const unsafe = failures.filter((failure) => failure !== undefined);
  const made = unsafe.length === 0 ? "Nothing of it moves any more" : `Could not be made safe: ${unsafe.join("; ")}`;
  const next = whole
    ? "What it was changing may be half old and half new. An admin can free its locks (release-locks, with a reason); then a new order can finish it"
    : "Retry the app, or terminate the order";
  const reason = `${input.how}. ${made}. ${next}.`;
  await quick.recordAbandoned({ orderId: input.orderId, workflowId: input.workflowId, reason, at: Date.now() });
  if (!whole) {
    const order = getExternalWorkflowHandle(input.orderWorkflowId);
    await order.signal(childLostSignal, {
      workflowId: input.workflowId,
      ...(input.attempt !== undefined && { attempt: input.attempt }),
      reason,
    });
  }
}
