/** What the release operations share: their parameters, and how these become what the driver works with. */
import Type, { type Static } from "typebox";
import type { Database } from "../../../db/client.ts";
import { mayChange } from "../../../db/repositories/locks.ts";
import { findOrder } from "../../../db/repositories/orders.ts";
import { readPlacedRevision } from "../../../db/repositories/placements.ts";
import { supersedingRun } from "../../../db/repositories/runs.ts";
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { OperationOutcome } from "../../../domain/pipeline/operation.ts";
import type { PodReader } from "../pod-reader.ts";
import type { Desired, WorkloadDriver } from "../port.ts";
import { attemptOf } from "../statefulset/taker.ts";

/** What operations on one cluster work with. */
export type ClusterDeps = {
  db: Database;
  tenant: string;
  cluster: string;
  driver: WorkloadDriver;
  pods: PodReader;
};

/** One app service's part in one cluster, for one task of one order. */
export const WorkloadParams = Type.Object(
  {
    order: Type.String(),
    task: Type.String(),
    service: Type.String(),
    revision: Type.Integer({ minimum: 1 }),
    cluster: Type.String(),
  },
  { additionalProperties: false },
);
export type WorkloadParams = Static<typeof WorkloadParams>;

/** The workloads of the revision in this cluster, by cell. */
export async function desiredWorkloads(
  deps: ClusterDeps,
  params: Pick<WorkloadParams, "order" | "service" | "revision">,
): Promise<Desired[]> {
  const order = await findOrder(deps.db, params.order);
  if (!order) throw new CellwrightFailure("NotFound", `there is no order ${params.order}`);
  const placed = await readPlacedRevision(deps.db, deps.tenant, order.workspaceGroup, params.service, params.revision);
  return placed.placements
    .filter((one) => one.cluster === deps.cluster)
    .map(({ placement }) => ({ placement, revision: params.revision, spec: placed.revision, order: params.order }));
}

/**
 * Asks the records, each time that it is called, why the call must not write to the service's workloads (any more): its
 * order may not, or a later run of the app's pipeline (a rollback) has begun. `holder` ends in `#<attempt>.<try>`.
 */
export function rightToAct(
  { db }: Pick<ClusterDeps, "db">,
  { order, service }: Pick<WorkloadParams, "order" | "service">,
  holder: string,
): () => Promise<string | undefined> {
  return async () =>
    (await mayChange(db, order, service)) ?? (await supersedingRun(db, order, service, attemptOf(holder)));
}

/** One outcome of several: the failures, or what blocks, or everything that was done. */
export function together(outcomes: readonly OperationOutcome[]): OperationOutcome {
  const changed = outcomes.some((one) => one.changed);
  const reasons = (kind: "failed" | "blocked"): string[] =>
    outcomes.flatMap((one) => (one.outcome === kind ? [one.reason] : []));
  const failed = reasons("failed");
  if (failed.length > 0) return { outcome: "failed", reason: failed.join("\n"), changed };
  const blocked = reasons("blocked");
  if (blocked.length > 0) return { outcome: "blocked", reason: blocked.join("\n"), changed };
  return {
    outcome: "done",
    summary: outcomes.flatMap((one) => (one.outcome === "done" ? [one.summary] : [])).join("; "),
    changed,
  };
}
