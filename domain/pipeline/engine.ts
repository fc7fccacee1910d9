/** The port to whatever runs orders. */
import type { Answer, Refusal, Verb } from "./model.ts";
import type { PipelineStateName } from "./states.ts";

export type StartableOrder = {
  id: string;
  kind: string;
  workflowId: string;
  workspaceGroup: string;
  title: string;
  creator: string;
  /** What the order is about: names of services. */
  subjects: string[];
};

export type ActResult =
  | { kind: "answered"; answer: Answer }
  | { kind: "refused"; refusal: Refusal & { state?: PipelineStateName; allowedActions?: string[] } }
  /** No such workflow runs: not yet, or not any more. */
  | { kind: "not-running" }
  /** The workflow has it, or will have it, but has not answered in time. Asking again with the same id is safe. */
  | { kind: "late" };

export interface OrderEngine {
  /** Starts the order's workflow; doing it again changes nothing. */
  start(order: StartableOrder): Promise<void>;
  /** Asks the workflow that owns an order or task. The verb's id makes it repeatable. */
  act(workflowId: string, verb: Verb, timeoutMs: number): Promise<ActResult>;
}
