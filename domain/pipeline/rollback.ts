/**
 * Rolls back what an order has changed: one task (kind `pipeline`), or the whole order in reverse order of dependency.
 * First everything on the way forward is stopped and made safe; then a new plan is made from what is there; then the
 * same children run again, on that plan, the other way. They never go forward again.
 */
import { control, move, record } from "./draft.ts";
import type { Draft } from "./draft.ts";
import { end } from "./advance.ts";
import type { Actor, PipelineEvent, PipelineState, Refusal, Rollback, TaskRecord, Verb } from "./model.ts";
import { isTaskOver } from "./states.ts";
import { isTaskCommitted, records, wholeRollback } from "./view.ts";

/** Who asks, for children and for the records. */
type By = { id: string; actor: Actor; reason: string };

/** Begins to roll back the whole order. What has changed nothing is cancelled. */
export function rollBackAll(draft: Draft, verb: Verb, reason: string): void {
  const { state } = draft;
  const by: By = { id: verb.id, actor: verb.actor, reason };
  state.paused = false;
  delete state.reason;
  begin(draft, verb, true, reason);
  for (const task of records(state)) {
    if (task.turn?.phase === "stopping" || task.turn?.phase === "back") {
      // Its own rollback goes on; it was only held to see where everybody stands.
      control(draft, task.child?.open ? [task] : [], { ...by, action: "release" });
    } else if (task.definition.kind === "pipeline" && isTaskCommitted(state, task)) turnBack(draft, task, by);
    else if (task.child?.open) control(draft, [task], { ...by, action: "cancel" });
    else if (!isTaskOver(task.state)) move(draft, task, "CANCELLED", reason);
  }
  for (const task of records(state)) {
    if (task.turn?.phase === "stopping") task.turn.after = dependants(state, task).map((one) => one.definition.id);
  }
}

/** Begins to roll back one task that has changed something. */
export function rollBackOne(draft: Draft, verb: Verb, task: TaskRecord, reason: string): void {
  begin(draft, verb, false, reason);
  turnBack(draft, task, { id: verb.id, actor: verb.actor, reason });
}

function begin({ state }: Draft, verb: Verb, whole: boolean, reason: string): void {
  const { options = {} } = verb;
  const rollback: Rollback = {
    whole,
    confirm: !whole,
    despitePause: state.paused,
    phase: "stopping",
    generation: 0,
    reason,
    options,
  };
  state.rollbacks = { ...state.rollbacks, [verb.id]: rollback };
}

/** While everything is rolled back, a child that should only have been cancelled was lost: what it did goes back, too. */
function join(draft: Draft, whole: Rollback & { id: string }, task: TaskRecord): void {
  if (!isTaskCommitted(draft.state, task)) {
    move(draft, task, "CANCELLED", task.reason);
    return;
  }
  const id = `${whole.id} ${task.definition.id}`;
  const { id: _id, ...like } = whole;
  const rollback: Rollback = { ...like, whole: false, phase: "stopping", generation: 0 };
  draft.state.rollbacks = { ...draft.state.rollbacks, [id]: rollback };
  const after = dependants(draft.state, task).map((one) => one.definition.id);
  task.turn = { rollback: id, after, phase: "stopping" };
  move(draft, task, "RUNNING", whole.reason);
}

function turnBack(draft: Draft, task: TaskRecord, by: By): void {
  task.turn = { rollback: by.id, after: [], phase: "stopping" };
  // Until it is back, also when the child finds that what was in flight has changed nothing.
  task.changed = true;
  move(draft, task, "RUNNING", `being stopped, to be rolled back: ${by.reason}`);
  if (task.child?.open) control(draft, [task], { ...by, action: "terminate" });
  // Who has not begun yet must not begin on the strength of what is being taken back.
  for (const gate of records(draft.state)) {
    const { kind, run, dependsOn } = gate.definition;
    if (kind === "gate" && !run && gate.state === "SUCCEEDED" && dependsOn.includes(task.definition.id))
      reopen(draft, gate);
  }
}

