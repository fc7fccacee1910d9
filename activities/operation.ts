/** An atomic operation with its deed: one file each, in the folder of the port that it uses. */
import { CancelledFailure, Context } from "@temporalio/activity";
import type { OperationOutcome, OperationSpec } from "../domain/pipeline/operation.ts";
import type { Json } from "../domain/pipeline/task.ts";
import { alive, guarded } from "./activity.ts";

type OperationContext = {
  /** Aborted when the call shall end early: it was cancelled, or its worker shuts down. */
  signal: AbortSignal;
  /** When a person or the plan set it going, milliseconds since 1970; the same for all tries of one call. */
  startedAt: number;
  /** Grows with every try of a task, also over retries by people: newer writers win. */
  epoch: number;
  /** Who acts, for marks in the world: task, attempt, try. */
  holder: string;
};

export type Operation<Deps, Params> = OperationSpec & {
  run: (deps: Deps, params: Params, context: OperationContext) => Promise<OperationOutcome>;
};

/** What the workflow passes to every operation. */
export type OperationCall = { params: { [key: string]: Json }; attempt: number; task: string };

const TRIES_PER_ATTEMPT = 1_000_000;

/** Activities of the given operations, by name. A cancelled operation ends as cancelled whatever it returns. */
export function operationActivities<Deps>(
  operations: readonly Operation<Deps, never>[],
  deps: Deps,
): Record<string, (call: OperationCall) => Promise<OperationOutcome>> {
  const entries = operations.map((operation) => [
    operation.name,
    async ({ params, attempt, task }: OperationCall): Promise<OperationOutcome> => {
      const context = Context.current();
      const { info } = context;
      const outcome = await alive(() =>
        operation.run(deps, params as never, {
          signal: context.cancellationSignal,
          startedAt: info.scheduledTimestampMs,
          epoch: attempt * TRIES_PER_ATTEMPT + info.attempt,
          holder: `${task}#${attempt}.${info.attempt}`,
        }),
      );
      if (context.cancellationSignal.aborted) throw new CancelledFailure("CANCELLED");
      return outcome;
    },
  ]);
  return guarded(Object.fromEntries(entries) as Record<string, (call: OperationCall) => Promise<OperationOutcome>>);
}
