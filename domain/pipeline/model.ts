/** The model of `decide`: state, events in, commands out. All of it is plain JSON, so that it survives continue-as-new. */
import { ATTEMPTS_PER_RUN } from "./attempts.ts";
import type { OperationOutcome } from "./operation.ts";
import type { EndedState, PipelineStateName, TaskState } from "./states.ts";
import type { Invocation, NestedPipeline, TaskDefinition } from "./task.ts";

/** Why a task's activity is called: to do it, to take it back, to make it safe. */
export type Role = "run" | "undo" | "stop";

export type TaskRecord = {
  definition: TaskDefinition;
  state: TaskState;
  /** Grows whenever something of it is set going, also over runs of its pipeline; results of older attempts are void. */
  attempt: number;
  /** Its operation has been set going by this run of its pipeline. */
  started?: boolean;
  /** For a person: why it is where it is. */
  reason?: string;
  /** An activity of it is in flight. */
  inFlight?: Role;
  /** It may have changed the world. Kind `pipeline`: a run of its child that is gone may have, for good. */
  changed?: boolean;
  /** Its undo or its making safe is done. */
  settled?: boolean;
  /** Kind `pipeline`: the last that the child said of itself. */
  child?: { sequence: number; state: PipelineStateName; committed: boolean; open: boolean };
};

/**
 * `stage` is what the pipeline is about; what people see (`PipelineStateName`) is derived from it and from the tasks.
 * STARTING: locks and the second snapshot are being taken. STOPPING: tasks are being taken back or made safe.
 */
type Stage = "INITIALIZING" | "INIT_FAILED" | "READY" | "STARTING" | "RUNNING" | "STOPPING" | "ENDED";

export type Actor = { subject: string; role: string };

export const ORDER_VERBS = ["initialise", "start", "pause", "resume", "cancel", "retry", "terminate"] as const;
export type OrderVerb = (typeof ORDER_VERBS)[number];
export const TASK_VERBS = ["confirm", "retry", "ignore", "cancel"] as const;
export type TaskVerb = (typeof TASK_VERBS)[number];

/** What a person asks for. `id` makes it repeatable: the same id gets the first answer. */
export type Verb = {
  id: string;
  actor: Actor;
  reason?: string;
} & ({ verb: OrderVerb; task?: undefined; digest?: string } | { verb: TaskVerb; task: string });

export type Problem =
  | "verb-not-allowed"
  | "unknown-task"
  | "stale-task"
  | "reason-required"
  | "digest-required"
  | "digest-mismatch"
  | "locked"
  | "initialisation-failed"
  | "already-changed"
  | "undo-failed"
  | "key-reused";

export type Refusal = { problem: Problem; detail: string };

export type Answer = {
  state: PipelineStateName;
  allowedActions: OrderVerb[];
  digest?: string;
} & ({ ok: true } | ({ ok: false } & Refusal));

/** A verb that waits for others: for children to acknowledge, for locks, for a snapshot. Only one at a time. */
export type Pending = {
  verb: Verb;
  /** `hold`: first half of a cancel, children stop starting work and say whether they have changed anything. */
  phase: "locking" | "observing" | "hold" | "apply" | "release";
  /** Tasks whose child has not acknowledged yet. */
  waiting: string[];
  /** What children refused, by subject. */
  refused: ({ subject: string } & Refusal)[];
};

/** From a pipeline to its child. `id` comes back in the acknowledgement. */
export type Control = {
  id: string;
  action: "hold" | "release" | "cancel" | "terminate" | "retry";
  reason?: string;
  actor: Actor;
};

/** From a child to the pipeline above. Later sequence numbers win; acknowledgements always count. */
export type Report = {
  task: string;
  /** Which run of the child says it; what an earlier one had to say no longer counts. */
  attempt: number;
  sequence: number;
  state: PipelineStateName;
  committed: boolean;
  reason?: string;
  acknowledges?: { id: string; refused?: Refusal };
};

/** Whom a child reports to. `attempt`: of the task that stands for it; counts the child's runs. */
export type Parent = { workflowId: string; task: string; attempt: number };

type Planned = { generation: number; digest: string; tasks: TaskDefinition[] };

