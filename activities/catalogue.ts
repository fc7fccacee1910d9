/** Every atomic operation that there is. A new capability is one more file and one more line here. */
import type { OperationCatalogue, OperationSpec } from "../domain/pipeline/operation.ts";
import { applyWorkload } from "./kubernetes/operations/apply-workload.ts";
import type { ClusterDeps } from "./kubernetes/operations/common.ts";
import { freezeWorkload } from "./kubernetes/operations/freeze-workload.ts";
import { movePods } from "./kubernetes/operations/move-pods.ts";
import { observeWorkloads } from "./kubernetes/operations/observe-workloads.ts";
import { reportPod } from "./kubernetes/operations/pod-report.ts";
import { removeWorkloads } from "./kubernetes/operations/remove-workloads.ts";
import { restoreWorkload } from "./kubernetes/operations/restore-workload.ts";
import { trimWorkload } from "./kubernetes/operations/trim-workload.ts";
import { verifyWorkload } from "./kubernetes/operations/verify-workload.ts";
import type { Operation } from "./operation.ts";

/** Carried out by the workers of a cluster. */
export const clusterOperations: readonly Operation<ClusterDeps, never>[] = [
  observeWorkloads,
  applyWorkload,
  restoreWorkload,
  movePods,
  freezeWorkload,
  trimWorkload,
  removeWorkloads,
  verifyWorkload,
  reportPod,
];

export const operationCatalogue: OperationCatalogue = new Map<string, OperationSpec>(
  clusterOperations.map((operation) => [operation.name, operation]),
);
