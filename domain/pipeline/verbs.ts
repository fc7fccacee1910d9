/** What people ask for: at once, or in steps that wait for locks, snapshots and the acknowledgement of children. */
import { advance, end, openChildren } from "./advance.ts";
import { control, fingerprintOf, initialise, move } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { Control, Pending, Refusal, TaskRecord, Verb } from "./model.ts";
import { beginStopping, retry, retryFailed } from "./stopping.ts";
import { ALREADY_CHANGED, records, refusalOf } from "./view.ts";

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
  const refusal = refusalOf(state, verb);
  if (refusal) {
    draft.answers.push({ verb, refusal });
    return;
  }
  if (verb.task === undefined) actOnOrder(draft, verb);
  else actOnTask(draft, verb, state.tasks[verb.task]);
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
      ask(draft, verb, "apply", openChildren(state), { ...by, action: "hold" });
      return;
    case "resume":
      state.paused = false;
      delete state.reason;
      ask(draft, verb, "apply", openChildren(state), { ...by, action: "release" });
      return;
    case "retry": {
      const failed = openChildren(state).filter((task) => task.state === "FAILED");
      retryFailed(draft);
      ask(draft, verb, "apply", failed, { ...by, action: "retry" });
      return;
    }
    case "cancel":
      if (state.stage !== "RUNNING") {
        end(draft, "CANCELLED");
        draft.answers.push({ verb });
        return;
      }
      // Two halves: first nobody may start anything, then everybody is asked whether something has been changed.
      ask(draft, verb, "hold", openChildren(state), { ...by, action: "hold" });
      return;
    case "terminate":
      state.pending = pending(
        verb,
        "apply",
        openChildren(state).map((task) => task.definition.id),
      );
      beginStopping(draft, "TERMINATED", by);
  }
}

function actOnTask(draft: Draft, verb: Extract<Verb, { task: string }>, task: TaskRecord | undefined): void {
  if (!task) return;
  const said = verb.reason ? `: ${verb.reason}` : "";
  switch (verb.verb) {
    case "confirm":
      move(draft, task, "SUCCEEDED", `confirmed by ${verb.actor.subject}${said}`);
      break;
    case "ignore":
      move(draft, task, "IGNORED", `ignored by ${verb.actor.subject}${said}`);
      break;
    case "retry":
      if (task.child?.open) {
        ask(draft, verb, "apply", [task], { id: verb.id, actor: verb.actor, action: "retry" });
        return;
      }
      retry(draft, task);
      break;
    case "cancel":
      if (task.child?.open) {
        ask(draft, verb, "apply", [task], {
          id: verb.id,
          actor: verb.actor,
          action: "cancel",
          reason: `cancelled by ${verb.actor.subject}${said}`,
        });
        return;
      }
      if (task.child?.committed) {
        draft.answers.push({
          verb,
          refusal: { problem: "already-changed", detail: `${task.definition.title}: ${ALREADY_CHANGED}.` },
        });
        return;
      }
      move(draft, task, "CANCELLED", `cancelled by ${verb.actor.subject}${said}`);
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
export function acknowledged(draft: Draft, task: TaskRecord, refused: string | undefined): void {
  const { pending: open } = draft.state;
  if (!open?.waiting.includes(task.definition.id)) return;
  open.waiting = open.waiting.filter((id) => id !== task.definition.id);
  if (refused !== undefined) {
    open.refused.push({ subject: task.definition.pipeline?.subject ?? task.definition.id, detail: refused });
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
  if (!open || open.phase === "locking" || open.phase === "observing" || open.waiting.length > 0) return;
  const { verb } = open;
  switch (open.phase) {
    case "hold": {
      const by = {
        id: verb.id,
        actor: verb.actor,
        reason: `cancelled by ${verb.actor.subject}${verb.reason ? `: ${verb.reason}` : ""}`,
      };
      const changed = records(state).filter((task) => task.child?.committed);
      if (changed.length === 0) {
        open.phase = "apply";
        open.waiting = openChildren(state).map((task) => task.definition.id);
        beginStopping(draft, "CANCELLED", by);
        return;
      }
      open.phase = "release";
      open.refused = changed.map((task) => ({
        subject: task.definition.pipeline?.subject ?? task.definition.title,
        detail: ALREADY_CHANGED,
      }));
      if (!state.paused) {
        const held = openChildren(state);
        open.waiting = held.map((task) => task.definition.id);
        control(draft, held, { id: verb.id, actor: verb.actor, action: "release" });
      }
      if (open.waiting.length > 0) return;
      break;
    }
    case "apply":
    case "release":
      break;
  }
  // A verb that ends the order is answered when it has ended, so that the answer is the last word.
  if (state.stage === "STOPPING" && open.refused.length === 0) return;
  const [first] = open.refused;
  if (first) {
    const detail = open.refused.map((one) => `${one.subject}: ${one.detail}`).join("; ");
    refuse(draft, {
      problem: state.stage === "STOPPING" ? "undo-failed" : "already-changed",
      detail: `${verb.verb} was refused: ${detail}.`,
    });
    return;
  }
  draft.answers.push({ verb });
  delete state.pending;
}
