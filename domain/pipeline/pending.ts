/** Verbs that wait: for children that acknowledge, and, in a cancel or a rollback, for what they then say. */
import { openChildren } from "./advance.ts";
import { control } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { Control, Pending, Refusal, TaskRecord, Verb } from "./model.ts";
import { rollBackAll } from "./rollback.ts";
import { beginStopping } from "./stopping.ts";
import { ALREADY_CHANGED, isCommitted, isStuck, isTaskCommitted, records, stateOf } from "./view.ts";

/** A person's reason, to be added to a sentence. */
export function said({ reason }: Verb): string {
  return reason ? `: ${reason}` : "";
}

export function pending(verb: Verb, phase: Pending["phase"], waiting: string[]): Pending {
  return { verb, phase, waiting, refused: [] };
}

/** Asks children for something, and waits until each has acknowledged. */
export function ask(draft: Draft, verb: Verb, phase: Pending["phase"], children: TaskRecord[], message: Control): void {
  draft.state.pending = pending(
    verb,
    phase,
    children.map((task) => task.definition.id),
  );
  control(draft, children, message);
}

/** A child has acknowledged, refused, or is gone. */
export function acknowledged(draft: Draft, task: TaskRecord, refused: Refusal | undefined): void {
  const { pending: open } = draft.state;
  if (!open?.waiting.includes(task.definition.id)) return;
  open.waiting = open.waiting.filter((id) => id !== task.definition.id);
  if (refused !== undefined) {
    open.refused.push({ subject: subjectOf(task), ...refused });
  }
}

export function refuse(draft: Draft, refusal: Refusal): void {
  const { pending: open } = draft.state;
  if (open) draft.answers.push({ verb: open.verb, refusal });
  delete draft.state.pending;
}

/** Goes on with the verb that waits, once nobody is waited for any more. */
export function finishPending(draft: Draft): void {
  const { state } = draft;
  const { pending: open } = state;
  if (!open) return;
  if (state.stage === "ENDED") {
    conclude(draft, open);
    return;
  }
  if (open.phase === "locking" || open.phase === "observing" || open.waiting.length > 0) return;
  if (open.phase === "hold") {
    decideCancel(draft, open);
    return;
  }
  // A verb that ends the order is answered when it has ended, so that the answer is the last word; or when it is stuck.
  if (state.stage === "STOPPING" && stateOf(state) !== "FAILED") return;
  conclude(draft, open);
}

/** Everybody stands still: either nothing has been changed and the cancel goes on, or all are let go again. */
function decideCancel(draft: Draft, open: Pending): void {
  const { state } = draft;
  const { verb } = open;
  const turns = verb.verb === "rollback";
  if (turns && (isCommitted(state) || state.rollbacks)) {
    rollBackAll(draft, verb, `rollback by ${verb.actor.subject}${said(verb)}`);
    conclude(draft, open);
    return;
  }
  if (!isCommitted(state) && !state.rollbacks) {
    open.phase = "apply";
    open.waiting = openChildren(state).map((task) => task.definition.id);
    beginStopping(draft, "CANCELLED", {
      id: verb.id,
      actor: verb.actor,
      reason: `${turns ? "nothing to roll back, so cancelled" : "cancelled"} by ${verb.actor.subject}${said(verb)}`,
    });
    return;
  }
  open.phase = "release";
  open.refused = records(state)
    .filter((task) => isTaskCommitted(state, task))
    .map((task) => ({ subject: subjectOf(task), problem: "already-changed", detail: ALREADY_CHANGED }));
  // What was paused before stays so.
  if (!state.paused) {
    const held = openChildren(state);
    open.waiting = held.map((task) => task.definition.id);
    control(draft, held, { id: verb.id, actor: verb.actor, action: "release" });
  }
  if (open.waiting.length === 0) conclude(draft, open);
}

/** Answers the verb that waited. */
function conclude(draft: Draft, open: Pending): void {
  const refusal = refusalAtLast(draft, open);
  if (refusal) {
    refuse(draft, refusal);
    return;
  }
  draft.answers.push({ verb: open.verb });
  delete draft.state.pending;
}

function refusalAtLast({ state }: Draft, { verb, refused }: Pending): Refusal | undefined {
  const say = (those: { subject: string; detail: string }[]): string =>
    `${verb.verb} was refused: ${those.map((one) => `${one.subject}: ${one.detail}`).join("; ")}.`;
  if (state.stage === "STOPPING") {
    const stuck = records(state).filter((task) => isStuck(state, task));
    return {
      problem: "undo-failed",
      detail: say(stuck.map((task) => ({ subject: subjectOf(task), detail: task.reason ?? "it failed" }))),
    };
  }
  const [first] = refused;
  if (first) return { problem: first.problem, detail: say(refused) };
  if (verb.task !== undefined) {
    const task = state.tasks[verb.task];
    if (verb.verb !== "cancel" || !task || task.state === "CANCELLED") return undefined;
    return {
      problem: isTaskCommitted(state, task) ? "already-changed" : "verb-not-allowed",
      detail: say([{ subject: subjectOf(task), detail: `it became ${task.state} meanwhile` }]),
    };
  }
  const missed =
    state.stage === "ENDED" &&
    (verb.verb === "start" || verb.verb === "initialise" || (verb.verb === "cancel" && state.ended !== "CANCELLED"));
  return missed
    ? { problem: "verb-not-allowed", detail: `${verb.verb} came too late: the order ended meanwhile, ${state.ended}.` }
    : undefined;
}

function subjectOf(task: TaskRecord): string {
  return task.definition.pipeline?.subject ?? task.definition.title;
}
