import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { RELEASE_LOCKS } from "../../db/repositories/locks.ts";
import { listOrders } from "../../db/repositories/orders.ts";
import type { Order } from "../../db/repositories/orders.ts";
import { AppServiceName, WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import type { OrderEngine } from "../../domain/pipeline/engine.ts";
import { ORDER_VERBS, TASK_VERBS } from "../../domain/pipeline/model.ts";
import { PIPELINE_STATES } from "../../domain/pipeline/states.ts";
import { ReleaseOrderBody, validateReleaseOrder } from "../../domain/release/order.ts";
import type { ReleaseRequest } from "../../domain/release/order.ts";
import { accessOf, assertVisible } from "../access/authorise.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listOf, ListQuery, orderPage } from "../lists.ts";
import { caller, mutate, send } from "../mutation.ts";
import { actOnApp, actOnOrder, actOnTask, ActionAnswer, ActionBody, APP_VERBS } from "../order-actions.ts";
import { existingOrder, insertReleaseOrder, previewed, RELEASE } from "../order-creation.ts";
import { OrderSummary, readReleaseOrder, ReleaseOrder, summaryOf } from "../order-view.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, Problem } from "../problem.ts";
import { pathOf } from "../request.ts";
import { IdempotentHeaders } from "./revisions.ts";

const tags: Tag[] = ["orders"];

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
        config: { permission: "orders.create" },
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
        // Row, idempotency key and audit record in one transaction; the workflow afterwards, by the row's id.
        const answer = await mutate(db, request, async (tx) => ({
          status: 201,
          body: { id: await insertReleaseOrder(tx, request.body, creator) },
        }));
        const { id } = answer.body as { id: string };
        const order = await previewed({ db, engine, log: app.log }, id);
        return send(reply, { ...answer, body: await readReleaseOrder(db, order) });
      },
    );

    app.get(
      "/release-orders",
      {
        config: { permission: "orders.read" },
        schema: {
          summary: "List release orders, newest first",
          tags,
          querystring: filter,
          response: responses("read", { 200: listOf(OrderSummary) }),
        },
      },
      async (request) => list(request, { ...request.query, kind: RELEASE }),
    );

    app.get(
      "/orders",
      {
        config: { permission: "orders.read" },
        schema: {
          summary: "List orders of all kinds, newest first",
          tags,
          querystring: filter,
          response: responses("read", { 200: listOf(OrderSummary) }),
        },
      },
      async (request) => list(request, request.query),
    );

    app.get(
      "/release-orders/:id",
      {
        config: { permission: "orders.read" },
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
        config: { permission: "by-verb" },
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
        config: { permission: "by-verb" },
        schema: {
          summary: "Steer one app service of an order",
          tags,
          params: Type.Object({
            id: OrderId,
            service: AppServiceName,
            verb: Type.Enum([...APP_VERBS], { description: "an action on apps" }),
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
        config: { permission: "by-verb" },
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

    const existing = (id: string): Promise<Order> => existingOrder(db, id);

    async function list(
      request: FastifyRequest,
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
      const visible = accessOf(request).groups;
      const page = orderPage(pathOf(request), {
        ...(limit !== undefined && { limit }),
        ...(cursor !== undefined && { cursor }),
      });
      if (wanted.workspaceGroup !== undefined) await assertVisible(db, request, wanted.workspaceGroup);
      const rows = await listOrders(db, { ...wanted, visible }, page.before, page.limit + 1);
      return page.answer(rows, summaryOf);
    }
  };
}
