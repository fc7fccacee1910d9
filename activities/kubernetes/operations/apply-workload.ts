import type { Operation } from "../../operation.ts";
import { desiredWorkloads, rightToAct, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

export const applyWorkload: Operation<ClusterDeps, WorkloadParams> = {
  name: "applyWorkload",
  description: "Puts a revision's template into the workloads of one cluster without moving any pod.",
  params: WorkloadParams,
  latency: "wait",
  idempotency: "A workload that carries the template of this revision and order already is left alone.",
  undo: "restoreWorkload",
  async run(deps, params, { signal, holder }) {
    const outcomes = [];
    const progress = { signal, report: () => undefined, mayAct: rightToAct(deps, params, holder) };
    for (const desired of await desiredWorkloads(deps, params)) {
      outcomes.push(await deps.driver.apply(desired, progress, `${params.order}/${holder}`));
      if (signal.aborted) break;
    }
    return together(outcomes);
  },
};