function reopen(draft: Draft, gate: TaskRecord): void {
  const waits = records(draft.state).some(
    (one) => one.state === "WAITING" && one.definition.dependsOn.includes(gate.definition.id),
  );
  if (waits) move(draft, gate, "WAITING");
}

/** Why a task cannot be rolled back alone: others that need it have been changed, too, or are about to. */
export function refusalOfOne(state: PipelineState, task: TaskRecord): Refusal | undefined {
  const begun = dependants(state, task).filter((one) => one.child?.open || isTaskCommitted(state, one));
  if (begun.length === 0) return undefined;
  const names = begun.map((one) => one.definition.title).join(", ");
  return {
    problem: "needed-by-others",
    detail: `${task.definition.title} is needed by ${names}, which this order has begun to change, too: cancel or roll back ${names} first, or roll back the whole order.`,
  };
}

/** Tasks of kind `pipeline` that need a task, directly or by others in between. */
function dependants(state: PipelineState, task: TaskRecord): TaskRecord[] {
  const found = new Set<TaskRecord>();
  const visit = (id: string): void => {
    for (const one of records(state)) {
      if (!one.definition.dependsOn.includes(id) || found.has(one)) continue;
      found.add(one);
      visit(one.definition.id);
    }
  };
  visit(task.definition.id);
  return [...found].filter((one) => one.definition.kind === "pipeline");
}

/** Goes on with every rollback as far as it goes now. */
export function continueRollbacks(draft: Draft): void {
  const { state } = draft;
  if (state.stage !== "RUNNING") return;
  const whole = wholeRollback(state);
  if (whole && whole.phase !== "cancelling") {
    for (const task of records(state)) {
      if (task.definition.kind === "pipeline" && task.state === "FAILED" && !task.turn && !task.child?.open)
        join(draft, whole, task);
    }
  }
  for (const [id, rollback] of Object.entries(state.rollbacks ?? {})) {
    const tasks = records(state).filter((task) => task.turn?.rollback === id);
    switch (rollback.phase) {
      case "stopping":
        if (tasks.every((task) => !task.child?.open)) compile(draft, rollback, tasks);
        break;
      case "running":
        for (const task of tasks) goBack(draft, rollback, task);
        conclude(draft, id, rollback, tasks);
        break;
      case "cancelling":
        if (tasks.every((task) => !task.child?.open)) give(draft, id, rollback, tasks);
        break;
      case "compiling":
      case "failed":
      case "confirming":
    }
  }
}

function compile(draft: Draft, rollback: Rollback, tasks: TaskRecord[]): void {
  const { state } = draft;
  rollback.phase = "compiling";
  state.compiled += 1;
  rollback.generation = state.compiled;
  draft.commands.push({
    do: "compileRollback",
    generation: state.compiled,
    subjects: tasks.map((task) => task.definition.pipeline?.subject ?? task.definition.title),
    confirm: rollback.confirm,
    options: rollback.options,
  });
}

/** The plan of the way back is there, or cannot be made. */
export function rollbackCompiled(
  draft: Draft,
  event: Extract<PipelineEvent, { type: "rollbackCompiled" | "rollbackNotCompiled" }>,
): void {
  const { state } = draft;
  const { generation } = event;
  const found = Object.entries(state.rollbacks ?? {}).find(
    ([, one]) => one.generation === generation && one.phase === "compiling",
  );
  // It was cancelled meanwhile, or the order is being ended.
  if (!found) return;
  const [key, rollback] = found;
  const tasks = records(state).filter((task) => task.turn?.rollback === key);
  if (event.type === "rollbackNotCompiled") {
    rollback.phase = "failed";
    for (const task of tasks) move(draft, task, "FAILED", `the way back could not be planned: ${event.reason}`);
    return;
  }
  rollback.phase = "running";
  record(draft, {
    type: "rollbackPlanned",
    generation,
    tasks: tasks.map(({ definition: { id, title, pipeline } }) => ({
      task: id,
      to: event.to[pipeline?.subject ?? title] ?? null,
    })),
    reason: rollback.reason,
  });
  for (const task of tasks) move(draft, task, "RUNNING", rollback.reason);
}

function isPaused(state: PipelineState, rollback: Rollback): boolean {
  return state.paused && !rollback.despitePause;
}

