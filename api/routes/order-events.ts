import Type, { type TSchema } from "typebox";
import { listOrderEvents, readEventPages, type PlacedEvent } from "../../db/repositories/order-event-pages.ts";
import { findOrder, type Order } from "../../db/repositories/orders.ts";
import { PIPELINE_STATES, TASK_STATES } from "../../domain/pipeline/states.ts";
import { mayStillRead } from "../access/grants.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { createEventFeed, type FeedOptions } from "../events/feed.ts";
import { lastEventId, prefersJson } from "../events/format.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { caller } from "../mutation.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { Problem } from "../problem.ts";
import { pathOf } from "../request.ts";
import { NoContent } from "./named.ts";

const tags: Tag[] = ["orders"];
const KIND = "release";

const Text = Type.String();
const common = {
  position: Type.Integer({ description: "From 1, without gaps, over all workflows of the order" }),
  stream: Type.String({ description: "Id of the workflow that wrote it" }),
  subject: Type.Optional(Type.String({ description: "App service that it is about; absent: the order itself" })),
  at: Type.Integer({ description: "When it happened, milliseconds since 1970" }),
};
const Reason = Type.Optional(Type.String({ description: "For a person: why" }));
/** Every type of event, so that one which is added is described too. */
const EVENTS = {
  planned: Type.Object({
    ...common,
    type: Type.Literal("planned"),
    generation: Type.Integer({ description: "Which plan this is; task ids begin with it" }),
    digest: Type.String({ description: "Of the preview; start names it" }),
  }),
  rollbackPlanned: Type.Object({
    ...common,
    type: Type.Literal("rollbackPlanned"),
    generation: Type.Integer({ description: "The plan that takes back what was changed" }),
    tasks: Type.Array(
      Type.Object({ task: Text, to: Type.Unknown({ description: "What its app is brought back to" }) }),
      { description: "Tasks whose pipelines follow that plan from now on" },
    ),
    reason: Text,
  }),
  pipelineChanged: Type.Object({
    ...common,
    type: Type.Literal("pipelineChanged"),
    state: Type.Enum([...PIPELINE_STATES]),
    reason: Reason,
    allowed: Type.Array(Text, { description: "What may be done now" }),
    committed: Type.Boolean({ description: "Whether it has changed anything that cancelling cannot take back" }),
  }),
  taskChanged: Type.Object({
    ...common,
    type: Type.Literal("taskChanged"),
    task: Text,
    state: Type.Enum([...TASK_STATES]),
    attempt: Type.Integer({ description: "How often it was set going" }),
    reason: Reason,
  }),
  acted: Type.Object({
    ...common,
    type: Type.Literal("acted"),
    verb: Text,
    task: Type.Optional(Text),
    actor: Type.Object({ subject: Text, role: Text }),
    reason: Reason,
    outcome: Type.String({ description: "accepted, or the problem with which it was refused" }),
  }),
} satisfies Record<PlacedEvent["type"], TSchema>;
const OrderEvent = Type.Union(Object.values(EVENTS), {
  description: "What an order, an app in it or a task became, or what a person asked for",
});

const query = Type.Object(
  {
    ...ListQuery.properties,
    from: Type.Optional(
      Type.Enum(["start", "now"], {
        default: "start",
        description: "where a stream begins without Last-Event-ID: with the first event, or with the next one",
      }),
    ),
  },
  { additionalProperties: false },
);
const headers = Type.Object({
  "last-event-id": Type.Optional(
    Type.String({ description: "Id of the last event that was seen; the stream goes on with the next" }),
  ),
});

const SAMPLE = [
  "retry: 2000",
  "id: 41",
  "",
  "event: taskChanged",
  "id: 42",
  'data: {"position":42,"stream":"release/1m7y/cart","subject":"cart","at":1767225600000,"type":"taskChanged","task":"1.cart.beta","state":"RUNNING","attempt":1}',
  "",
  "event: end",
  'data: {"state":"SUCCEEDED"}',
  "",
].join("\n");

const answers: Readonly<Record<number, unknown>> = {
  ...responses("read", { 204: NoContent }, 404, 429),
  200: {
    description: "The events",
    content: {
      "text/event-stream": { schema: { type: "string", examples: [SAMPLE] } },
      "application/json": { schema: listOf(OrderEvent) },
    },
  },
};

/** Declares the events of release orders, and with them the one reader of events of this process. */
export function orderEventRoutes(options: Partial<FeedOptions> = {}): (app: App, deps: AppDependencies) => void {
  return (app, { database: { db } }) => {
    const feed = createEventFeed(db, app.log, options);
    // Before the server waits for its connections, or it would wait for these until their tokens end.
    app.addHook("preClose", () => feed.close());

    app.get(
      "/release-orders/:id/events",
      {
        config: { permission: "orders.read" },
        exposeHeadRoute: false,
        schema: {
          summary: "Follow an order: what it did and does, as server-sent events, or page by page as JSON",
          description:
            "A stream unless `Accept: application/json` is sent. Each event's `id` is its `position`, its `event` the type, its `data` the event as JSON. The stream begins " +
            "after `Last-Event-ID`, which clients of server-sent events send by themselves when they connect again, so " +
            "nothing is lost or doubled. When the order has ended, `event: end` is the last and the stream closes; who " +
            "connects again after that is answered 204. A stream also closes when its token expires, when the server " +
            "stops and when what was sent is not read for half a minute; a comment says so, and it can be resumed.",
          tags,
          params: Type.Object({ id: Type.String({ pattern: "^[a-z0-9]{1,40}$", description: "an order's id" }) }),
          querystring: query,
          headers,
          response: answers,
        },
      },
      async (request, reply) => {
        const order = await existing(request.params.id);
        if (prefersJson(request.headers.accept)) {
          const list = pathOf(request);
          const page = await listOrderEvents(db, order.id, pageRequest(list, "integer", request.query));
          return listAnswer(list, page, (event) => event.position);
        }
        const seen = lastEventId(request.headers["last-event-id"], order.position);
        if (seen === order.position && order.endedAt !== null && (await isOver(order))) return reply.code(204).send();
        const who = caller(request);
        const { subject, expiresAt } = who;
        feed.admit(subject);
        reply.hijack();
        feed.follow({
          response: reply.raw,
          headers: reply.getHeaders(),
          orderId: order.id,
          subject,
          position: seen ?? (request.query.from === "now" ? order.position : 0),
          expiresAt,
          mayRead: () => mayStillRead(db, who, "orders.read", order.workspaceGroup),
        });
        return reply;
      },
    );

    async function existing(id: string): Promise<Order> {
      const order = await findOrder(db, id);
      if (order?.kind !== KIND) {
        throw new Problem("not-found", `There is no release order ${id}; list the orders for their ids.`);
      }
      return order;
    }

    /** Whether nothing will follow the newest event of an order that has ended. */
    async function isOver({ id, position }: Order): Promise<boolean> {
      const [page] = await readEventPages(db, [{ orderId: id, after: position }], 1);
      return page?.over !== undefined && page.events.length === 0;
    }
  };
}
