/** Orders in Temporal: starting their workflows, and passing on what people ask for. */
import {
  ApplicationFailure,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from "@temporalio/client";
import type { Client } from "@temporalio/client";
import type { ActResult, OrderEngine, StartableOrder } from "../../domain/pipeline/engine.ts";
import type { OrderVerb, Refusal, Verb } from "../../domain/pipeline/model.ts";
import type { PipelineStateName } from "../../domain/pipeline/states.ts";
import { ORCHESTRATOR_QUEUE } from "../../domain/pipeline/task.ts";
import { actUpdate, searchAttributes, VERB_REFUSED } from "../../workflows/messages.ts";
import type { PipelineInput, PipelineResult } from "../../workflows/messages.ts";

export function createOrderEngine(client: Client, historyLimit?: number): OrderEngine {
  return {
    start: (order) => startOrder(client, order, historyLimit),
    act: (workflowId, verb, timeoutMs) => act(client, workflowId, verb, timeoutMs),
  };
}

/** Bounds a start while Temporal is away, milliseconds: whoever asked for the order waits, and it is started later anyway. */
const START_TIMEOUT = 10_000;

/** Workflow type of a kind of order: `release` → `releaseOrder`. */
function workflowType(kind: string): string {
  return `${kind}Order`;
}

/** Starts the workflow of an order. That it has been started before, or has ended, is fine: an order runs once. */
async function startOrder(client: Client, order: StartableOrder, historyLimit?: number): Promise<void> {
  const input: PipelineInput = {
    orderId: order.id,
    kind: order.kind,
    title: order.title,
    workspaceGroup: order.workspaceGroup,
    creator: order.creator,
    subjects: order.subjects,
    ...(historyLimit !== undefined && { historyLimit }),
  };
  try {
    await client.withDeadline(Date.now() + START_TIMEOUT, () =>
      client.workflow.start(workflowType(order.kind), {
        workflowId: order.workflowId,
        taskQueue: ORCHESTRATOR_QUEUE,
        args: [input],
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        staticSummary: `${order.title} (${order.kind} by ${order.creator})`,
        staticDetails: `${order.kind} of ${order.subjects.join(", ")} in workspace group ${order.workspaceGroup}`.slice(
          0,
          2_000,
        ),
        typedSearchAttributes: searchAttributes(input, "INITIALIZING"),
      }),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Asks the workflow that owns the order or task. The verb's id makes it repeatable. */
async function act(client: Client, workflowId: string, verb: Verb, timeoutMs: number): Promise<ActResult> {
  try {
    const answer = await client.withDeadline(Date.now() + timeoutMs, () =>
      client.workflow.getHandle(workflowId).executeUpdate(actUpdate, { args: [verb], updateId: verb.id }),
    );
    return { kind: "answered", answer };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return answerLeftBehind(client, workflowId, verb.id, timeoutMs);
    if (error instanceof WorkflowUpdateFailedError) {
      const cause = error.cause;
      if (cause instanceof ApplicationFailure && cause.type === VERB_REFUSED) {
        const [details] = (cause.details ?? []) as [
          (Refusal & { state: PipelineStateName; allowedActions: OrderVerb[] })?,
        ];
        return {
          kind: "refused",
          refusal: details ?? { problem: "verb-not-allowed", detail: cause.message },
        };
      }
      // The run ended before it could answer: it has continued as new, or the order is over.
      if (
        cause instanceof ApplicationFailure &&
        /AcceptedUpdateCompletedWorkflow|WorkflowFailed/.test(cause.type ?? "")
      ) {
        return { kind: "late" };
      }
      throw error;
    }
    if (isOutOfReach(error)) return { kind: "late" };
    throw error;
  }
}

/**
 * A workflow that has ended still answers repeated verbs of its last run; what it answered in earlier runs, before it
 * continued as new, is in its result.
 */
async function answerLeftBehind(client: Client, workflowId: string, id: string, timeoutMs: number): Promise<ActResult> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    return await client.withDeadline(Date.now() + timeoutMs, async () => {
      if ((await handle.describe()).status.name !== "COMPLETED") return { kind: "not-running" };
      const { answers = [] } = (await handle.result()) as PipelineResult;
      const given = answers.find((one) => one.id === id);
      return given === undefined ? { kind: "not-running" } : { kind: "answered", answer: given.answer };
    });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { kind: "not-running" };
    if (isOutOfReach(error)) return { kind: "late" };
    throw error;
  }
}

/** gRPC: DEADLINE_EXCEEDED, UNAVAILABLE. */
const OUT_OF_REACH: ReadonlySet<unknown> = new Set([4, 14]);

/** Temporal is away, or the workflow did not answer in time: either may yet do what was asked. */
export function isOutOfReach(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    if (
      OUT_OF_REACH.has((current as { code?: unknown }).code) ||
      /deadline exceeded|RPC.*timed out/i.test(current.message)
    )
      return true;
    if (current.name === "WorkflowUpdateRPCTimeoutOrCancelledError") return true;
  }
  return false;
}
