/** Calls of atomic operations: started, cancelled, and turned into events when they end. */
import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  scheduleActivity,
  TimeoutFailure,
} from "@temporalio/workflow";
import type { OperationCall } from "../activities/operation.ts";
import type { Command, PipelineEvent, Role } from "../domain/pipeline/model.ts";
import type { OperationOutcome } from "../domain/pipeline/operation.ts";
import type { Invocation } from "../domain/pipeline/task.ts";

export type Unstamped<E> = E extends { at: number } ? Omit<E, "at"> : never;
export type Emit = (event: Unstamped<PipelineEvent>) => void;
type Key = { task: string; attempt: number; role: Role };

export function invoke(call: Invocation, attempt: number, task: string): Promise<OperationOutcome> {
  const { bounds } = call;
  const input: OperationCall = { params: call.params, attempt, task };
  return scheduleActivity<OperationOutcome>(call.operation, [input], {
    taskQueue: call.queue,
    startToCloseTimeout: bounds.attempt,
    ...(bounds.total !== undefined && { scheduleToCloseTimeout: bounds.total }),
    ...(bounds.queueWait !== undefined && { scheduleToStartTimeout: bounds.queueWait }),
    ...(bounds.heartbeat !== undefined && { heartbeatTimeout: bounds.heartbeat }),
    retry: {
      initialInterval: "500 milliseconds",
      backoffCoefficient: 2,
      maximumInterval: "10 seconds",
      ...(call.attempts > 0 && { maximumAttempts: call.attempts }),
    },
    // What opposes a call may only begin when the call has really ended.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: call.summary,
  });
}

/** What a failed call means, for a person. */
export function describeFailure(error: unknown, queue: string): string {
  const cause = error instanceof ActivityFailure ? (error.cause ?? error) : error;
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === "SCHEDULE_TO_START") {
      return `no worker took the work from task queue ${queue} in time: start a worker that serves it, then retry`;
    }
    // The server gives the failure of the last try, where there was one, as the cause.
    if (cause.timeoutType === "SCHEDULE_TO_CLOSE" && cause.cause) {
      return `the work on task queue ${queue} ran out of time; at the last try: ${describeFailure(cause.cause, queue)}`;
    }
    return `the work on task queue ${queue} ran out of time (${cause.timeoutType}): look at its worker, then retry`;
  }
  if (cause instanceof ApplicationFailure) return cause.message;
  return cause instanceof Error ? cause.message : String(cause);
}

export function createCalls(emit: Emit) {
  const scopes = new Map<string, CancellationScope>();
  let tracked = 0;
  let failure: unknown;
  const keyOf = ({ task, attempt, role }: Key): string => `${task}/${attempt}/${role}`;

  return {
    start(command: Extract<Command, { do: "call" }>): void {
      const { task, attempt, role, call } = command;
      const scope = new CancellationScope();
      scopes.set(keyOf(command), scope);
      scope
        .run(() => invoke(call, attempt, task))
        .then(
          (outcome) => emit({ type: "finished", task, attempt, role, outcome }),
          (error: unknown) => {
            if (isCancellation(error)) emit({ type: "stopped", task, attempt, role });
            else {
              emit({
                type: "finished",
                task,
                attempt,
                role,
                // Whatever made the call fail, it may have changed something before.
                outcome: { outcome: "failed", reason: describeFailure(error, call.queue), changed: role === "run" },
              });
            }
          },
        )
        .finally(() => scopes.delete(keyOf(command)))
        .catch((error: unknown) => (failure = error));
    },
    cancel(key: Key): void {
      scopes.get(keyOf(key))?.cancel();
    },
    /** Something else that must be over before the workflow may end or continue as new. */
    track(work: Promise<unknown>): void {
      tracked += 1;
      work
        .catch((error: unknown) => (failure = error))
        .finally(() => (tracked -= 1))
        .catch(() => undefined);
    },
    idle: (): boolean => scopes.size === 0 && tracked === 0,
    /** Something that must not fail has failed. */
    failure: (): unknown => failure,
  };
}
