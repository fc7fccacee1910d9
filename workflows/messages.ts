/** Every message that a pipeline's workflow understands, and what it is started with. */
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import { defineSignal, defineUpdate } from "@temporalio/workflow";
import type { Answer, Control, Parent, PipelineEvent, PipelineState, Report, Verb } from "../domain/pipeline/model.ts";
import type { EndedState, PipelineStateName } from "../domain/pipeline/states.ts";

/** What a person asks for. Refused at once (ApplicationFailure of type `VerbRefused`, details: Refused) or answered. */
export const actUpdate = defineUpdate<Answer, [Verb]>("act");
/** From a child to the pipeline above. */
export const reportSignal = defineSignal<[Report]>("report");
/** From a pipeline to its child. */
export const controlSignal = defineSignal<[Control]>("control");
/** From the reconciler: a child's workflow is gone; `attempt` says which of its runs. */
export const childLostSignal = defineSignal<[{ workflowId: string; attempt?: number; reason: string }]>("childLost");

export const VERB_REFUSED = "VerbRefused";

export type PipelineInput = {
  orderId: string;
  /** Kind of the order, which says who plans it. */
  kind: string;
  title: string;
  workspaceGroup: string;
  creator: string;
  /** What the order is about, for search (names of services). */
  subjects: string[];
  /** Only in a child: what it is about, and whom it reports to. */
  child?: { subject: string; parent: Parent; generation: number; paused: boolean; backward?: boolean };
  /** Continue as new beyond that many history events, instead of when the server suggests it. */
  historyLimit?: number;
  /** From the run before. */
  carried?: { state: PipelineState; facts: PipelineEvent[]; nextSequence: number };
};

export type PipelineResult = {
  state: EndedState;
  /** The last answers, by the verb's id: the server only knows those of the last run when a verb is repeated after the end. */
  answers?: { id: string; answer: Answer }[];
};

const KIND = defineSearchAttributeKey("CellwrightKind", "KEYWORD");
const ORDER_ID = defineSearchAttributeKey("CellwrightOrderId", "KEYWORD");
export const STATE = defineSearchAttributeKey("CellwrightState", "KEYWORD");
const WORKSPACE_GROUP = defineSearchAttributeKey("CellwrightWorkspaceGroup", "KEYWORD");
const APPS = defineSearchAttributeKey("CellwrightApps", "KEYWORD_LIST");
const CREATOR = defineSearchAttributeKey("CellwrightCreator", "KEYWORD");

/** Values of search attributes end at 2 KB: as many names as fit. */
function fitting(names: readonly string[]): string[] {
  let length = 0;
  return names.filter((name) => (length += name.length + 1) < 1_800);
}

export function searchAttributes(
  input: Pick<PipelineInput, "kind" | "orderId" | "workspaceGroup" | "subjects" | "creator">,
  state: PipelineStateName,
): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: KIND, value: input.kind },
    { key: ORDER_ID, value: input.orderId },
    { key: STATE, value: state },
    { key: WORKSPACE_GROUP, value: input.workspaceGroup },
    { key: APPS, value: fitting(input.subjects) },
    { key: CREATOR, value: input.creator.slice(0, 200) },
  ]);
}
