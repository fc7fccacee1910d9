/** The StatefulSet driver of one cluster: plain Kubernetes, nothing installed there. */
import type { Desired, WorkloadDriver } from "../port.ts";
import { shapeOf } from "../../../domain/workload/render.ts";
import { applyDesired, digest } from "./apply.ts";
import type { Cluster } from "./cluster.ts";
import { moveGroup } from "./move.ts";
import { observeWorkloads } from "./observe.ts";
import { freezeWorkload, restoreWorkload } from "./restore.ts";
import { verifyWorkloads } from "./verify.ts";

export function createStatefulSetDriver(cluster: Cluster): WorkloadDriver {
  return {
    observe: (input) => observeWorkloads(cluster, input),
    apply: (desired, progress, holder = "") => applyDesired(cluster, desired, progress, holder),
    restore: (desired, previous, progress) => restoreWorkload(cluster, desired, previous, progress),
    move: (input, progress) => moveGroup(cluster, input, progress),
    freeze: (input) => freezeWorkload(cluster, input),
    verify: (input, progress) => verifyWorkloads(cluster, input, progress),
  };
}

/** The digest that `observe` reports as `shape` once `desired` is applied. */
export function shapeDigest(desired: Pick<Desired, "placement" | "spec">): string {
  return digest(shapeOf(desired));
}
