import Type, { type Static } from "typebox";
import { findOrder, storeSnapshot } from "../../../db/repositories/orders.ts";
import { readPlacedRevision } from "../../../db/repositories/placements.ts";
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { Operation } from "../../operation.ts";
import type { ObservationFault, Placement, WorkloadObservation } from "../port.ts";
import type { ClusterDeps } from "./common.ts";

const Params = Type.Object(
  {
    order: Type.String(),
    generation: Type.Integer({ minimum: 1 }),
    cluster: Type.String(),
    apps: Type.Array(
      Type.Object(
        {
          service: Type.String(),
          revision: Type.Integer({ minimum: 1 }),
          /** It is only looked for what this revision has left in its cells; that they could take nothing new does no harm. */
          former: Type.Optional(Type.Boolean()),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

/** What is kept of a look: the workloads of each service in this cluster. */
export type ReleaseSnapshot = { [service: string]: WorkloadObservation[] };

export const observeWorkloads: Operation<ClusterDeps, Static<typeof Params>> = {
  name: "observeWorkloads",
  description: "Looks at the workloads, pods, nodes and rights that an order needs in one cluster; changes nothing.",
  params: Params,
  latency: "look",
  idempotency: "Reads the cluster; a later look replaces what an earlier one kept.",
  async run(deps, params) {
    const order = await findOrder(deps.db, params.order);
    if (!order) throw new CellwrightFailure("NotFound", `there is no order ${params.order}`);
    const byNamespace = new Map<string, Placement[]>();
    const known = new Set<string>();
    const wanted = new Set<string>();
    for (const app of params.apps) {
      const placed = await readPlacedRevision(deps.db, deps.tenant, order.workspaceGroup, app.service, app.revision);
      for (const { cluster, placement } of placed.placements) {
        if (cluster !== deps.cluster) continue;
        if (!app.former) wanted.add(placement.cell);
        const workload = `${placement.service} ${placement.cell}`;
        if (known.has(workload)) continue;
        known.add(workload);
        byNamespace.set(placement.namespace, [...(byNamespace.get(placement.namespace) ?? []), placement]);
      }
    }
    const snapshot: ReleaseSnapshot = {};
    const faults: ObservationFault[] = [];
    for (const [namespace, placements] of byNamespace) {
      const seen = await deps.driver.observe({ namespace, placements });
      for (const { service } of placements) snapshot[service] ??= [];
      for (const { service, ...workload } of seen.workloads) snapshot[service]?.push(workload);
      faults.push(...seen.faults.filter(({ cell }) => cell === undefined || wanted.has(cell)));
    }
    if (faults.length > 0) {
      const reasons = [...new Set(faults.map((fault) => fault.message))];
      return { outcome: "failed", reason: reasons.join("\n"), changed: false };
    }
    await storeSnapshot(deps.db, {
      orderId: params.order,
      generation: params.generation,
      source: deps.cluster,
      observation: snapshot,
    });
    return { outcome: "done", summary: `looked at ${params.apps.length} services in ${deps.cluster}`, changed: false };
  },
};
