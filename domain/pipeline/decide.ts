/**
 * The pure heart of every order: `(state, event) → (state, commands)`. It knows tasks, verbs and children, but not what
 * an order is about, nor Temporal. Time comes in with the event.
 */
import { advance, end } from "./advance.ts";
import { giveAnswers, initialise, move, record, report, show } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { Command, Control, PipelineEvent, PipelineState, Report, TaskRecord } from "./model.ts";
import { recordsOf } from "./model.ts";
import { isEnded } from "./states.ts";
import type { PipelineStateName, TaskState } from "./states.ts";
import { continueRollbacks, rollbackCompiled, turnedBack } from "./rollback.ts";
import { beginStopping, continueStopping, retryFailed, settle } from "./stopping.ts";
import { acknowledged, finishPending, refuse } from "./pending.ts";
import { act } from "./verbs.ts";
import { ALREADY_CHANGED, isCommitted, records } from "./view.ts";

export function decide(before: PipelineState, event: PipelineEvent): { state: PipelineState; commands: Command[] } {
  const draft: Draft = {
    // The state is plain JSON by construction; a copy keeps `decide` a function.
    state: JSON.parse(JSON.stringify(before)) as PipelineState,
    commands: [],
    at: event.at,
    answers: [],
  };
  apply(draft, event);
  goOn(draft);
  // A cancel goes on from holding to stopping and perhaps at once to the end, or, when it is refused, lets go again.
  goOn(draft);
  acknowledgeEnd(draft);
  show(draft);
  giveAnswers(draft);
  // The end comes last: everything before it must be recorded, reported and answered.
  draft.commands.sort((a, b) => Number(a.do === "end") - Number(b.do === "end"));
  return { state: draft.state, commands: draft.commands };
}

function goOn(draft: Draft): void {
  advance(draft);
  continueRollbacks(draft);
  continueStopping(draft);
  finishPending(draft);
}

function apply(draft: Draft, event: PipelineEvent): void {
  const { state } = draft;
  // After the end there are only answers.
  if (state.stage === "ENDED" && event.type !== "verb" && event.type !== "controlled") return;
  switch (event.type) {
    case "opened":
      if (state.stage === "INITIALIZING") initialise(draft);
      else if (state.parent && state.parent.attempt > 1) recordAfresh(draft);
      return;
    case "verb":
      act(draft, event.verb);
      return;
    case "initialised":
      initialised(draft, event);
      return;
    case "initialisationFailed":
      initialisationFailed(draft, event.reason);
      return;
    case "rollbackCompiled":
    case "rollbackNotCompiled":
      rollbackCompiled(draft, event);
      return;
    case "locked":
      if (state.stage !== "STARTING" || !state.pending) return;
      state.pending.phase = "observing";
      initialise(draft, state.digest);
      return;
    case "lockRefused":
      if (state.stage !== "STARTING") return;
      state.stage = "READY";
      delete state.reason;
      refuse(draft, { problem: "locked", detail: event.detail });
      return;
    case "finished":
    case "stopped": {
      const task = state.tasks[event.task];
      // What an attempt that was given up has to say no longer counts.
      if (!task || task.attempt !== event.attempt || task.inFlight !== event.role) return;
      delete task.inFlight;
      if (event.type === "stopped") {
        if (event.role !== "run") settle(draft, task, event.role, "it was interrupted");
        else {
          task.changed = true;
          if (state.stage === "RUNNING") move(draft, task, "FAILED", "it was interrupted: retry it");
        }
        return;
      }
      finished(draft, task, event);
      return;
    }
    case "reported":
      reported(draft, event.report);
      return;
    case "controlled":
      controlled(draft, event.control);
      return;
    case "childLost": {
      const task = state.tasks[event.task];
      if (!task?.child?.open || (event.attempt ?? task.attempt) !== task.attempt) return;
      task.child.open = false;
      // It took with it what it had not said yet, and what it could have taken back.
      if (task.child.sequence > 0) task.changed = true;
      // Who is being stopped to be rolled back needs nothing more of it: the way back begins by making safe.
      if (task.turn?.phase !== "stopping") move(draft, task, "FAILED", event.reason);
      acknowledged(draft, task, undefined);
      return;
    }
    case "abandoned":
      if (state.stage === "RUNNING" || state.stage === "STOPPING") {
        beginStopping(draft, "ABANDONED", {
          id: "abandoned",
          reason: event.reason,
          actor: { subject: "cellwright", role: "system" },
        });
      } else end(draft, "ABANDONED");
  }
}

function initialised(draft: Draft, event: Extract<PipelineEvent, { type: "initialised" }>): void {
  const { state } = draft;
  if (event.generation !== state.compiled) return;
  if (state.stage !== "INITIALIZING" && state.stage !== "STARTING") return;
  if (state.stage === "STARTING" && event.digest === state.digest) {
    state.stage = "RUNNING";
    delete state.reason;
    if (state.pending) draft.answers.push({ verb: state.pending.verb });
    delete state.pending;
    return;
  }
  const starting = state.stage === "STARTING";
  const old = state.digest;
  state.generation = event.generation;
  state.digest = event.digest;
  state.tasks = recordsOf(event.tasks);
  state.stage = "READY";
  delete state.reason;
  record(draft, { type: "planned", generation: event.generation, digest: event.digest });
  if (starting) {
    draft.commands.push({ do: "releaseLocks" });
    refuse(draft, {
      problem: "digest-mismatch",
      detail: `The world has changed since the preview ${old}: the plan is now ${event.digest}. Nothing was started. Look at the new preview and start again with its digest.`,
    });
  } else if (state.pending) {
    draft.answers.push({ verb: state.pending.verb });
    delete state.pending;
  }
}

