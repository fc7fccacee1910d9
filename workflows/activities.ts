/** Activity proxies, one per latency class. */
import { proxyActivities } from "@temporalio/workflow";
import type { PlanningActivities } from "../activities/planning/activities.ts";
import type { RecordActivities } from "../activities/records/activities.ts";

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
