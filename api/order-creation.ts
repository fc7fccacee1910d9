/** How a release order comes to be: its row first, in the caller's transaction; its workflow and its preview afterwards. */
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyBaseLogger } from "fastify";
import type { Database, Tx } from "../db/client.ts";
import { shareAppServices } from "../db/repositories/app-services.ts";
import { requireGroup } from "../db/repositories/groups.ts";
import { nameRevisions } from "../db/repositories/order-revisions.ts";
import { locksOf } from "../db/repositories/locks.ts";
import { findOrder, insertOrder, leftBehind, type Order } from "../db/repositories/orders.ts";
import { getNewestRevision, getRevision } from "../db/repositories/revisions.ts";
import type { Fault } from "../domain/catalogue/faults.ts";
import type { OrderEngine } from "../domain/pipeline/engine.ts";
import { needsOf, type ReleaseOrderBody, type ReleaseRequest } from "../domain/release/order.ts";
import { newOrderId } from "./order-id.ts";
import { invalid, Problem } from "./problem.ts";

/** Kind of release orders; also the first part of their workflows' ids. */
export const RELEASE = "release";
/** How long a new order is waited for until its preview is there. Milliseconds. */
const PREVIEW_WAIT = 10_000;
const PREVIEW_LOOK = 50;

/**
 * Stores a release order; the body has passed `validateReleaseOrder`. Should this process die after the transaction, the
 * orchestrator finds the row and starts the workflow.
 * @returns the order's id
 * @throws Problem when the group, a service or a revision does not exist
 */
export async function insertReleaseOrder(tx: Tx, body: ReleaseOrderBody, creator: string): Promise<string> {
  const { workspaceGroup, title, type } = body;
  const absent = await requireGroup(tx, workspaceGroup);
  if (absent) throw invalid([{ field: "/workspaceGroup", message: `there is no workspace group ${workspaceGroup}` }]);
  const request: ReleaseRequest = {
    type,
    apps: await resolveApps(tx, body),
    dependencies: [...needsOf(body)].map(([service, needs]) => ({ service, needs })),
  };
  const { supersedes } = body;
  if (supersedes !== undefined) await checkSuperseded(tx, body, supersedes);
  const id = newOrderId();
  const row = { id, kind: RELEASE, workflowId: `${RELEASE}/${id}`, workspaceGroup, title, request, creator };
  await insertOrder(tx, { ...row, supersedes: supersedes ?? null });
  await nameRevisions(tx, id, workspaceGroup, request.apps);
  return id;
}

/** What can be superseded: an order that has begun and not come to a good end. It is checked again at the start. */
async function checkSuperseded(tx: Tx, body: ReleaseOrderBody, former: string): Promise<void> {
  const field = "/supersedes";
  const order = await findOrder(tx, former);
  if (order?.kind !== RELEASE || order.workspaceGroup !== body.workspaceGroup) {
    throw invalid([{ field, message: `there is no release order ${former} in this workspace group` }]);
  }
  const held = await locksOf(tx, former);
  if (held.length === 0) {
    throw invalid([
      {
        field,
        message: `order ${former} is ${order.state} and holds no locks: there is nothing to take over. Leave "supersedes" out`,
      },
    ]);
  }
  const missing = await leftBehind(
    tx,
    former,
    body.apps.map((app) => app.service),
  );
  if (missing.length > 0) {
    throw invalid([
      { field, message: `order ${former} has begun to change ${missing.join(", ")}: add to the apps of this order` },
    ]);
  }
}

/** Starts the order's workflow, if that has not happened yet, and waits for its preview or the reason why there is none. */
export async function previewed(
  { db, engine, log }: { db: Database; engine: OrderEngine; log: FastifyBaseLogger },
  id: string,
): Promise<Order> {
  const until = Date.now() + PREVIEW_WAIT;
  let order = await existingOrder(db, id);
  if (order.state === "INITIALIZING" && order.position === 0) {
    const subjects = (order.request as ReleaseRequest).apps.map(({ service }) => service);
    try {
      await engine.start({ ...order, subjects });
    } catch (error) {
      // The order exists and will be started by the orchestrator; the caller sees INITIALIZING.
      log.warn({ err: error, order: id }, "the workflow of an order could not be started yet");
      return order;
    }
  }
  while (order.state === "INITIALIZING" && Date.now() < until) {
    await sleep(PREVIEW_LOOK);
    order = await existingOrder(db, id);
  }
  return order;
}

/** @throws Problem when there is no release order of this id */
export async function existingOrder(db: Database, id: string): Promise<Order> {
  const order = await findOrder(db, id);
  if (order?.kind !== RELEASE)
    throw new Problem("not-found", `There is no release order ${id}; list the orders for their ids.`);
  return order;
}

/** Revisions settled: the newest where none is named. All faults at once. */
async function resolveApps(
  tx: Tx,
  body: { workspaceGroup: string; apps: { service: string; revision?: number }[] },
): Promise<ReleaseRequest["apps"]> {
  const faults: Fault[] = [];
  const apps: ReleaseRequest["apps"] = [];
  // From here to the transaction's end no service and no revision that is named can be deleted.
  const known = await shareAppServices(
    tx,
    body.workspaceGroup,
    body.apps.map((app) => app.service),
  );
  for (const [index, { service, revision }] of body.apps.entries()) {
    const found =
      revision === undefined
        ? await getNewestRevision(tx, body.workspaceGroup, service)
        : await getRevision(tx, body.workspaceGroup, service, revision);
    if (found) {
      apps.push({ service, revision: found.number });
      continue;
    }
    faults.push(
      !known.has(service)
        ? {
            field: `/apps/${index}/service`,
            message: `there is no app service ${service} in workspace group ${body.workspaceGroup}`,
          }
        : revision === undefined
          ? { field: `/apps/${index}/service`, message: `${service} has no revision yet: create one first` }
          : { field: `/apps/${index}/revision`, message: `${service} has no revision ${revision}` },
    );
  }
  if (faults.length > 0) throw invalid(faults);
  return apps;
}
