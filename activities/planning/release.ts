/** Plans release orders: what to look at, and the plan made of it. */
import type { Database } from "../../db/client.ts";
import { lastSuccesses, recentRevisions } from "../../db/repositories/order-revisions.ts";
import { readSnapshots } from "../../db/repositories/orders.ts";
import type { Order } from "../../db/repositories/orders.ts";
import { readPlacedRevision } from "../../db/repositories/placements.ts";
import type { PlacedRevision } from "../../db/repositories/placements.ts";
import type { OperationCatalogue } from "../../domain/pipeline/operation.ts";
import { invoke } from "../../domain/pipeline/operation.ts";
import type { LeavingCell, ObservedCell, ReleaseApp } from "../../domain/release/app.ts";
import { compileRelease, compileRollback } from "../../domain/release/compile.ts";
import { clusterQueue } from "../../domain/release/compile-app.ts";
import type { Freeze, RollbackApp } from "../../domain/release/compile-app.ts";
import { needsOf } from "../../domain/release/order.ts";
import type { ReleaseRequest, RollbackOptions } from "../../domain/release/order.ts";
import { differenceOf } from "../../domain/workload/difference.ts";
import { fixedDigest, shapeDigest } from "../kubernetes/statefulset/driver.ts";
import type { ReleaseSnapshot } from "../kubernetes/operations/observe-workloads.ts";
import type { Planner, RollbackWish } from "./activities.ts";

/** How long the look at a cluster waits for a worker of it: a person waits for the preview. Milliseconds. */
const LOOK_QUEUE_WAIT = 15_000;

export type ReleasePlannerOptions = {
  db: Database;
  tenant: string;
  catalogue: OperationCatalogue;
  /** How long a task waits for a worker of its cluster, milliseconds. */
  queueWait: number;
};

/** What the catalogue and the records know of one app service of an order. */
type Known = {
  service: string;
  /** The revision to be released; absent on the way back to nothing. */
  target?: PlacedRevision;
  /** Revisions that may have left workloads in cells which the target does not name, youngest first. */
  former: PlacedRevision[];
};

