/** Why a verb cannot be had now: messages say what, where and what to do. */
import { generationOf } from "./task.ts";
import type { PipelineState, Refusal, TaskVerb, Verb } from "./model.ts";
import {
  ALREADY_CHANGED,
  allowedOrderVerbs,
  allowedTaskVerbs,
  canRetryUndo,
  isCommitted,
  isStuck,
  isTaskCommitted,
  records,
  standingOf,
  stateOf,
} from "./view.ts";

/** Why a verb cannot be had now; undefined when it can. Messages say what, where and what to do. */
export function refusalOf(state: PipelineState, verb: Verb): Refusal | undefined {
  const name = stateOf(state);
  if (verb.verb === "supersede") return refusalToSupersede(state, verb.covers);
  if (verb.task === undefined) {
    const allowed = allowedOrderVerbs(state);
    if (!allowed.includes(verb.verb)) {
      if (verb.verb === "cancel" && isCommitted(state)) {
        return {
          problem: "already-changed",
          detail: `${ALREADY_CHANGED} (state ${name}). Allowed now: ${list(allowed)}.`,
        };
      }
      if (state.stage === "STARTING") {
        return {
          problem: "verb-not-allowed",
          detail: `${verb.verb} is not possible now: a start is under way. Allowed now: nothing; wait for its answer, then read the order again.`,
        };
      }
      return {
        problem: "verb-not-allowed",
        detail: `${verb.verb} is not possible in state ${name}. Allowed now: ${list(allowed)}.`,
      };
    }
    if ((verb.verb === "terminate" || verb.verb === "rollback") && !verb.reason) return reasonRequired(verb.verb);
    if (verb.verb === "start" && !verb.digest) {
      return {
        problem: "digest-required",
        detail: `start must name the digest of the preview that was looked at; the present one is ${state.digest}.`,
      };
    }
    return undefined;
  }
  const record = state.tasks[verb.task];
  if (!record) {
    const generation = generationOf(verb.task);
    return generation !== undefined && generation !== state.generation
      ? {
          problem: "stale-task",
          detail: `Task ${verb.task} belongs to plan ${generation}; this pipeline runs plan ${state.generation}. Read the order again and use its task ids.`,
        }
      : { problem: "unknown-task", detail: `There is no task ${verb.task} here. Read the order for its task ids.` };
  }
  const { definition } = record;
  // In STOPPING, the only thing left to do by task is trying a failed undo again.
  const allowed: TaskVerb[] =
    state.stage === "STOPPING"
      ? isStuck(state, record) && canRetryUndo(record)
        ? ["retry"]
        : []
      : state.stage === "RUNNING"
        ? allowedTaskVerbs(standingOf(state, record), name)
        : [];
  if (!allowed.includes(verb.verb)) {
    if (verb.verb === "cancel" && definition.kind === "pipeline" && isTaskCommitted(state, record) && !record.turn)
      return {
        problem: "already-changed",
        detail: `${definition.title}: ${ALREADY_CHANGED}. Allowed now: ${list(allowed)}.`,
      };
    const paused = name === "PAUSED" ? " The order is paused: resume it first." : "";
    return {
      problem: "verb-not-allowed",
      detail: `${verb.verb} is not possible for task ${verb.task} in state ${record.state} (pipeline ${name}). Allowed now: ${list(allowed)}.${paused}`,
    };
  }
  if ((verb.verb === "ignore" || verb.verb === "rollback") && !verb.reason) return reasonRequired(verb.verb);
  return undefined;
}

/** An order can be superseded once it has started, by one that covers everything that this one has begun. */
function refusalToSupersede(state: PipelineState, covers: readonly string[]): Refusal | undefined {
  const name = stateOf(state);
  if (state.stage === "ENDED" || state.parent || (state.stage !== "RUNNING" && state.stage !== "STOPPING")) {
    return { problem: "verb-not-allowed", detail: `an order that is ${name} cannot be superseded` };
  }
  const left = records(state).filter(
    (record) =>
      record.definition.pipeline &&
      record.child !== undefined &&
      record.child.state !== "CANCELLED" &&
      record.turn?.phase !== "done" &&
      !covers.includes(record.definition.pipeline.subject),
  );
  if (left.length === 0) return undefined;
  const names = left.map((record) => record.definition.pipeline?.subject).join(", ");
  return {
    problem: "not-covered",
    detail: `it has begun to change ${names}: an order that supersedes it must cover ${names}, too`,
  };
}

function reasonRequired(verb: string): Refusal {
  return {
    problem: "reason-required",
    detail: `${verb} needs a reason: say in "reason" why, for those who read it later.`,
  };
}

function list(verbs: readonly string[]): string {
  return verbs.length > 0 ? verbs.join(", ") : "nothing";
}