function initialisationFailed(draft: Draft, reason: string): void {
  const { state } = draft;
  if (state.stage === "STARTING") {
    state.stage = "READY";
    delete state.reason;
    draft.commands.push({ do: "releaseLocks" });
    refuse(draft, {
      problem: "initialisation-failed",
      detail: `The second look at the world before the start failed, so nothing was started: ${reason}`,
    });
    return;
  }
  if (state.stage !== "INITIALIZING") return;
  state.stage = "INIT_FAILED";
  state.reason = reason;
  if (state.pending) draft.answers.push({ verb: state.pending.verb });
  delete state.pending;
}

function finished(draft: Draft, task: TaskRecord, event: Extract<PipelineEvent, { type: "finished" }>): void {
  const { outcome, role } = event;
  if (role !== "run") {
    settle(draft, task, role, outcome.outcome === "done" ? undefined : outcome.reason);
    return;
  }
  if (outcome.changed) task.changed = true;
  if (draft.state.stage === "STOPPING") {
    // It came to its end before it heard that it should stop. What it did is still to be taken back or made safe.
    if (outcome.outcome === "done") move(draft, task, "SUCCEEDED", outcome.summary);
    else move(draft, task, "RUNNING", outcome.reason);
    return;
  }
  if (outcome.outcome === "done") move(draft, task, "SUCCEEDED", outcome.summary);
  else move(draft, task, outcome.outcome === "blocked" ? "BLOCKED" : "FAILED", outcome.reason);
}

/** A run before this one was lost, and left its records behind. */
function recordAfresh(draft: Draft): void {
  for (const task of records(draft.state)) {
    record(draft, { type: "taskChanged", task: task.definition.id, state: task.state, attempt: task.attempt });
  }
}

/** How a child's state shows on the task that stands for it. */
const SHOWN: Partial<Record<PipelineStateName, TaskState>> = {
  SUCCEEDED: "SUCCEEDED",
  CANCELLED: "CANCELLED",
  ROLLED_BACK: "CANCELLED",
  SUPERSEDED: "CANCELLED",
  TERMINATED: "CANCELLED",
  ABANDONED: "FAILED",
  FAILED: "FAILED",
  ROLLBACK_FAILED: "FAILED",
  AWAITING_CONFIRM: "AWAITING_CONFIRM",
  AWAITING_ROLLBACK_CONFIRM: "AWAITING_CONFIRM",
  BLOCKED: "BLOCKED",
};

function reported(draft: Draft, said: Report): void {
  const task = draft.state.tasks[said.task];
  if (!task?.child?.open || said.attempt !== task.attempt) return;
  if (said.sequence > task.child.sequence) {
    task.child = {
      sequence: said.sequence,
      state: said.state,
      committed: said.committed,
      open: !isEnded(said.state),
    };
    if (said.state === "ROLLED_BACK") turnedBack(task);
    // While it is being stopped to be rolled back, or its rollback to be given up, its end is not the last word.
    if (!isTurning(draft, task)) move(draft, task, SHOWN[said.state] ?? "RUNNING", said.reason);
  }
  if (said.acknowledges && said.acknowledges.id === draft.state.pending?.verb.id) {
    acknowledged(draft, task, said.acknowledges.refused);
  } else if (!task.child.open) acknowledged(draft, task, undefined);
}

function isTurning({ state }: Draft, { turn }: TaskRecord): boolean {
  return (
    turn?.phase === "stopping" || (turn?.phase === "back" && state.rollbacks?.[turn.rollback]?.phase === "cancelling")
  );
}

/** What the pipeline above asks of this one. */
function controlled(draft: Draft, asked: Control): void {
  const { state } = draft;
  if (asked.action === "cancel" && isCommitted(state)) {
    report(draft, { id: asked.id, refused: { problem: "already-changed", detail: ALREADY_CHANGED } });
    return;
  }
  if (state.stage === "ENDED") {
    report(draft, { id: asked.id });
    return;
  }
  switch (asked.action) {
    case "hold":
    case "release":
      state.paused = asked.action === "hold";
      if (state.stage === "RUNNING") {
        if (asked.action === "release") delete state.reason;
        else if (asked.reason !== undefined) state.reason = asked.reason;
      }
      report(draft, { id: asked.id });
      return;
    case "retry":
      retryFailed(draft);
      report(draft, { id: asked.id });
      return;
    case "cancel":
      state.owed = asked.id;
      beginStopping(draft, "CANCELLED", {
        id: asked.id,
        reason: asked.reason ?? "being cancelled",
        actor: asked.actor,
      });
      return;
    case "terminate":
      state.owed = asked.id;
      beginStopping(draft, "TERMINATED", {
        id: asked.id,
        reason: asked.reason ?? "being terminated",
        actor: asked.actor,
      });
  }
}

/** A child that was told to end owes the answer until it has ended. */
function acknowledgeEnd(draft: Draft): void {
  if (draft.state.stage !== "ENDED" || !draft.state.owed) return;
  report(draft, { id: draft.state.owed });
  delete draft.state.owed;
}
