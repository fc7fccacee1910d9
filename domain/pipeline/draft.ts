/** The working copy of one decision: the state that it changes and the commands that it gives. */
import type {
  Command,
  Control,
  PipelineState,
  RecordedEvent,
  Refusal,
  Report,
  TaskRecord,
  TurnStanding,
  Verb,
} from "./model.ts";
import { allowedOrderVerbs, isCommitted, reasonOf, stateOf, turnOf } from "./view.ts";
import type { TaskState } from "./states.ts";
import { stableJson } from "../json.ts";

/** How many answers are kept for repeated verbs. */
const ANSWERS_KEPT = 100;

export type Draft = {
  state: PipelineState;
  commands: Command[];
  at: number;
  /** Given once everything else is decided, so that answers show the state they led to. */
  answers: { verb: Verb; refusal?: Refusal }[];
};

type Unstamped<E> = E extends { at: number } ? Omit<E, "at"> : never;

export function record(draft: Draft, event: Unstamped<RecordedEvent>): void {
  draft.commands.push({ do: "record", event: { ...event, at: draft.at } });
}

/** Asks for a look at the world and a plan made of it. */
export function initialise(draft: Draft, unless?: string): void {
  draft.state.compiled += 1;
  draft.commands.push({
    do: "initialise",
    generation: draft.state.compiled,
    ...(unless !== undefined && { unless }),
  });
}

/** Moves a task to a state; recorded only when something is different. */
export function move(draft: Draft, task: TaskRecord, to: TaskState, reason?: string): void {
  if (task.state === to && task.reason === reason) return;
  task.state = to;
  if (reason === undefined) delete task.reason;
  else task.reason = reason;
  record(draft, {
    type: "taskChanged",
    task: task.definition.id,
    state: to,
    attempt: task.attempt,
    ...(reason !== undefined && { reason }),
    ...standingIn(draft.state, task),
  });
}

/** What the records must know of a task that stands for a child, so that they offer what can really be done. */
function standingIn(state: PipelineState, task: TaskRecord): { turn?: TurnStanding; changed?: true } {
  if (task.definition.kind !== "pipeline") return {};
  const turn = turnOf(state, task);
  return { ...(turn && { turn }), ...(task.changed && { changed: true }) };
}

/** Tells the pipeline above how things stand, and acknowledges what it asked for. */
export function report(draft: Draft, acknowledges?: NonNullable<Report["acknowledges"]>): void {
  const { parent } = draft.state;
  if (!parent) return;
  const reason = reasonOf(draft.state);
  draft.commands.push({
    do: "report",
    workflowId: parent.workflowId,
    report: {
      task: parent.task,
      attempt: parent.attempt,
      sequence: draft.state.reportSequence++,
      state: stateOf(draft.state),
      committed: isCommitted(draft.state),
      ...(reason !== undefined && { reason }),
      ...(acknowledges && { acknowledges }),
    },
  });
}

/** Sends a control to the open children of the given tasks. */
export function control(draft: Draft, tasks: TaskRecord[], message: Control): void {
  for (const task of tasks) {
    const workflowId = task.definition.pipeline?.workflowId;
    if (workflowId) draft.commands.push({ do: "control", task: task.definition.id, workflowId, control: message });
  }
}

/** Records and reports what people see, if it is different from what they saw last. */
export function show(draft: Draft): void {
  const { state } = draft;
  const reason = reasonOf(state);
  const shown = {
    state: stateOf(state),
    ...(reason !== undefined && { reason }),
    allowed: allowedOrderVerbs(state),
    committed: isCommitted(state),
  };
  if (JSON.stringify(shown) === JSON.stringify(state.shown)) return;
  state.shown = shown;
  record(draft, { type: "pipelineChanged", ...shown });
  report(draft);
}

/** Answers everything that was decided, remembers the answers, and records who asked for what. */
export function giveAnswers(draft: Draft): void {
  const { state } = draft;
  for (const { verb, refusal } of draft.answers) {
    record(draft, {
      type: "acted",
      verb: verb.verb,
      ...(verb.task !== undefined && { task: verb.task }),
      actor: verb.actor,
      ...(verb.reason !== undefined && { reason: verb.reason }),
      outcome: refusal ? refusal.problem : "accepted",
    });
    const answer = {
      state: stateOf(state),
      allowedActions: allowedOrderVerbs(state),
      ...(state.digest !== undefined && { digest: state.digest }),
      ...(refusal ? { ok: false as const, ...refusal } : { ok: true as const }),
    };
    state.answers = [...state.answers, { id: verb.id, fingerprint: fingerprintOf(verb), answer }].slice(-ANSWERS_KEPT);
    draft.commands.push({ do: "answer", id: verb.id, answer });
  }
}

/** Two verbs with one id are the same verb only if they ask for the same. */
export function fingerprintOf(verb: Verb): string {
  return JSON.stringify([
    verb.verb,
    verb.task ?? null,
    verb.actor.subject,
    verb.reason ?? null,
    verb.task === undefined ? (verb.digest ?? null) : null,
    // Verbs without options have the fingerprint that they always had: answers outlive a deployment.
    ...(verb.options === undefined ? [] : [stableJson(verb.options)]),
  ]);
}
