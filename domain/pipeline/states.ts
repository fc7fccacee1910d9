/** The one vocabulary of states (design §1). Enumerations are arrays, so that schemas and OpenAPI come from the same place. */

/** States of an order, and of an app in it. */
export const PIPELINE_STATES = [
  "INITIALIZING",
  "INIT_FAILED",
  "READY",
  "RUNNING",
  "PAUSED",
  "AWAITING_CONFIRM",
  "BLOCKED",
  "FAILED",
  "ROLLING_BACK",
  "ROLLBACK_FAILED",
  "AWAITING_ROLLBACK_CONFIRM",
  "SUCCEEDED",
  "CANCELLED",
  "ROLLED_BACK",
  "SUPERSEDED",
  "TERMINATED",
  "ABANDONED",
] as const;
export type PipelineStateName = (typeof PIPELINE_STATES)[number];

/** States that an order never leaves. */
const ENDED_STATES = [
  "SUCCEEDED",
  "CANCELLED",
  "ROLLED_BACK",
  "SUPERSEDED",
  "TERMINATED",
  "ABANDONED",
] as const satisfies readonly PipelineStateName[];
export type EndedState = (typeof ENDED_STATES)[number];

export function isEnded(state: PipelineStateName): state is EndedState {
  return (ENDED_STATES as readonly string[]).includes(state);
}

export const TASK_STATES = [
  "WAITING",
  "RUNNING",
  "AWAITING_CONFIRM",
  "BLOCKED",
  "SUCCEEDED",
  "FAILED",
  "IGNORED",
  "SKIPPED",
  "CANCELLED",
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** A task that others need not wait for any more. */
export function isSatisfied(state: TaskState): boolean {
  return state === "SUCCEEDED" || state === "IGNORED" || state === "SKIPPED";
}

/** A task that nothing will happen to any more, unless a person acts. */
export function isTaskOver(state: TaskState): boolean {
  return isSatisfied(state) || state === "CANCELLED";
}

export const GROUP_STATES = [
  "WAITING",
  "LOCKED",
  "RUNNING",
  "AWAITING_CONFIRM",
  "SUCCEEDED",
  "FAILED",
  "CANCELLED",
] as const;
export type GroupState = (typeof GROUP_STATES)[number];

export const TASK_KINDS = ["activity", "gate", "confirm", "pipeline"] as const;
export type TaskKind = (typeof TASK_KINDS)[number];

/** State of a group of tasks, from the states of its tasks (its moves and its confirmation). */
export function groupState(states: readonly TaskState[]): GroupState {
  if (states.includes("FAILED")) return "FAILED";
  if (states.includes("RUNNING")) return "RUNNING";
  if (states.includes("AWAITING_CONFIRM")) return "AWAITING_CONFIRM";
  if (states.includes("BLOCKED")) return "LOCKED";
  if (states.length > 0 && states.every(isSatisfied)) return "SUCCEEDED";
  if (states.includes("CANCELLED")) return "CANCELLED";
  return states.some(isSatisfied) ? "RUNNING" : "WAITING";
}
