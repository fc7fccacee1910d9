import type { Operation } from "../../operation.ts";
import { desiredWorkloads, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

export const freezeWorkload: Operation<ClusterDeps, WorkloadParams> = {
  name: "freezeWorkload",
  description:
    "Leaves the workloads of one cluster as they are now: nothing that is under way can change a pod any more.",
  params: WorkloadParams,
  latency: "quick",
  idempotency: "Freezing what is frozen changes nothing.",
  async run(deps, params, { holder }) {
    const outcomes = [];
    let moved = 0;
    let total = 0;
    for (const { placement } of await desiredWorkloads(deps, params)) {
      const outcome = await deps.driver.freeze({ placement, order: params.order, holder: `${params.order}/${holder}` });
      outcomes.push(outcome);
      moved += outcome.moved;
      total += outcome.total;
    }
    const result = together(outcomes);
    return result.outcome === "done"
      ? { ...result, summary: `${moved} of ${total} pods are on revision ${params.revision}` }
      : result;
  },
};
