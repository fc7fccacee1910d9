/** Ends a pipeline before its time: taken back (cancel), or left as it is but made safe (terminate, abandon). */
import { control, move, report } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { Actor, PipelineState, TaskRecord } from "./model.ts";
import { retryRollback } from "./rollback.ts";
import { end, openChildren, set } from "./advance.ts";
import { isTaskOver } from "./states.ts";
import { isCommitted, isRetryable, isStuck, records } from "./view.ts";

export type Ending = NonNullable<PipelineState["ending"]>;

/** Who wants more than has been asked for already gets it, but not the other way round. */
const RANK: Record<Ending, number> = { CANCELLED: 0, SUPERSEDED: 1, TERMINATED: 2, ABANDONED: 3 };

/** Said at the end of what was neither finished nor taken back. */
const MIXED = "What was changed until then stays changed and the rest stays as it was: old and new may be mixed.";

/** Starts stopping: nothing new begins, calls in flight are asked to end, children are told. */
export function beginStopping(draft: Draft, wanted: Ending, by: { id: string; reason: string; actor: Actor }): void {
  const { state } = draft;
  const known = state.ending;
  const ending = known && RANK[known] > RANK[wanted] ? known : wanted;
  if (ending !== known) state.reason = by.reason;
  state.stage = "STOPPING";
  state.ending = ending;
  delete state.rollbacks;
  for (const task of records(state)) {
    if (task.inFlight === "run" || (task.inFlight === "undo" && ending !== "CANCELLED")) {
      draft.commands.push({ do: "cancelCall", task: task.definition.id, attempt: task.attempt, role: task.inFlight });
    } else if (task.child?.open) {
      // A failure of the way here is not to be taken for a failure of stopping.
      move(draft, task, "RUNNING", by.reason);
    } else if (!task.inFlight && !isTaskOver(task.state)) {
      move(
        draft,
        task,
        needsSettling(state, task) ? "RUNNING" : "CANCELLED",
        needsSettling(state, task) ? by.reason : undefined,
      );
    }
  }
  control(draft, openChildren(state), {
    id: by.id,
    action: ending === "CANCELLED" ? "cancel" : "terminate",
    reason: by.reason,
    actor: by.actor,
  });
}

function needsSettling(state: PipelineState, task: TaskRecord): boolean {
  if (task.settled || !task.started) return false;
  if (state.ending === "CANCELLED") return task.definition.undo !== undefined;
  return task.definition.onStop !== undefined && task.state !== "SUCCEEDED";
}

/** Goes on with stopping as far as it goes now; ends the pipeline when everything is settled. */
export function continueStopping(draft: Draft): void {
  const { state } = draft;
  if (state.stage !== "STOPPING" || !state.ending) return;
  const all = records(state);
  // What opposes a call may only begin when the call has ended.
  if (all.some((task) => task.inFlight === "run" || task.inFlight === "undo")) return;
  if (state.ending === "CANCELLED") {
    // Taken back one after the other, youngest first: the reverse of how it was built up. Children come first.
    if (openChildren(state).length > 0 || all.some((task) => isStuck(state, task))) return;
    const next = all.toReversed().find((task) => needsSettling(state, task));
    if (next) {
      call(draft, next, "undo");
      return;
    }
  } else {
    for (const task of all) if (!task.inFlight && needsSettling(state, task)) call(draft, task, "stop");
    if (openChildren(state).length > 0 || all.some((task) => task.inFlight)) return;
  }
  for (const task of all) if (!isTaskOver(task.state)) move(draft, task, "CANCELLED", task.reason);
  if (state.ending !== "CANCELLED" && isCommitted(state)) state.reason = `${state.reason ?? ""}. ${MIXED}`;
  end(draft, state.ending);
}

function call(draft: Draft, task: TaskRecord, role: "undo" | "stop"): void {
  const invocation = role === "undo" ? task.definition.undo : task.definition.onStop;
  if (!invocation) throw new Error(`task ${task.definition.id} has nothing to do for ${role}`);
  task.attempt += 1;
  task.inFlight = role;
  move(draft, task, "RUNNING", role === "undo" ? "being taken back" : "being made safe");
  draft.commands.push({ do: "call", task: task.definition.id, attempt: task.attempt, role, call: invocation });
}

/** An undo or a making safe has come to an end. */
export function settle(draft: Draft, task: TaskRecord, role: "undo" | "stop", failure: string | undefined): void {
  if (role === "undo") {
    if (failure === undefined) {
      task.settled = true;
      task.changed = false;
      move(draft, task, "CANCELLED", "taken back");
      return;
    }
    const detail = `could not be taken back: ${failure}`;
    move(draft, task, "FAILED", detail);
    // Who wants it terminated does not mind: that goes on.
    if (draft.state.owed && draft.state.ending === "CANCELLED") {
      report(draft, { id: draft.state.owed, refused: { problem: "undo-failed", detail } });
      delete draft.state.owed;
    }
    return;
  }
  // Making safe has had all its tries; ending is more use than waiting, and a successor fences anyway. But it is said.
  task.settled = true;
  move(
    draft,
    task,
    "CANCELLED",
    failure === undefined ? "stopped and made safe" : `stopped; could not be made safe: ${failure}`,
  );
}

/** Sets going again what failed, and only that. */
export function retryFailed(draft: Draft): void {
  for (const task of records(draft.state)) {
    if (isRetryable(task) && !task.child?.open) retry(draft, task);
  }
}

export function retry(draft: Draft, task: TaskRecord): void {
  if (draft.state.stage === "STOPPING") {
    if (task.definition.undo && !task.settled && !task.inFlight) call(draft, task, "undo");
  } else if (task.turn) retryRollback(draft, task);
  else set(draft, task);
}
