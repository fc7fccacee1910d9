/** What people ask for: at once, or in steps that wait for locks, snapshots and the acknowledgement of children. */
import { advance, end, openChildren } from "./advance.ts";
import { control, fingerprintOf, initialise, move } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { Control, Pending, Refusal, TaskRecord, Verb } from "./model.ts";
import { cancelRollbacks, confirmRollback, refusalOfOne, rollBackAll, rollBackOne } from "./rollback.ts";
import { beginStopping, retry, retryFailed } from "./stopping.ts";
import {
  ALREADY_CHANGED,
  hasTurn,
  isCommitted,
  isRetryable,
  isStuck,
  isTaskCommitted,
  records,
  refusalOf,
  stateOf,
} from "./view.ts";

export function act(draft: Draft, verb: Verb): void {
  const { state } = draft;
  const given = state.answers.find((one) => one.id === verb.id);
  if (given) {
    const answer =
      given.fingerprint === fingerprintOf(verb)
        ? given.answer
        : {
            ...given.answer,
            ok: false as const,
            problem: "key-reused" as const,
            detail: "This Idempotency-Key was used for another request. Use a new key for a new request.",
          };
    draft.commands.push({ do: "answer", id: verb.id, answer });
    return;
  }
  const refusal = refusalOf(state, verb) ?? refusalOfTurn(draft, verb);
  if (refusal) {
    draft.answers.push({ verb, refusal });
    return;
  }
  if (verb.task === undefined) actOnOrder(draft, verb);
  else actOnTask(draft, verb, state.tasks[verb.task]);
}

/** Whoever calls lets verbs wait for their turn; should it not, that loses neither verb. */
function refusalOfTurn({ state }: Draft, verb: Verb): Refusal | undefined {
  if (hasTurn(state, verb)) return undefined;
  const other = state.pending?.verb;
  return {
    problem: "verb-not-allowed",
    detail: `${verb.verb} has to wait: ${other?.verb} by ${other?.actor.subject} is under way. Try again when it is done.`,
  };
}

function actOnOrder(draft: Draft, verb: Extract<Verb, { task?: undefined }>): void {
  const { state } = draft;
  const by = {
    id: verb.id,
    actor: verb.actor,
    reason: `${verb.verb} by ${verb.actor.subject}${verb.reason ? `: ${verb.reason}` : ""}`,
  };
  switch (verb.verb) {
    case "initialise":
      state.stage = "INITIALIZING";
      delete state.reason;
      state.pending = pending(verb, "observing", []);
      initialise(draft);
      return;
    case "start":
      if (verb.digest !== state.digest) {
        draft.answers.push({
          verb,
          refusal: {
            problem: "digest-mismatch",
            detail: `The preview that you name (${verb.digest}) is not the present one (${state.digest}). Look at the present preview and start with its digest.`,
          },
        });
        return;
      }
      state.stage = "STARTING";
      state.pending = pending(verb, "locking", []);
      draft.commands.push({ do: "acquireLocks" });
      return;
    case "pause":
      state.paused = true;
      state.reason = by.reason;
      for (const rollback of Object.values(state.rollbacks ?? {})) rollback.despitePause = false;
      ask(draft, verb, "apply", openChildren(state), { ...by, action: "hold" });
      return;
    case "resume":
      state.paused = false;
      delete state.reason;
      ask(draft, verb, "apply", openChildren(state), { ...by, action: "release" });
      return;
    case "retry": {
      const failed = openChildren(state).filter((task) => isRetryable(task));
      retryFailed(draft);
      ask(draft, verb, "apply", failed, { ...by, action: "retry" });
      return;
    }
    case "confirm-rollback":
      confirmRollback(draft);
      draft.answers.push({ verb });
      return;
    case "cancel-rollback":
      cancelRollbacks(draft, { ...by, reason: `the rollback was cancelled by ${verb.actor.subject}${said(verb)}` });
      draft.answers.push({ verb });
      return;
    case "rollback":
    case "cancel":
      if (state.stage !== "RUNNING") {
        end(draft, "CANCELLED");
        draft.answers.push({ verb });
        return;
      }
      // Two halves: first nobody may start anything, then everybody is asked whether something has been changed.
      ask(draft, verb, "hold", openChildren(state), {
        id: by.id,
        actor: by.actor,
        action: "hold",
        // What is paused already keeps the reason of the pause.
        ...(!state.paused && { reason: by.reason }),
      });
      return;
    case "supersede":
    case "terminate":
      refuse(draft, { problem: "verb-not-allowed", detail: `It was overtaken: ${by.reason}.` });
      state.pending = pending(
        verb,
        "apply",
        openChildren(state).map((task) => task.definition.id),
      );
      beginStopping(draft, verb.verb === "terminate" ? "TERMINATED" : "SUPERSEDED", by);
  }
}

function said({ reason }: Verb): string {
  return reason ? `: ${reason}` : "";
}

function actOnTask(draft: Draft, verb: Extract<Verb, { task: string }>, task: TaskRecord | undefined): void {
  if (!task) return;
  const { state } = draft;
  const by = `by ${verb.actor.subject}${said(verb)}`;
  switch (verb.verb) {
    case "confirm":
      move(draft, task, "SUCCEEDED", `confirmed ${by}`);
      break;
    case "ignore":
      move(draft, task, "IGNORED", `ignored ${by}`);
      break;
    case "rollback": {
      const refusal = refusalOfOne(state, task);
      if (refusal) {
        draft.answers.push({ verb, refusal });
        return;
      }
      rollBackOne(draft, verb, task, `rollback ${by}`);
      break;
    }
    case "cancel-rollback":
      cancelRollbacks(draft, { id: verb.id, actor: verb.actor, reason: `the rollback was cancelled ${by}` }, task);
      break;
    case "retry":
      if (task.child?.open) {
        ask(draft, verb, "apply", [task], { id: verb.id, actor: verb.actor, action: "retry" });
        return;
      }
      retry(draft, task);
      break;
    case "cancel":
      if (isTaskCommitted(state, task)) {
        draft.answers.push({
          verb,
          refusal: { problem: "already-changed", detail: `${task.definition.title}: ${ALREADY_CHANGED}.` },
        });
        return;
      }
      if (task.child?.open) {
        ask(draft, verb, "apply", [task], {
          id: verb.id,
          actor: verb.actor,
          action: "cancel",
          reason: `cancelled ${by}`,
        });
        return;
      }
      move(draft, task, "CANCELLED", `cancelled ${by}`);
  }
  // Whoever confirmed shall see what it set going.
  advance(draft);
  draft.answers.push({ verb });
}

function pending(verb: Verb, phase: Pending["phase"], waiting: string[]): Pending {
  return { verb, phase, waiting, refused: [] };
}

/** Asks children for something, and waits until each has acknowledged. */
function ask(draft: Draft, verb: Verb, phase: Pending["phase"], children: TaskRecord[], message: Control): void {
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
