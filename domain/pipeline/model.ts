/** The model of `decide`: state, events in, commands out. All of it is plain JSON, so that it survives continue-as-new. */
import { ATTEMPTS_PER_RUN } from "./attempts.ts";
import type { OperationOutcome } from "./operation.ts";
import type { EndedState, PipelineStateName, TaskState } from "./states.ts";
import type { Invocation, Json, NestedPipeline, TaskDefinition } from "./task.ts";

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
  /** Kind `pipeline`: it is, or was, being rolled back. From then on it never goes forward again. */
  turn?: Turn;
};

/** How far a task is on its way back, as it is recorded. `with-order`: as part of the whole order's. */
export type TurnStanding = "turning" | "with-order" | "done" | "cancelled";

/** One task's part in a rollback. */
type Turn = {
  /** Key in `rollbacks`. */
  rollback: string;
  /** Tasks that are rolled back before it: those that needed it. */
  after: string[];
  /** stopping: its way forward has not ended yet, or there is no plan yet; back: its child is on the way back. */
  phase: "stopping" | "back" | "done" | "cancelled";
};

/** A rollback of one task, or of the whole order. It is a new plan of the same order. */
export type Rollback = {
  whole: boolean;
  /** It was asked for while the order was paused, and goes on until the order is paused again. */
  despitePause: boolean;
  /** A person confirms each task that is back; a whole order is confirmed once, at its end. */
  confirm: boolean;
  /** confirming: everything is back, a person shall say that it is well. */
  phase: "stopping" | "compiling" | "failed" | "running" | "confirming" | "cancelling";
  /** Of its plan; 0 before there is one. */
  generation: number;
  /** Who wanted it and why. */
  reason: string;
  options: { [key: string]: Json };
};

/**
 * `stage` is what the pipeline is about; what people see (`PipelineStateName`) is derived from it and from the tasks.
 * STARTING: locks and the second snapshot are being taken. STOPPING: tasks are being taken back or made safe.
 */
type Stage = "INITIALIZING" | "INIT_FAILED" | "READY" | "STARTING" | "RUNNING" | "STOPPING" | "ENDED";

export type Actor = { subject: string; role: string };

export const ORDER_VERBS = [
  "initialise",
  "start",
  "pause",
  "resume",
  "cancel",
  "retry",
  "rollback",
  "confirm-rollback",
  "cancel-rollback",
  "terminate",
] as const;
export type OrderVerb = (typeof ORDER_VERBS)[number];
export const TASK_VERBS = ["confirm", "retry", "ignore", "cancel", "rollback", "cancel-rollback"] as const;
export type TaskVerb = (typeof TASK_VERBS)[number];

/** What a person asks for. `id` makes it repeatable: the same id gets the first answer. */
export type Verb = {
  id: string;
  actor: Actor;
  reason?: string;
  /** What the verb's kind of order makes of it, e.g. how a rollback is cut into groups. */
  options?: { [key: string]: Json };
} & (
  | { verb: OrderVerb; task?: undefined; digest?: string }
  /** Not for people: an order that takes this one's place asks for it. It acts on `covers`, all that it will set right. */
  | { verb: "supersede"; task?: undefined; digest?: undefined; covers: string[] }
  | { verb: TaskVerb; task: string }
);

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
  | "not-covered"
  | "needed-by-others"
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
  /** In a child: it takes back what its order has changed. */
  backward?: boolean;
  stage: Stage;
  ended?: EndedState;
  /** How it will end once everything is settled, while STOPPING. */
  ending?: "CANCELLED" | "SUPERSEDED" | "TERMINATED" | "ABANDONED";
  /** The plan in force; 0 before the first. */
  generation: number;
  /** The last plan that was tried to make; never falls. */
  compiled: number;
  digest?: string;
  reason?: string;
  paused: boolean;
  tasks: { [id: string]: TaskRecord };
  pending?: Pending;
  /** In an order: rollbacks that are under way, by the id of the verb that asked for them. */
  rollbacks?: { [verb: string]: Rollback };
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
  /** `to`: what each subject is brought back to, in the words of its kind. */
  | { type: "rollbackCompiled"; generation: number; to: { [subject: string]: Json } }
  | { type: "rollbackNotCompiled"; generation: number; reason: string }
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
  /** From now on the pipelines of these tasks run plan `generation`, which takes back what they have changed. */
  | { type: "rollbackPlanned"; generation: number; tasks: { task: string; to: Json }[]; reason: string }
  | { type: "pipelineChanged"; state: PipelineStateName; reason?: string; allowed: string[]; committed: boolean }
  /** `turn` and `changed`: only of tasks of kind `pipeline`, see `TaskStanding`. */
  | {
      type: "taskChanged";
      task: string;
      state: TaskState;
      attempt: number;
      reason?: string;
      turn?: TurnStanding;
      changed?: true;
    }
  | { type: "acted"; verb: string; task?: string; actor: Actor; reason?: string; outcome: "accepted" | Problem }
);

export type Command =
  /** Look at the world and compile generation `generation`; a plan of digest `unless` need not be stored again. */
  | { do: "initialise"; generation: number; unless?: string }
  /** Look at the world and compile how the subjects get back; `confirm`: a person confirms each of them. */
  | {
      do: "compileRollback";
      generation: number;
      subjects: string[];
      confirm: boolean;
      options: { [key: string]: Json };
    }
  | { do: "acquireLocks" }
  | { do: "releaseLocks" }
  | { do: "call"; task: string; attempt: number; role: Role; call: Invocation }
  | { do: "cancelCall"; task: string; attempt: number; role: Role }
  /** `back`: generation of the plan that takes back; absent: the order's plan, forward. */
  | { do: "startChild"; task: string; attempt: number; nested: NestedPipeline; paused: boolean; back?: number }
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
  { paused, backward }: { paused: boolean; backward: boolean },
): PipelineState {
  return {
    workflowId,
    parent,
    ...(backward && { backward }),
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
