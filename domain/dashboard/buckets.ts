/** The few words in which a dashboard speaks of orders. */
import type { PipelineStateName } from "../pipeline/states.ts";

export const BUCKETS = ["NOT_RELEASED", "RELEASING", "BLOCKED", "WAITING_CONFIRM", "SUCCEEDED", "ABNORMAL"] as const;
export type Bucket = (typeof BUCKETS)[number];

/** The bucket of an order; undefined for one that people ended by choice, which is neither a success nor a trouble. */
export function bucketOf(state: PipelineStateName): Bucket | undefined {
  switch (state) {
    case "INITIALIZING":
    case "READY":
      return "NOT_RELEASED";
    case "RUNNING":
    case "PAUSED":
    case "ROLLING_BACK":
      return "RELEASING";
    case "BLOCKED":
      return "BLOCKED";
    case "AWAITING_CONFIRM":
    case "AWAITING_ROLLBACK_CONFIRM":
      return "WAITING_CONFIRM";
    case "SUCCEEDED":
      return "SUCCEEDED";
    case "INIT_FAILED":
    case "FAILED":
    case "ROLLBACK_FAILED":
    case "TERMINATED":
    case "ABANDONED":
      return "ABNORMAL";
    case "CANCELLED":
    case "ROLLED_BACK":
    case "SUPERSEDED":
      return undefined;
  }
}
