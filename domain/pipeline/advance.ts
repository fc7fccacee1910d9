/** Sets tasks going as soon as what they depend on is satisfied, and ends the pipeline when nothing is left to do. */
import { move } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { PipelineState, TaskRecord } from "./model.ts";
import { isSatisfied, isTaskOver } from "./states.ts";
import type { EndedState } from "./states.ts";
import { records, wholeRollback } from "./view.ts";

export function advance(draft: Draft): void {
  // An order that is being rolled back as a whole sets nothing going forward.
  if (draft.state.stage !== "RUNNING" || wholeRollback(draft.state)) return;
  // One pass may satisfy what another task waits for, so until nothing moves any more.
  for (let moved = true; moved;) {
    moved = false;
    for (const task of records(draft.state)) moved = step(draft, task) || moved;
  }
  // Success cannot be taken back, so it too waits while the pipeline is held.
  if (isHeld(draft.state) || !records(draft.state).every((task) => isTaskOver(task.state))) return;
  const deeds = records(draft.state).filter(({ definition }) => definition.kind !== "gate" || definition.run);
  const none = deeds.length > 0 && deeds.every((task) => task.state === "CANCELLED");
  if (!none) end(draft, draft.state.backward ? "ROLLED_BACK" : "SUCCEEDED");
  else end(draft, deeds.some((task) => task.turn?.phase === "done") ? "ROLLED_BACK" : "CANCELLED");
}

/** Nothing new may begin: it is paused, or a cancel is asking whether anything has been changed. */
function isHeld(state: PipelineState): boolean {
  return state.paused || state.pending?.phase === "hold";
}

function step(draft: Draft, task: TaskRecord): boolean {
  const { definition } = task;
  if (task.state !== "WAITING" && !(definition.kind === "gate" && task.state === "BLOCKED")) return false;
  const needed = definition.dependsOn.map((id) => draft.state.tasks[id]).filter((one) => one !== undefined);
  const ready = needed.length === definition.dependsOn.length && needed.every((one) => isSatisfied(one.state));
  if (definition.kind === "gate" && !definition.run) return stepGate(draft, task, needed, ready);
  if (!ready || isHeld(draft.state)) return false;
  set(draft, task);
  return true;
}

/** A gate without an operation stands for the success of what it depends on. */
function stepGate(draft: Draft, task: TaskRecord, needed: TaskRecord[], ready: boolean): boolean {
  const before = task.state;
  const dependants = records(draft.state).filter((one) => one.definition.dependsOn.includes(task.definition.id));
  const obstacle = needed.find((one) => one.state === "FAILED" || one.state === "CANCELLED");
  if (ready) move(draft, task, "SUCCEEDED");
  else if (dependants.length > 0 && dependants.every((one) => isTaskOver(one.state))) {
    move(draft, task, "CANCELLED", "nothing waits for it any more");
  } else if (obstacle) {
    const remedy = obstacle.state === "FAILED" ? "retry it, or " : "";
    move(
      draft,
      task,
      "BLOCKED",
      `${obstacle.definition.title} is ${obstacle.state}: ${remedy}ignore this dependency with a reason, or cancel what needs it`,
    );
  } else move(draft, task, "WAITING");
  return task.state !== before;
}

/** Sets a task going, for the first time or again. */
export function set(draft: Draft, task: TaskRecord): void {
  const { definition } = task;
  switch (definition.kind) {
    case "confirm":
      move(draft, task, "AWAITING_CONFIRM");
      return;
    case "pipeline": {
      if (!definition.pipeline) throw new Error(`task ${definition.id} of kind pipeline names no pipeline`);
      task.attempt += 1;
      // What an earlier run has changed stays changed, whatever the next one says of itself.
      if (task.child?.committed) task.changed = true;
      task.child = { sequence: 0, state: "RUNNING", committed: false, open: true };
      move(draft, task, "RUNNING");
      draft.commands.push({
        do: "startChild",
        task: definition.id,
        attempt: task.attempt,
        nested: definition.pipeline,
        paused: draft.state.paused,
      });
      return;
    }
    case "activity":
    case "gate": {
      if (!definition.run) throw new Error(`task ${definition.id} of kind ${definition.kind} names no operation`);
      task.attempt += 1;
      task.started = true;
      task.inFlight = "run";
      move(draft, task, "RUNNING");
      draft.commands.push({
        do: "call",
        task: definition.id,
        attempt: task.attempt,
        role: "run",
        call: definition.run,
      });
    }
  }
}

export function end(draft: Draft, as: EndedState): void {
  draft.state.stage = "ENDED";
  draft.state.ended = as;
  if (as === "SUCCEEDED" || as === "ROLLED_BACK") delete draft.state.reason;
  draft.commands.push({ do: "end", state: as });
}

export function openChildren(state: PipelineState): TaskRecord[] {
  return records(state).filter((task) => task.child?.open);
}
