import Type from "typebox";
import { getGroup, requireGroup } from "../../db/repositories/groups.ts";
import { getNewestRevision, getRevision } from "../../db/repositories/revisions.ts";
import { getAppService } from "../../db/repositories/app-services.ts";
import { RELEASE_LOCKS } from "../../db/repositories/order-events.ts";
import { findOrder, insertOrder, listOrders } from "../../db/repositories/orders.ts";
import type { Order } from "../../db/repositories/orders.ts";
import { nameRevisions } from "../../db/repositories/order-revisions.ts";
import type { Tx } from "../../db/client.ts";
import type { Fault } from "../../domain/catalogue/faults.ts";
import { AppServiceName, WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import type { OrderEngine } from "../../domain/pipeline/engine.ts";
import { ORDER_VERBS, TASK_VERBS } from "../../domain/pipeline/model.ts";
import { PIPELINE_STATES } from "../../domain/pipeline/states.ts";
import { needsOf, ReleaseOrderBody, validateReleaseOrder } from "../../domain/release/order.ts";
import type { ReleaseRequest } from "../../domain/release/order.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listOf, ListQuery, orderPage } from "../lists.ts";
import { caller, mutate, send } from "../mutation.ts";
import { actOnApp, actOnOrder, actOnTask, ActionAnswer, ActionBody } from "../order-actions.ts";
import { newOrderId } from "../order-id.ts";
import { OrderSummary, readReleaseOrder, ReleaseOrder, summaryOf } from "../order-view.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, Problem, refused } from "../problem.ts";
import { pathOf } from "../request.ts";
import { IdempotentHeaders } from "./revisions.ts";

const tags: Tag[] = ["orders"];
const KIND = "release";
/** How long a new order is waited for until its preview is there. Milliseconds. */
const PREVIEW_WAIT = 10_000;
const PREVIEW_LOOK = 50;

const OrderId = Type.String({ pattern: "^[a-z0-9]{1,40}$", description: "an order's id" });
const byId = Type.Object({ id: OrderId });
const filter = Type.Object(
  {
    ...ListQuery.properties,
    state: Type.Optional(Type.Enum([...PIPELINE_STATES], { description: "a state of orders" })),
    workspaceGroup: Type.Optional(WorkspaceGroupName),
    title: Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: "how the title begins" })),
  },
  { additionalProperties: false },
);