function goBack(draft: Draft, rollback: Rollback, task: TaskRecord): void {
  const { state } = draft;
  const { turn } = task;
  if (turn?.phase !== "stopping" || isPaused(state, rollback) || state.pending?.phase === "hold") return;
  const first = turn.after.map((id) => state.tasks[id]).filter((one) => one !== undefined);
  if (first.some((one) => !isTaskOver(one.state))) return;
  startBack(draft, rollback, task);
}

/** Starts the child of a task on its way back, for the first time or again after it was lost. */
function startBack(draft: Draft, rollback: Rollback, task: TaskRecord): void {
  const { pipeline, id } = task.definition;
  if (!pipeline || !task.turn) throw new Error(`task ${id} has no way back`);
  task.turn.phase = "back";
  task.attempt += 1;
  task.changed = true;
  task.child = { sequence: 0, state: "ROLLING_BACK", committed: true, open: true };
  move(draft, task, "RUNNING", rollback.reason);
  draft.commands.push({
    do: "startChild",
    task: id,
    attempt: task.attempt,
    nested: { ...pipeline, workflowType: pipeline.rollbackType ?? pipeline.workflowType },
    paused: isPaused(draft.state, rollback),
    back: rollback.generation,
  });
}

/** A child on its way back has said that it is there. */
export function turnedBack(task: TaskRecord): void {
  if (task.turn) task.turn.phase = "done";
  // What was taken back no longer stands in the way of a cancel.
  task.changed = false;
  if (task.child) task.child.committed = false;
}

function conclude(draft: Draft, id: string, rollback: Rollback, tasks: TaskRecord[]): void {
  const { state } = draft;
  if (!tasks.every((task) => task.turn?.phase === "done")) return;
  if (!rollback.whole) {
    drop(state, id);
    return;
  }
  if (records(state).every((task) => isTaskOver(task.state))) rollback.phase = "confirming";
}

/** Somebody has looked: everything is as it was. */
export function confirmRollback(draft: Draft): void {
  drop(draft.state, wholeRollback(draft.state)?.id ?? "");
  end(draft, "ROLLED_BACK");
}

/** Stops rollbacks where they are: of one task, or all. */
export function cancelRollbacks(draft: Draft, by: By, task?: TaskRecord): void {
  const { state } = draft;
  for (const [id, rollback] of Object.entries(state.rollbacks ?? {})) {
    if (task && task.turn?.rollback !== id) continue;
    rollback.phase = "cancelling";
    rollback.reason = by.reason;
    const open = records(state).filter((one) => one.turn?.rollback === id && one.child?.open);
    control(draft, open, { ...by, action: "terminate" });
  }
  continueRollbacks(draft);
}

/** What was on its way back stays where it is. */
function give(draft: Draft, id: string, rollback: Rollback, tasks: TaskRecord[]): void {
  for (const task of tasks) {
    if (!task.turn || task.turn.phase === "done") continue;
    task.turn.phase = "cancelled";
    task.changed = true;
    move(
      draft,
      task,
      "FAILED",
      `${rollback.reason}: it may be live in several versions. Roll it back again, supersede this order by a new one, or terminate it`,
    );
  }
  drop(draft.state, id);
}

function drop(state: PipelineState, id: string): void {
  const { [id]: _gone, ...left } = state.rollbacks ?? {};
  if (Object.keys(left).length > 0) state.rollbacks = left;
  else delete state.rollbacks;
}

/** Goes on with a rollback that failed: its plan is made anew, or a lost child is started again. */
export function retryRollback(draft: Draft, task: TaskRecord): void {
  const rollback = task.turn && draft.state.rollbacks?.[task.turn.rollback];
  if (!rollback || !task.turn) return;
  if (rollback.phase === "failed") {
    rollback.phase = "stopping";
    for (const one of records(draft.state)) {
      if (one.turn?.rollback === task.turn.rollback) move(draft, one, "RUNNING", rollback.reason);
    }
  } else if (rollback.phase === "running" && task.turn.phase === "back" && !task.child?.open) {
    startBack(draft, rollback, task);
  }
}