export function createReleasePlanner({ db, tenant, catalogue, queueWait }: ReleasePlannerOptions): Planner {
  return {
    kind: "release",
    subjects: (request) => (request as ReleaseRequest).apps.map((app) => app.service),

    async observations(order, generation, rollback) {
      const apps = await known(order, rollback);
      const wanted = apps.flatMap(({ service, target, former }) => [
        ...(target ? [{ service, placed: target, former: false }] : []),
        ...former.map((placed) => ({ service, placed, former: true })),
      ]);
      const clusters = new Set(wanted.flatMap(({ placed }) => placed.placements.map((one) => one.cluster)));
      return [...clusters].toSorted().map((cluster) => {
        const here = wanted
          .filter(({ placed }) => placed.placements.some((one) => one.cluster === cluster))
          .map(({ service, placed, former }) => ({
            service,
            revision: placed.revision.number,
            ...(former && { former }),
          }));
        const services = new Set(here.map((app) => app.service)).size;
        return invoke(
          catalogue,
          "observeWorkloads",
          { order: order.id, generation, cluster, apps: here },
          {
            queue: clusterQueue(cluster),
            queueWait: LOOK_QUEUE_WAIT,
            summary: `${cluster} · look at ${services} services`,
          },
        ).run;
      });
    },

    async compile(order, generation) {
      const world = await worldOf(order, generation);
      const apps: ReleaseApp[] = [];
      for (const app of await known(order)) apps.push(await releaseOf(order, app, world));
      return compileRelease({ ...contextOf(order, generation), apps, needs: needsOf(requestOf(order)) });
    },

    async compileRollback(order, generation, { subjects, confirm, options }) {
      const world = await worldOf(order, generation);
      const apps: RollbackApp[] = [];
      // Checked when it was asked for; but an app may have begun since.
      const { remove = [] } = options as RollbackOptions;
      const unnamed: string[] = [];
      for (const app of await known(order, { subjects, confirm, options })) {
        if (!app.target && !remove.includes(app.service)) unnamed.push(app.service);
        const target = app.target && (await releaseOf(order, app, world));
        apps.push({
          service: app.service,
          freeze: freezesOf(app),
          leaving: target ? [] : leavingCells(app, world),
          ...(target && { target }),
        });
      }
      if (unnamed.length > 0) {
        const names = unnamed.join(", ");
        return {
          ok: false,
          faults: [
            `no release of ${names} has ever succeeded, so this would remove all pods and workloads, and that was not confirmed: cancel-rollback, then ask for the rollback again with "remove": ${JSON.stringify(unnamed)}`,
          ],
        };
      }
      return compileRollback({ ...contextOf(order, generation), apps, confirm, options });
    },
  };

  /** One after the other: an order may name hundreds of services, and the pool of connections serves others too. */
  async function known(order: Order, rollback?: RollbackWish): Promise<Known[]> {
    const apps: Known[] = [];
    const asked = requestOf(order).apps.filter(({ service }) => !rollback || rollback.subjects.includes(service));
    const successes = await lastSuccesses(
      db,
      order,
      asked.map((app) => app.service),
    );
    for (const { service, revision } of asked) {
      const success = successes.get(service);
      const number = rollback ? success?.revision : revision;
      const numbers = await recentRevisions(db, order.workspaceGroup, service, success?.since);
      const former: PlacedRevision[] = [];
      for (const one of numbers) if (one !== number) former.push(await readPlaced(order, service, one));
      apps.push({
        service,
        former,
        ...(number !== undefined && { target: await readPlaced(order, service, number) }),
      });
    }
    return apps;
  }

  function readPlaced(order: Order, service: string, number: number): Promise<PlacedRevision> {
    return readPlacedRevision(db, tenant, order.workspaceGroup, service, number);
  }

  async function worldOf(order: Order, generation: number): Promise<Map<string, ReleaseSnapshot>> {
    const rows = await readSnapshots(db, order.id, generation);
    return new Map(rows.map((one) => [one.source, one.observation as ReleaseSnapshot]));
  }

  function contextOf(order: Order, generation: number) {
    return { orderId: order.id, workflowId: order.workflowId, generation, catalogue, queueWait };
  }

  async function releaseOf(order: Order, app: Known, world: Map<string, ReleaseSnapshot>): Promise<ReleaseApp> {
    const { service, target } = app;
    if (!target) throw new Error(`${service} has no revision to be released`);
    const live = new Map<number, Promise<PlacedRevision>>();
    const cells: ObservedCell[] = [];
    for (const { cluster, placement } of target.placements) {
      const seen = world.get(cluster)?.[service]?.find((one) => one.cell === placement.cell);
      const now = { placement, spec: target.revision };
      const cell: ObservedCell = {
        cell: placement.cell,
        cluster,
        shape: shapeDigest(now),
        fixed: fixedDigest(now),
        pods: (seen?.pods ?? []).map(({ name, shape }) => ({ name, ...(shape !== undefined && { shape }) })),
        difference: { images: [], recreate: [], fixed: [], services: [] },
      };
      if (seen?.workload) {
        const { replicas, revision, fixed, promoted } = seen.workload;
        cell.workload = { replicas, revision, fixed, promoted };
        if (!live.has(revision)) live.set(revision, readPlaced(order, service, revision));
        const before = { placement, spec: (await live.get(revision)!).revision };
        const { images, ...rest } = differenceOf(before, now);
        cell.difference = {
          images: images.map((one) => one.container),
          recreate: rest.recreate,
          fixed: rest.fixed,
          services: rest.services,
        };
      }
      cells.push(cell);
    }
    return {
      service,
      revision: target.revision.number,
      spec: target.revision,
      cells,
      leaving: leavingCells(app, world),
    };
  }
}

/** Where the service runs and its target, if it has one, does not want it. */
function leavingCells({ service, target, former }: Known, world: Map<string, ReleaseSnapshot>): LeavingCell[] {
  const settled = new Set(target?.placements.map((one) => one.placement.cell));
  const leaving: LeavingCell[] = [];
  for (const { revision, placements } of former) {
    for (const { cluster, placement } of placements) {
      if (settled.has(placement.cell)) continue;
      settled.add(placement.cell);
      const seen = world.get(cluster)?.[service]?.find((one) => one.cell === placement.cell);
      if (!seen?.workload) continue;
      leaving.push({ cell: placement.cell, cluster, revision: revision.number, replicas: seen.workload.replicas });
    }
  }
  return leaving;
}

/** Every cell in which something may have been set going, by a revision that says where it is. */
function freezesOf({ target, former }: Known): Freeze[] {
  const settled = new Set<string>();
  const freezes = new Map<string, Freeze>();
  for (const { revision, placements } of [...former, ...(target ? [target] : [])]) {
    for (const { cluster, placement } of placements) {
      if (settled.has(placement.cell)) continue;
      settled.add(placement.cell);
      freezes.set(`${cluster} ${revision.number}`, { cluster, revision: revision.number });
    }
  }
  return [...freezes.values()];
}

function requestOf(order: Order): ReleaseRequest {
  return order.request as ReleaseRequest;
}
