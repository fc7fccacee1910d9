/** What people see of a pipeline, and what they may do with it: derived from its state, never stored in it. */
import type { OrderVerb, PipelineState, Rollback, TaskRecord, TaskVerb, TurnStanding, Verb } from "./model.ts";
import type { PipelineStateName, TaskKind, TaskState } from "./states.ts";

export const ALREADY_CHANGED = "it has already changed something that cancelling does not take back";

export function stateOf(state: PipelineState): PipelineStateName {
  switch (state.stage) {
    case "INITIALIZING":
    case "INIT_FAILED":
    case "READY":
      return state.stage;
    case "STARTING":
      return "READY";
    case "ENDED":
      return state.ended ?? "ABANDONED";
    case "STOPPING":
      return records(state).some((record) => isStuck(state, record)) ? "FAILED" : "RUNNING";
    case "RUNNING": {
      if (wholeRollback(state)?.phase === "confirming") return "AWAITING_ROLLBACK_CONFIRM";
      if (state.paused) return "PAUSED";
      // What needs a person comes first: nobody should have to look behind a RUNNING for it.
      const states = new Set(records(state).map((record) => record.state));
      const whole = wholeRollback(state);
      const back = state.backward === true || whole !== undefined;
      if (states.has("FAILED")) return back ? "ROLLBACK_FAILED" : "FAILED";
      if (states.has("AWAITING_CONFIRM")) return back ? "AWAITING_ROLLBACK_CONFIRM" : "AWAITING_CONFIRM";
      if (states.has("BLOCKED")) return "BLOCKED";
      return back ? "ROLLING_BACK" : "RUNNING";
    }
  }
}

/** The rollback of the whole order, if one is under way. */
export function wholeRollback(state: PipelineState): (Rollback & { id: string }) | undefined {
  const found = Object.entries(state.rollbacks ?? {}).find(([, one]) => one.whole);
  return found && { id: found[0], ...found[1] };
}

/** Whether something of this order can be rolled back at all. */
function canRollBack(state: PipelineState): boolean {
  return records(state).some((record) => record.definition.pipeline?.rollbackType !== undefined);
}

/** It has come to a stop, and trying again may help. What was stopped on its way back does not go forward again. */
export function isRetryable({ definition, state, turn }: TaskRecord): boolean {
  if (turn?.phase === "cancelled") return false;
  return state === "FAILED" || (state === "BLOCKED" && (definition.kind !== "gate" || definition.run !== undefined));
}

export function records(state: PipelineState): TaskRecord[] {
  return Object.values(state.tasks);
}

/** Whether it has, or may have, changed something that cancelling does not take back. */
export function isCommitted(state: PipelineState): boolean {
  // Who takes back what was changed has it to answer for until it is there.
  if (state.backward && state.ended !== "ROLLED_BACK") return true;
  return records(state).some((record) => isTaskCommitted(state, record));
}

export function isTaskCommitted(state: PipelineState, record: TaskRecord): boolean {
  const { definition } = record;
  if (definition.kind === "pipeline") return record.child?.committed === true || record.changed === true;
  if (definition.commits) return record.changed === true || record.inFlight === "run";
  // Nothing takes back any more what was changed by a pipeline that has ended.
  return state.ended !== undefined && state.ended !== "CANCELLED" && definition.undo !== undefined && !!record.changed;
}

/** Keeps a cancel from coming to its end, until a person acts. */
export function isStuck(state: PipelineState, record: TaskRecord): boolean {
  if (state.ending !== "CANCELLED" || record.state !== "FAILED" || record.inFlight) return false;
  return canRetryUndo(record) || isTaskCommitted(state, record);
}

export function canRetryUndo(record: TaskRecord): boolean {
  return record.child?.open === true || (record.definition.undo !== undefined && !record.settled);
}

/**
 * Whether a verb may be decided now: one after the other, as some wait for children. But who wants to terminate need
 * not wait for children.
 */
export function hasTurn(state: PipelineState, verb: Verb): boolean {
  const { pending } = state;
  if (!pending || state.stage === "ENDED") return true;
  const ends = verb.verb === "terminate" || verb.verb === "supersede";
  if (!ends || pending.verb.verb === "terminate" || pending.verb.verb === "supersede") return false;
  return pending.phase !== "locking" && pending.phase !== "observing";
}

/** One sentence for people: why it is in this state, and who can change that. */
export function reasonOf(state: PipelineState): string | undefined {
  if (state.stage === "STOPPING") return state.reason;
  if (state.stage !== "RUNNING") return state.reason;
  const name = stateOf(state);
  if (name === "PAUSED") return state.reason;
  const taskState: TaskState | undefined =
    name === "FAILED" || name === "ROLLBACK_FAILED"
      ? "FAILED"
      : name === "AWAITING_CONFIRM" || name === "AWAITING_ROLLBACK_CONFIRM"
        ? "AWAITING_CONFIRM"
        : name === "BLOCKED"
          ? name
          : undefined;
  const whole = wholeRollback(state);
  if (whole?.phase === "confirming") return `everything is rolled back (${whole.reason}): look, then confirm-rollback`;
  if (!taskState) return whole?.reason;
  const those = records(state).filter((record) => record.state === taskState);
  const first = those[0];
  if (!first) return whole?.reason;
  const more = those.length > 1 ? ` (and ${those.length - 1} more)` : "";
  return `${first.definition.title}${first.reason ? `: ${first.reason}` : ""}${more}`;
}

