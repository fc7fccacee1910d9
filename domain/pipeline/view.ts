/** What people see of a pipeline, and what they may do with it: derived from its state, never stored in it. */
import { generationOf } from "./task.ts";
import type { OrderVerb, PipelineState, Refusal, TaskRecord, TaskVerb, Verb } from "./model.ts";
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
      if (state.paused) return "PAUSED";
      // What needs a person comes first: nobody should have to look behind a RUNNING for it.
      const states = new Set(records(state).map((record) => record.state));
      if (states.has("FAILED")) return "FAILED";
      if (states.has("AWAITING_CONFIRM")) return "AWAITING_CONFIRM";
      return states.has("BLOCKED") ? "BLOCKED" : "RUNNING";
    }
  }
}

export function records(state: PipelineState): TaskRecord[] {
  return Object.values(state.tasks);
}

/** Whether it has, or may have, changed something that cancelling does not take back. */
export function isCommitted(state: PipelineState): boolean {
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

function canRetryUndo(record: TaskRecord): boolean {
  return record.child?.open === true || (record.definition.undo !== undefined && !record.settled);
}

/**
 * Whether a verb may be decided now: one after the other, as some wait for children. But who wants to terminate need
 * not wait for children.
 */
export function hasTurn(state: PipelineState, verb: Verb): boolean {
  const { pending } = state;
  if (!pending || state.stage === "ENDED") return true;
  if (verb.verb !== "terminate" || pending.verb.verb === "terminate") return false;
  return pending.phase !== "locking" && pending.phase !== "observing";
}

/** One sentence for people: why it is in this state, and who can change that. */
export function reasonOf(state: PipelineState): string | undefined {
  if (state.stage === "STOPPING") return state.reason;
  if (state.stage !== "RUNNING") return state.reason;
  const name = stateOf(state);
  if (name === "PAUSED") return state.reason;
  const taskState: TaskState | undefined =
    name === "FAILED" || name === "AWAITING_CONFIRM" || name === "BLOCKED" ? name : undefined;
  if (!taskState) return undefined;
  const those = records(state).filter((record) => record.state === taskState);
  const first = those[0];
  if (!first) return undefined;
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
      return ["pause", ...cancel, "terminate"];
    case "PAUSED":
      return ["resume", ...cancel, "terminate"];
    case "FAILED":
      return ["retry", "pause", ...cancel, "terminate"];
    default:
      return [];
  }
}

/** What may be done with one task, from what the projections know of it. Used by the workflow and by the API alike. */
export function allowedTaskVerbs(
  task: { kind: TaskKind; state: TaskState; ignorable: boolean },
  pipeline: PipelineStateName,
): TaskVerb[] {
  if (pipeline === "PAUSED") return task.ignorable && isOpenGate(task.state) ? ["ignore"] : [];
  if (!["RUNNING", "AWAITING_CONFIRM", "BLOCKED", "FAILED"].includes(pipeline)) return [];
  const verbs: TaskVerb[] = [];
  if (task.kind === "confirm" && task.state === "AWAITING_CONFIRM") verbs.push("confirm");
  if (task.state === "FAILED") verbs.push("retry");
  if (task.ignorable && isOpenGate(task.state)) verbs.push("ignore");
  if (task.kind === "pipeline" && !["SUCCEEDED", "CANCELLED", "IGNORED", "SKIPPED"].includes(task.state)) {
    verbs.push("cancel");
  }
  return verbs;
}

function isOpenGate(state: TaskState): boolean {
  return state === "WAITING" || state === "BLOCKED";
}

/** Why a verb cannot be had now; undefined when it can. Messages say what, where and what to do. */
export function refusalOf(state: PipelineState, verb: Verb): Refusal | undefined {
  const name = stateOf(state);
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
    if (verb.verb === "terminate" && !verb.reason) return reasonRequired("terminate");
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
        ? allowedTaskVerbs(
            { kind: definition.kind, state: record.state, ignorable: definition.ignorable === true },
            name,
          )
        : [];
  if (!allowed.includes(verb.verb)) {
    const paused = name === "PAUSED" ? " The order is paused: resume it first." : "";
    return {
      problem: "verb-not-allowed",
      detail: `${verb.verb} is not possible for task ${verb.task} in state ${record.state} (pipeline ${name}). Allowed now: ${list(allowed)}.${paused}`,
    };
  }
  if (verb.verb === "ignore" && !verb.reason) return reasonRequired("ignore");
  return undefined;
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
