import type { OperationOutcome } from "../../../domain/pipeline/operation.ts";
import type { Operation } from "../../operation.ts";
import { eachAtOnce } from "../statefulset/cluster.ts";
import { desiredWorkloads, rightToAct, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

/** Workloads at once: each waits for the controller's answer. */
const AT_ONCE = 4;

export const applyWorkload: Operation<ClusterDeps, WorkloadParams> = {
  name: "applyWorkload",
  description: "Puts a revision's template into the workloads of one cluster without moving any pod.",
  params: WorkloadParams,
  latency: "wait",
  idempotency: "A workload that carries the template of this revision and order already is left alone.",
  undo: "restoreWorkload",
  async run(deps, params, { signal, holder }) {
    const workloads = await desiredWorkloads(deps, params);
    const outcomes: OperationOutcome[] = [];
    const progress = { signal, report: () => undefined, mayAct: rightToAct(deps, params, holder) };
    // All may want to write the same Service: who comes second loses that swap, and then finds it written.
    await eachAtOnce([...workloads.entries()], AT_ONCE, async ([index, desired]) => {
      if (signal.aborted) return;
      outcomes[index] = await deps.driver.apply(desired, progress, `${params.order}/${holder}`);
    });
    return together(outcomes.filter((outcome) => outcome !== undefined));
  },
};
