/** The StatefulSet driver of one cluster: plain Kubernetes, nothing installed there. */
import type { WorkloadDriver } from "../port.ts";
import { applyDesired } from "./apply.ts";
import type { Cluster } from "./cluster.ts";
import { freezeWorkload } from "./freeze.ts";
import { moveGroup } from "./move.ts";
import { observeWorkloads } from "./observe.ts";
import { restoreWorkload } from "./restore.ts";
import { removeWorkload, trimWorkload } from "./trim.ts";
import { verifyWorkloads } from "./verify.ts";

export { fixedDigest, shapeDigest } from "./digest.ts";

export function createStatefulSetDriver(cluster: Cluster): WorkloadDriver {
  return {
    observe: (input) => observeWorkloads(cluster, input),
    apply: (desired, progress, holder = "") => applyDesired(cluster, desired, progress, holder),
    restore: (desired, previous, progress) => restoreWorkload(cluster, desired, previous, progress),
    move: (input, progress) => moveGroup(cluster, input, progress),
    freeze: (input) => freezeWorkload(cluster, input),
    trim: (input, progress) => trimWorkload(cluster, input, progress),
    remove: (input, progress) => removeWorkload(cluster, input, progress),
    verify: (input, progress) => verifyWorkloads(cluster, input, progress),
  };
}
