/** Plans release orders: what to look at, and the plan made of it. */
import type { Database } from "../../db/client.ts";
import { lastSucceeded, readSnapshots } from "../../db/repositories/orders.ts";
import type { Order } from "../../db/repositories/orders.ts";
import { readPlacedRevision } from "../../db/repositories/placements.ts";
import type { OperationCatalogue } from "../../domain/pipeline/operation.ts";
import { invoke } from "../../domain/pipeline/operation.ts";
import { clusterQueue, compileRelease } from "../../domain/release/compile.ts";
import type { ReleaseApp } from "../../domain/release/compile.ts";
import { needsOf } from "../../domain/release/order.ts";
import type { ReleaseRequest } from "../../domain/release/order.ts";
import { shapeDigest } from "../kubernetes/statefulset/driver.ts";
import type { ReleaseSnapshot } from "../kubernetes/operations/observe-workloads.ts";
import type { Planner } from "./activities.ts";

/** How long the look at a cluster waits for a worker of it: a person waits for the preview. Milliseconds. */
const LOOK_QUEUE_WAIT = 15_000;

export type ReleasePlannerOptions = {
  db: Database;
  tenant: string;
  catalogue: OperationCatalogue;
  /** How long a task waits for a worker of its cluster, milliseconds. */
  queueWait: number;
};

export function createReleasePlanner({ db, tenant, catalogue, queueWait }: ReleasePlannerOptions): Planner {
  const placed = async (order: Order) => {
    const apps = [];
    // One after the other: an order may name hundreds of services, and the pool of connections serves others too.
    for (const { service, revision: number } of requestOf(order).apps) {
      apps.push({
        service,
        number,
        ...(await readPlacedRevision(db, tenant, order.workspaceGroup, service, number)),
      });
    }
    return apps;
  };

  return {
    kind: "release",
    subjects: (request) => (request as ReleaseRequest).apps.map((app) => app.service),

    async observations(order, generation) {
      const apps = await placed(order);
      const clusters = new Set(apps.flatMap((app) => app.placements.map((one) => one.cluster)));
      return [...clusters].toSorted().map((cluster) => {
        const here = apps
          .filter((app) => app.placements.some((one) => one.cluster === cluster))
          .map(({ service, number }) => ({ service, revision: number }));
        return invoke(
          catalogue,
          "observeWorkloads",
          { order: order.id, generation, cluster, apps: here },
          {
            queue: clusterQueue(cluster),
            queueWait: LOOK_QUEUE_WAIT,
            summary: `${cluster} · look at ${here.length} services`,
          },
        ).run;
      });
    },

    async compile(order, generation) {
      const snapshots = new Map(
        (await readSnapshots(db, order.id, generation)).map((one) => [one.source, one.observation as ReleaseSnapshot]),
      );
      const apps: ReleaseApp[] = [];
      for (const app of await placed(order)) {
        const success = await lastSuccess(order, app.service);
        apps.push({
          service: app.service,
          revision: app.number,
          spec: app.revision,
          ...(success && { lastSuccess: success }),
          cells: app.placements.map(({ cluster, placement }) => {
            const live = snapshots.get(cluster)?.[app.service]?.find((one) => one.cell === placement.cell)?.workload;
            return {
              cell: placement.cell,
              cluster,
              shape: shapeDigest({ placement, spec: app.revision }),
              ...(live && { workload: { replicas: live.replicas, revision: live.revision, shape: live.shape } }),
            };
          }),
        });
      }
      return compileRelease({
        orderId: order.id,
        workflowId: order.workflowId,
        generation,
        apps,
        needs: needsOf(requestOf(order)),
        catalogue,
        queueWait,
      });
    },
  };

  async function lastSuccess(order: Order, service: string): Promise<ReleaseApp["lastSuccess"]> {
    const success = await lastSucceeded(db, order.kind, order.workspaceGroup, service);
    const app = success && requestOf(success).apps.find((one) => one.service === service);
    if (!app) return undefined;
    const { placements } = await readPlacedRevision(db, tenant, order.workspaceGroup, service, app.revision);
    return { revision: app.revision, cells: placements.map((one) => one.placement.cell) };
  }
}

function requestOf(order: Order): ReleaseRequest {
  return order.request as ReleaseRequest;
}
