import { readPods } from "../../../db/repositories/orders.ts";
import type { Operation } from "../../operation.ts";
import type { GroupPart } from "../port.ts";
import { desiredWorkloads, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";
import { keepPodStates } from "./pod-states.ts";

export const movePods: Operation<ClusterDeps, WorkloadParams> = {
  name: "movePods",
  description: "Moves the pods of one group in one cluster to the revision, and watches until each is updated.",
  params: WorkloadParams,
  latency: "wait",
  idempotency:
    "Goes on from what it observes: a pod that is at the target is not touched again. Every try takes an epoch of the workload, so that an older one cannot act any more.",
  onStop: "freezeWorkload",
  commits: true,
  async run(deps, params, { signal, startedAt, epoch, holder }) {
    const [workloads, pods] = await Promise.all([
      desiredWorkloads(deps, params),
      readPods(deps.db, params.order, [params.task]),
    ]);
    const parts: GroupPart[] = workloads
      .map((desired) => ({
        desired,
        pods: pods.filter((pod) => pod.cell === desired.placement.cell).map((pod) => pod.pod),
      }))
      .filter((part) => part.pods.length > 0);
    const states = keepPodStates(deps.db, params, epoch);
    try {
      const { pods: last, ...outcome } = await deps.driver.move(
        { parts, holder: `${params.order}/${holder}`, startedAt },
        { signal, report: (now) => states.report(now) },
      );
      states.report(last);
      return outcome;
    } finally {
      await states.finish(signal);
    }
  },
};