export function allowedOrderVerbs(state: PipelineState): OrderVerb[] {
  const name = stateOf(state);
  // A child is steered through the order; only its tasks are its own.
  if (state.parent) return [];
  const cancel: OrderVerb[] = isCommitted(state) ? [] : ["cancel"];
  if (state.stage === "STOPPING") {
    return records(state).some((record) => isStuck(state, record) && canRetryUndo(record))
      ? ["retry", "terminate"]
      : ["terminate"];
  }
  const back: OrderVerb[] = canRollBack(state) ? ["rollback"] : [];
  const retry: OrderVerb[] = records(state).some(isRetryable) ? ["retry"] : [];
  const whole = wholeRollback(state);
  if (whole && state.stage === "RUNNING") {
    const stop: OrderVerb[] = whole.phase === "cancelling" ? [] : ["cancel-rollback"];
    if (whole.phase === "confirming") return ["confirm-rollback", "terminate"];
    return state.paused ? ["resume", ...stop, "terminate"] : [...retry, "pause", ...stop, "terminate"];
  }
  switch (name) {
    case "INITIALIZING":
      return ["cancel"];
    case "INIT_FAILED":
      return ["initialise", "cancel"];
    case "READY":
      return state.stage === "STARTING" ? [] : ["start", "initialise", "cancel"];
    case "RUNNING":
    case "AWAITING_CONFIRM":
    case "BLOCKED":
    case "FAILED":
      return [...retry, "pause", ...cancel, ...back, "terminate"];
    case "PAUSED":
      return ["resume", ...cancel, ...back, "terminate"];
    default:
      return [];
  }
}

/**
 * What matters about a task for what may be done with it. Of kind `pipeline`: whether it has changed something, whether
 * that can be rolled back at all, and how far it is on its way back.
 */
export type TaskStanding = {
  kind: TaskKind;
  state: TaskState;
  ignorable: boolean;
  committed?: boolean;
  canRollBack?: boolean;
  turn?: TurnStanding;
};

/** States of a pipeline in which its tasks can be acted on. */
const STEERABLE: readonly PipelineStateName[] = [
  "RUNNING",
  "AWAITING_CONFIRM",
  "BLOCKED",
  "FAILED",
  "ROLLING_BACK",
  "ROLLBACK_FAILED",
  "AWAITING_ROLLBACK_CONFIRM",
];
const ROLLING_BACK: readonly PipelineStateName[] = ["ROLLING_BACK", "ROLLBACK_FAILED", "AWAITING_ROLLBACK_CONFIRM"];

/** What may be done with one task, from what the projections know of it. Used by the workflow and by the API alike. */
export function allowedTaskVerbs(task: TaskStanding, pipeline: PipelineStateName): TaskVerb[] {
  const paused = pipeline === "PAUSED";
  if (!paused && !STEERABLE.includes(pipeline)) return [];
  const verbs: TaskVerb[] = [];
  if (task.ignorable && isOpenGate(task.state)) verbs.push("ignore");
  if (!paused && task.kind === "confirm" && task.state === "AWAITING_CONFIRM") verbs.push("confirm");
  const stopped = task.state === "FAILED" || (task.state === "BLOCKED" && task.kind !== "gate");
  if (!paused && stopped && task.turn !== "cancelled") verbs.push("retry");
  if (task.kind !== "pipeline") return verbs;
  const over = ["SUCCEEDED", "CANCELLED", "IGNORED", "SKIPPED"].includes(task.state);
  if (!paused && !over && !task.committed && !task.turn) verbs.push("cancel");
  if (ROLLING_BACK.includes(pipeline)) return verbs;
  if (task.turn === "turning") verbs.push("cancel-rollback");
  else if ((task.turn === undefined || task.turn === "cancelled") && task.committed && task.canRollBack)
    verbs.push("rollback");
  return verbs;
}

/** As `allowedTaskVerbs` wants to know it, of a running pipeline. */
export function standingOf(state: PipelineState, record: TaskRecord): TaskStanding {
  const { definition } = record;
  const turn = turnOf(state, record);
  const standing: TaskStanding = {
    kind: definition.kind,
    state: record.state,
    ignorable: definition.ignorable === true,
  };
  if (definition.kind !== "pipeline") return standing;
  standing.committed = isTaskCommitted(state, record);
  standing.canRollBack = definition.pipeline?.rollbackType !== undefined;
  if (turn) standing.turn = turn;
  return standing;
}

/** How far a task is on its way back; undefined when it is not. */
export function turnOf(state: PipelineState, { turn }: TaskRecord): TurnStanding | undefined {
  if (!turn) return undefined;
  if (turn.phase === "done" || turn.phase === "cancelled") return turn.phase;
  return state.rollbacks?.[turn.rollback]?.whole ? "with-order" : "turning";
}

function isOpenGate(state: TaskState): boolean {
  return state === "WAITING" || state === "BLOCKED";
}
