/** Carries a question about a pod to the workers of its cluster. Question and answer stand in Postgres, not here. */
import { isCancellation } from "@temporalio/workflow";
import type { Invocation } from "../domain/pipeline/task.ts";
import { describeFailure, invoke } from "./calls.ts";

export type PodReportInput = {
  /** Id of the stored question. */
  report: string;
  /** Task queue of the pod's cluster. */
  queue: string;
  title: string;
};

/** `failure`: why there is no answer, for a person. */
export type PodReportResult = { failure?: string };

/** A person waits for it. Milliseconds. */
const BOUNDS = { attempt: 10_000, total: 12_000, heartbeat: 10_000, queueWait: 6_000 };

export async function podReport({ report, queue, title }: PodReportInput): Promise<PodReportResult> {
  const call: Invocation = {
    operation: "reportPod",
    params: { report },
    queue,
    bounds: BOUNDS,
    attempts: 2,
    summary: title,
  };
  try {
    await invoke(call, 1, `report.${report}`);
    return {};
  } catch (error) {
    if (isCancellation(error)) throw error;
    return { failure: describeFailure(error, queue) };
  }
}
