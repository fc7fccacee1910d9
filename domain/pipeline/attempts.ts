/** Attempts of a task are counted on and on, also over the runs of its pipeline, so that newer writers win. */

/** More attempts at one task than people make in one run of its pipeline. */
export const ATTEMPTS_PER_RUN = 1_000;

/** The last attempt number of the run of the pipeline that an attempt belongs to. */
export function lastAttemptOfRun(attempt: number): number {
  return Math.max(1, Math.ceil(attempt / ATTEMPTS_PER_RUN)) * ATTEMPTS_PER_RUN;
}