export function releaseOrderRoutes(engine: OrderEngine): (app: App, deps: AppDependencies) => void {
  return (app, { database: { db } }) => {
    app.post(
      "/release-orders",
      {
        config: { access: "write" },
        schema: {
          summary: "Create a release order: it looks at the world and makes a preview; nothing is changed before start",
          tags,
          headers: IdempotentHeaders,
          body: ReleaseOrderBody,
          response: responses("body", { 201: ReleaseOrder }),
        },
      },
      async (request, reply) => {
        const faults = validateReleaseOrder(request.body);
        if (faults.length > 0) throw invalid(faults);
        const creator = caller(request).subject;
        // Row, idempotency key and audit record in one transaction; the workflow afterwards, by the row's id. Should this
        // process die in between, the orchestrator finds the row and starts the workflow.
        const answer = await mutate(db, request, async (tx) => {
          const { workspaceGroup, title, type } = request.body;
          const absent = await requireGroup(tx, workspaceGroup);
          if (absent)
            throw invalid([{ field: "/workspaceGroup", message: `there is no workspace group ${workspaceGroup}` }]);
          const asked: ReleaseRequest = {
            type,
            apps: await resolveApps(tx, request.body),
            dependencies: [...needsOf(request.body)].map(([service, needs]) => ({ service, needs })),
          };
          const id = newOrderId();
          const workflowId = `${KIND}/${id}`;
          await insertOrder(tx, { id, kind: KIND, workflowId, workspaceGroup, title, request: asked, creator });
          await nameRevisions(tx, id, workspaceGroup, asked.apps);
          return { status: 201, body: { id } };
        });
        const { id } = answer.body as { id: string };
        const order = await previewed(id);
        return send(reply, { ...answer, body: await readReleaseOrder(db, order) });
      },
    );

    app.get(
      "/release-orders",
      {
        config: { access: "read" },
        schema: {
          summary: "List release orders, newest first",
          tags,
          querystring: filter,
          response: responses("read", { 200: listOf(OrderSummary) }),
        },
      },
      async (request) => list(pathOf(request), { ...request.query, kind: KIND }),
    );

    app.get(
      "/orders",
      {
        config: { access: "read" },
        schema: {
          summary: "List orders of all kinds, newest first",
          tags,
          querystring: filter,
          response: responses("read", { 200: listOf(OrderSummary) }),
        },
      },
      async (request) => list(pathOf(request), request.query),
    );

    app.get(
      "/release-orders/:id",
      {
        config: { access: "read" },
        schema: {
          summary: "Read a release order: plan, progress, and what may be done",
          tags,
          params: byId,
          response: responses("read", { 200: ReleaseOrder }, 404),
        },
      },
      async (request) => readReleaseOrder(db, await existing(request.params.id)),
    );

    app.post(
      "/release-orders/:id/actions/:verb",
      {
        config: { access: "write" },
        schema: {
          summary: "Steer an order",
          tags,
          params: Type.Object({
            id: OrderId,
            verb: Type.Enum([...ORDER_VERBS, RELEASE_LOCKS], { description: "an action on orders" }),
          }),
          headers: IdempotentHeaders,
          body: ActionBody,
          response: responses("body", { 200: ActionAnswer }, 404),
        },
      },
      async (request, reply) => {
        const order = await existing(request.params.id);
        return send(reply, await actOnOrder({ db, engine }, request, order, request.params.verb, request.body));
      },
    );

    app.post(
      "/release-orders/:id/apps/:service/actions/:verb",
      {
        config: { access: "write" },
        schema: {
          summary: "Steer one app service of an order",
          tags,
          params: Type.Object({
            id: OrderId,
            service: AppServiceName,
            verb: Type.Enum(["retry", "cancel"], { description: "an action on apps" }),
          }),
          headers: IdempotentHeaders,
          body: ActionBody,
          response: responses("body", { 200: ActionAnswer }, 404),
        },
      },
      async (request, reply) => {
        const order = await existing(request.params.id);
        const { service, verb } = request.params;
        if (!(order.request as ReleaseRequest).apps.some((one) => one.service === service)) {
          throw new Problem("not-found", `Order ${order.id} does not release ${service}; read the order for its apps.`);
        }
        return send(reply, await actOnApp({ db, engine }, request, order, service, verb, request.body));
      },
    );

    app.post(
      "/release-orders/:id/tasks/:task/actions/:verb",
      {
        config: { access: "write" },
        schema: {
          summary: "Steer one task of an order: confirm, retry, ignore, cancel",
          tags,
          params: Type.Object({
            id: OrderId,
            task: Type.String({ minLength: 1, maxLength: 300, description: "a task's id, as the order shows it" }),
            verb: Type.Enum([...TASK_VERBS], { description: "an action on tasks" }),
          }),
          headers: IdempotentHeaders,
          body: ActionBody,
          response: responses("body", { 200: ActionAnswer }, 404),
        },
      },
      async (request, reply) => {
        const order = await existing(request.params.id);
        const { task, verb } = request.params;
        return send(reply, await actOnTask({ db, engine }, request, order, task, verb, request.body));
      },
    );

    async function existing(id: string): Promise<Order> {
      const order = await findOrder(db, id);
      if (order?.kind !== KIND)
        throw new Problem("not-found", `There is no release order ${id}; list the orders for their ids.`);
      return order;
    }

    /** Starts the order's workflow and waits for its preview, or for the reason why there is none. */
    async function previewed(id: string): Promise<Order> {
      const until = Date.now() + PREVIEW_WAIT;
      let order = await existing(id);
      if (order.state === "INITIALIZING" && order.position === 0) {
        const subjects = (order.request as ReleaseRequest).apps.map(({ service }) => service);
        try {
          await engine.start({ ...order, subjects });
        } catch (error) {
          // The order exists and will be started by the orchestrator; the caller sees INITIALIZING.
          app.log.warn({ err: error, order: id }, "the workflow of an order could not be started yet");
          return order;
        }
      }
      while (order.state === "INITIALIZING" && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, PREVIEW_LOOK));
        order = await existing(id);
      }
      return order;
    }

    async function list(
      name: string,
      query: {
        limit?: number;
        cursor?: string;
        kind?: string;
        state?: Order["state"];
        workspaceGroup?: string;
        title?: string;
      },
    ) {
      const { limit, cursor, ...wanted } = query;
      const page = orderPage(name, { ...(limit !== undefined && { limit }), ...(cursor !== undefined && { cursor }) });
      if (wanted.workspaceGroup !== undefined && (await getGroup(db, wanted.workspaceGroup)) === undefined) {
        throw refused({ kind: "not-found", what: `workspace group "${wanted.workspaceGroup}"` });
      }
      const rows = await listOrders(db, wanted, page.before, page.limit + 1);
      return page.answer(rows, summaryOf);
    }
  };
}

/** Revisions settled: the newest where none is named. All faults at once. */
async function resolveApps(
  tx: Tx,
  body: { workspaceGroup: string; apps: { service: string; revision?: number }[] },
): Promise<ReleaseRequest["apps"]> {
  const faults: Fault[] = [];
  const apps: ReleaseRequest["apps"] = [];
  for (const [index, { service, revision }] of body.apps.entries()) {
    const found =
      revision === undefined
        ? await getNewestRevision(tx, body.workspaceGroup, service)
        : await getRevision(tx, body.workspaceGroup, service, revision);
    if (found) {
      apps.push({ service, revision: found.number });
      continue;
    }
    const known = await getAppService(tx, body.workspaceGroup, service);
    faults.push(
      known === undefined
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