export type PipelineState = {
  workflowId: string;
  /** The pipeline above, absent in an order. */
  parent?: Parent;
  stage: Stage;
  ended?: EndedState;
  /** How it will end once everything is settled, while STOPPING. */
  ending?: "CANCELLED" | "TERMINATED" | "ABANDONED";
  /** The plan in force; 0 before the first. */
  generation: number;
  /** The last plan that was tried to make; never falls. */
  compiled: number;
  digest?: string;
  reason?: string;
  paused: boolean;
  tasks: { [id: string]: TaskRecord };
  pending?: Pending;
  /** In a child: a control that is acknowledged when the pipeline has settled. */
  owed?: string;
  /** Next sequence number of the reports to the pipeline above. */
  reportSequence: number;
  /** The last that was recorded and reported, so that only changes are. */
  shown?: { state: PipelineStateName; reason?: string; allowed: OrderVerb[]; committed: boolean };
  /** Answers given, youngest last; so that a repeated verb gets the first answer. */
  answers: { id: string; fingerprint: string; answer: Answer }[];
};

export type PipelineEvent = { at: number } & (
  | { type: "opened" }
  | { type: "verb"; verb: Verb }
  | ({ type: "initialised" } & Planned)
  | { type: "initialisationFailed"; reason: string }
  | { type: "locked" }
  | { type: "lockRefused"; detail: string }
  | { type: "finished"; task: string; attempt: number; role: Role; outcome: OperationOutcome }
  /** The activity ended because we asked it to. */
  | { type: "stopped"; task: string; attempt: number; role: Role }
  | { type: "reported"; report: Report }
  | { type: "controlled"; control: Control }
  /** A child is gone without having said that it ended (terminated from outside). */
  | { type: "childLost"; task: string; attempt?: number; reason: string }
  /** Somebody outside wants this pipeline to end at once, with everything made safe. */
  | { type: "abandoned"; reason: string }
);

/** What goes into `order_events` and from there into the projections. `at`: milliseconds since 1970. */
export type RecordedEvent = { at: number } & (
  | { type: "planned"; generation: number; digest: string }
  | { type: "pipelineChanged"; state: PipelineStateName; reason?: string; allowed: string[]; committed: boolean }
  | { type: "taskChanged"; task: string; state: TaskState; attempt: number; reason?: string }
  | { type: "acted"; verb: string; task?: string; actor: Actor; reason?: string; outcome: "accepted" | Problem }
);

export type Command =
  /** Look at the world and compile generation `generation`; a plan of digest `unless` need not be stored again. */
  | { do: "initialise"; generation: number; unless?: string }
  | { do: "acquireLocks" }
  | { do: "releaseLocks" }
  | { do: "call"; task: string; attempt: number; role: Role; call: Invocation }
  | { do: "cancelCall"; task: string; attempt: number; role: Role }
  | { do: "startChild"; task: string; attempt: number; nested: NestedPipeline; paused: boolean }
  | { do: "control"; task: string; workflowId: string; control: Control }
  | { do: "report"; workflowId: string; report: Report }
  | { do: "record"; event: RecordedEvent }
  /** To be given only after everything recorded so far has been stored: who asked can read what they caused. */
  | { do: "answer"; id: string; answer: Answer }
  | { do: "end"; state: EndedState };

export function initialOrder(workflowId: string): PipelineState {
  return {
    workflowId,
    stage: "INITIALIZING",
    generation: 0,
    compiled: 0,
    paused: false,
    tasks: {},
    reportSequence: 1,
    answers: [],
  };
}

export function initialChild(
  workflowId: string,
  parent: Parent,
  generation: number,
  tasks: TaskDefinition[],
  paused: boolean,
): PipelineState {
  return {
    workflowId,
    parent,
    stage: "RUNNING",
    generation,
    compiled: generation,
    paused,
    // Attempts never fall, though a run that was lost took its count with it: newer writers must win.
    tasks: recordsOf(tasks, (parent.attempt - 1) * ATTEMPTS_PER_RUN),
    reportSequence: 1,
    answers: [],
  };
}

export function recordsOf(tasks: TaskDefinition[], attempt = 0): { [id: string]: TaskRecord } {
  return Object.fromEntries(
    tasks.map((definition) => [definition.id, { definition, state: "WAITING", attempt } satisfies TaskRecord]),
  );
}
