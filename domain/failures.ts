/**
 * The one taxonomy of failures. Adapters translate what their libraries throw into these, so that raw library errors
 * (which carry SQL parameters, headers and bodies) never reach a workflow history. Anything else that is thrown is a bug
 * and passes through untouched.
 *
 * The message is for a person: what failed, where, and what to do.
 */
export const FAILURE_TYPES = {
  /** The cluster's API server did not answer in time, or refused the connection. Passing. */
  ClusterUnreachable: { retryable: true },
  /** The cluster refused our identity (401, 403). Stays until somebody grants the right. */
  ClusterForbidden: { retryable: false },
  /** The cluster asked for less traffic (429); wait as long as it said. Passing. */
  ClusterBusy: { retryable: true },
  /** An optimistic write lost against another writer (409). Read again and decide anew. Passing. */
  Conflict: { retryable: true },
  /** What the operation needs is not there (namespace, workload, revision). */
  NotFound: { retryable: false },
  /** A newer epoch holds the workload: this attempt must not act any more; another one starts from what it observes. */
  Fenced: { retryable: true },
  /** The workload belongs to another order now, was frozen, or was changed by another hand: this order must not act there any more. */
  Superseded: { retryable: false },
  /** Another order's workflow has not answered in time. Passing. */
  OrderUnreachable: { retryable: true },
  /** The request cannot be carried out as given, however often it is tried. */
  Invalid: { retryable: false },
  /** Postgres did not answer or refused. Passing. */
  RecordsUnavailable: { retryable: true },
  /** What is stored contradicts what should be stored: a bug or a hand in the database. */
  RecordsInconsistent: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>;

export type FailureType = keyof typeof FAILURE_TYPES;

/** An expected failure. `delayMs` is the shortest sensible wait before another try, where the other side named one. */
export class CellwrightFailure extends Error {
  readonly type: FailureType;
  readonly retryable: boolean;
  readonly delayMs: number | undefined;

  constructor(type: FailureType, message: string, options: { delayMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = type;
    this.type = type;
    this.retryable = FAILURE_TYPES[type].retryable;
    this.delayMs = options.delayMs;
  }
}
