import type { Operation } from "../../operation.ts";
import { desiredWorkloads, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

export const verifyWorkload: Operation<ClusterDeps, WorkloadParams> = {
  name: "verifyWorkload",
  description: "Waits until every pod is updated and the workloads have made the revision their own (promotion).",
  params: WorkloadParams,
  latency: "wait",
  idempotency: "Observes only.",
  async run(deps, params, { signal, startedAt }) {
    const desired = await desiredWorkloads(deps, params);
    const { pods: _pods, ...outcome } = await deps.driver.verify(
      { desired, startedAt },
      { signal, report: () => undefined },
    );
    return outcome;
  },
};
