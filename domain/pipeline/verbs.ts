/** What people ask for: at once, or in steps that wait for locks, snapshots and the acknowledgement of children. */
import { advance, end, openChildren } from "./advance.ts";
import { fingerprintOf, initialise, move } from "./draft.ts";
import type { Draft } from "./draft.ts";
import type { Refusal, TaskRecord, Verb } from "./model.ts";
import { ask, pending, refuse, said } from "./pending.ts";
import { refusalOf } from "./refusal.ts";
import { cancelRollbacks, confirmRollback, refusalOfOne, rollBackOne } from "./rollback.ts";
import { beginStopping, retry, retryFailed } from "./stopping.ts";
import { ALREADY_CHANGED, hasTurn, isRetryable, isTaskCommitted } from "./view.ts";

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
      state.reason = `${by.reason}: taking the locks (and the place of the order that this one supersedes, if it does) and looking again`;
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
