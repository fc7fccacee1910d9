/** Questions about pods: carried to the workers of the pod's cluster by a small workflow. */
import type { Client } from "@temporalio/client";
import { ORCHESTRATOR_QUEUE } from "../../domain/pipeline/task.ts";
import { clusterQueue } from "../../domain/release/compile-app.ts";
import type { PodReports } from "../../domain/workload/pod-report.ts";
import type { PodReportInput, PodReportResult } from "../../workflows/pod-report.ts";
import { isOutOfReach } from "./orders.ts";

/** How long a person waits. The workflow ends a little later by itself, should nobody wait any more. Milliseconds. */
const WAIT = 15_000;
const LONGEST = 20_000;

export function createPodReports(client: Client): PodReports {
  return {
    async answer({ id, cluster, title }, signal) {
      const input: PodReportInput = { report: id, queue: clusterQueue(cluster), title };
      try {
        const { failure } = await client.withAbortSignal(signal, () =>
          client.withDeadline(Date.now() + WAIT, async () => {
            const handle = await client.workflow.start("podReport", {
              workflowId: `pod-report/${id}`,
              taskQueue: ORCHESTRATOR_QUEUE,
              args: [input],
              workflowExecutionTimeout: LONGEST,
              workflowIdReusePolicy: "REJECT_DUPLICATE",
              staticSummary: title,
            });
            return (await handle.result()) as PodReportResult;
          }),
        );
        return failure === undefined ? { kind: "answered" } : { kind: "failed", reason: failure };
      } catch (error) {
        if (signal.aborted || isOutOfReach(error)) return { kind: "late" };
        throw error;
      }
    },
  };
}
