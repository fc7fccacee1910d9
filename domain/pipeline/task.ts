/** What a pipeline is made of. Definitions are plain JSON: they are compiled once and kept in the order's history. */
import type { TaskKind } from "./states.ts";

/** Task queue of the workers that run the workflows and keep the records. */
export const ORCHESTRATOR_QUEUE = "orchestrator";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * How long a call of one latency class may take. All in milliseconds; absent = no such bound.
 * `queueWait`: until some worker has taken it; `attempt`: one try; `total`: all tries with the pauses between them;
 * `heartbeat`: silence after which a try counts as dead.
 */
export type Bounds = { queueWait?: number; attempt: number; total?: number; heartbeat?: number };

/** One call of an atomic operation, ready to be made: nothing of the catalogue is needed any more to carry it out. */
export type Invocation = {
  /** Name of the atomic operation, which is also its activity type in Temporal. */
  operation: string;
  params: { [key: string]: Json };
  /** Temporal task queue whose workers can carry it out. */
  queue: string;
  bounds: Bounds;
  /** Tries until a passing failure becomes final; 0 = as long as the total bound allows. */
  attempts: number;
  /** One line for people, shown in Temporal's UI. */
  summary: string;
};

export type TaskDefinition = {
  /** `<generation>.<…>`, unique in its order, safe in a URL path. */
  id: string;
  title: string;
  kind: TaskKind;
  /** Ids of tasks of the same pipeline that must be satisfied first. */
  dependsOn: string[];
  /** The group whose progress this task is part of. */
  group?: string;
  /** Kind `activity`: what is done. */
  run?: Invocation;
  /** Takes back what `run` did. Registered when the task starts, so also for a try that died. */
  undo?: Invocation;
  /** Makes the world safe when the task is stopped for good before it has succeeded. */
  onStop?: Invocation;
  /** Kind `activity`: once this has changed anything, the pipeline can no longer be cancelled. */
  commits?: boolean;
  /** A person may let dependants go on without it (with a reason). */
  ignorable?: boolean;
  /** Kind `pipeline`: what the child workflow runs. */
  pipeline?: NestedPipeline;
};

export type NestedPipeline = {
  /** Temporal workflow type and id of the child. It fetches its own tasks: those of 200 services fit into no payload. */
  workflowType: string;
  /** Temporal workflow type, under the same id, of the child that rolls back what this one has changed; absent: nothing does. */
  rollbackType?: string;
  workflowId: string;
  /** What it is about, e.g. the name of a service. */
  subject: string;
};

/** The tasks of one workflow of an order: of the order itself (no subject), or of a child. */
export type Pipeline = { workflowId: string; subject?: string; tasks: TaskDefinition[] };

/** The compile generation that a task id belongs to; undefined when it is no task id. */
export function generationOf(taskId: string): number | undefined {
  const match = /^(\d{1,9})\./.exec(taskId);
  return match ? Number(match[1]) : undefined;
}
