import type { Operation } from "../../operation.ts";
import { desiredWorkloads, rightToAct, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

export const trimWorkload: Operation<ClusterDeps, WorkloadParams> = {
  name: "trimWorkload",
  description: "Takes away the pods and Services of one cluster that the revision does not want any more.",
  params: WorkloadParams,
  latency: "wait",
  idempotency:
    "Goes on from what it observes: a workload with no pod and a service with no Service too many is left alone.",
  onStop: "freezeWorkload",
  commits: true,
  async run(deps, params, { signal, startedAt, holder }) {
    const outcomes = [];
    const progress = { signal, report: () => undefined, mayAct: rightToAct(deps, params, holder) };
    for (const desired of await desiredWorkloads(deps, params)) {
      outcomes.push(await deps.driver.trim({ desired, holder: `${params.order}/${holder}`, startedAt }, progress));
      if (signal.aborted) break;
    }
    return together(outcomes);
  },
};
