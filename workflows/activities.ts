/** Activity proxies, one per latency class. */
import {
  ActivityFailure,
  ApplicationFailure,
  patched,
  proxyActivities,
  proxyLocalActivities,
} from "@temporalio/workflow";
import type { PlanningActivities } from "../activities/planning/activities.ts";
import type { RecordActivities } from "../activities/records/activities.ts";

/** Of a change of this code: runs that began before it read and plan by tasks of their own, and replay so. */
const AT_HAND = "read-and-plan-at-hand";

/** The record of an order must be written, however long the database is away: no bound on all tries together. */
export const records = proxyActivities<RecordActivities>({
  startToCloseTimeout: "20 seconds",
  retry: { initialInterval: "200 milliseconds", backoffCoefficient: 2, maximumInterval: "5 seconds" },
});

/** Looking at the world before an order starts: a person waits for it. */
export const planning = proxyActivities<PlanningActivities>({
  startToCloseTimeout: "30 seconds",
  scheduleToCloseTimeout: "2 minutes",
  retry: { initialInterval: "200 milliseconds", backoffCoefficient: 2, maximumInterval: "5 seconds" },
});

/** One short try: a workflow task lasts 10 s at most, and nobody is heard meanwhile. */
const ONE_TRY = { scheduleToCloseTimeout: "5 seconds", retry: { maximumAttempts: 1 } } as const;

/** What only reads the records, or keeps a plan that nothing follows yet. */
type Reads = { records: Pick<RecordActivities, "loadPipeline">; planning: PlanningActivities };
const remote: Reads = { records, planning };
const local: Reads = {
  records: proxyLocalActivities<RecordActivities>(ONE_TRY),
  planning: proxyLocalActivities<PlanningActivities>(ONE_TRY),
};

/**
 * Does `work` within the workflow task; if that does not succeed, as an activity with its bounds and tries. `work` may
 * run twice, also at once. See docs/decisions/0011.
 */
export async function atHand<T>(work: (reads: Reads) => Promise<T>): Promise<T> {
  if (!patched(AT_HAND)) return work(remote);
  try {
    return await work(local);
  } catch (error) {
    // A timeout comes wrapped at first, and bare when replayed: only what is the same in both may decide.
    const cause = error instanceof ActivityFailure ? error.cause : error;
    if (cause instanceof ApplicationFailure && cause.nonRetryable === true) throw error;
    return work(remote);
  }
}
