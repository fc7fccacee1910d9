/** What all activities share: errors that are fit for a history, and signs of life. */
import { ApplicationFailure, Context } from "@temporalio/activity";
import type { CellwrightFailure } from "../domain/failures.ts";
import { FAILURE_TYPES } from "../domain/failures.ts";
import { isDatabaseUnavailable, loggableError } from "../db/errors.ts";

/** How often a long activity shows that it is alive, and learns that it should end. Milliseconds. */
const HEARTBEAT_INTERVAL = 1_000;

/** SQLSTATE of values that do not fit their type (class 22) or a constraint (class 23): the same ones never will. */
const LASTING = /^2[23]/;

function isCellwrightFailure(error: unknown): error is CellwrightFailure {
  return error instanceof Error && "retryable" in error && error.name in FAILURE_TYPES;
}

/**
 * Failures of our own keep their type and message. Errors of libraries carry statements, headers and bodies: they are
 * logged here and enter the history as one sentence.
 */
function toFailure(error: unknown): unknown {
  if (isCellwrightFailure(error)) {
    return ApplicationFailure.create({
      type: error.type,
      message: error.message,
      nonRetryable: !error.retryable,
      ...(error.delayMs !== undefined && { nextRetryDelay: error.delayMs }),
    });
  }
  if (isDatabaseUnavailable(error)) {
    return ApplicationFailure.create({ type: "RecordsUnavailable", message: "the database does not answer" });
  }
  const loggable = loggableError(error);
  if (loggable["type"] === "DatabaseError") {
    const { code } = loggable;
    Context.current().log.error("a database statement failed", { error: loggable });
    return ApplicationFailure.create({
      type: "RecordsFailed",
      message: `a database statement failed (${typeof code === "string" ? code : "no code"}); the worker's log has it`,
      nonRetryable: typeof code === "string" && LASTING.test(code),
    });
  }
  return error;
}

/** Wraps every function of an activity object so that only failures fit for a history leave it. */
export function guarded<T extends Record<string, (input: never) => Promise<unknown>>>(activities: T): T {
  const entries = Object.entries(activities).map(([name, activity]) => [
    name,
    async (input: never) => {
      try {
        return await activity(input);
      } catch (error) {
        throw toFailure(error);
      }
    },
  ]);
  return Object.fromEntries(entries) as T;
}

/**
 * Heartbeats while `work` lasts, so that a dead worker is noticed, and cancellation is heard. Not at once: most calls have
 * ended by then, and each heartbeat is a write of the server.
 */
export async function alive<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(), HEARTBEAT_INTERVAL);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
