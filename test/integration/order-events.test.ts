/** Following orders, over connections to a server that listens, and a real database. */
import { setTimeout as sleep } from "node:timers/promises";
import { eq } from "drizzle-orm";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { FeedOptions } from "../../api/events/feed.ts";
import { orderEventRoutes } from "../../api/routes/order-events.ts";
import { roleBindings } from "../../db/schema/index.ts";
import { createTestApi, type TestApi } from "../support/api.ts";
import { follow, followToEnd, type Followed, type Following } from "../support/event-stream.ts";
import { createRandom } from "../support/random.ts";
import { recordOrder, type RecordedOrder } from "../support/recorded-order.ts";
import { until } from "../support/workloads.ts";

type Server = {
  api: TestApi;
  url: string;
  token: string;
  order(id: string): Promise<RecordedOrder>;
  follow(order: RecordedOrder, more?: Partial<Following> & { query?: string }): Promise<Followed>;
};

async function serve(options: Partial<FeedOptions> = {}): Promise<Server> {
  const api = await createTestApi({ routes: [orderEventRoutes(options)] });
  const url = await api.app.listen({ host: "127.0.0.1", port: 0 });
  const token = await api.token(["viewer"]);
  return {
    api,
    url,
    token,
    order: (id) => recordOrder(api.database, id),
    follow: (order, { query = "", ...more } = {}) => follow({ url: url + order.path + query, token, ...more }),
  };
}

const ids = ({ events }: Pick<Followed, "events">): number[] =>
  events.filter(({ type }) => type !== "end").map(({ id }) => Number(id));
const upTo = (newest: number, from = 1): number[] =>
  Array.from({ length: newest + 1 - from }, (_, index) => from + index);
const arrived = (followed: Followed, count: number): Promise<boolean> =>
  until(`${count} events`, async () => followed.events.length >= count);

let server: Server;
beforeAll(async () => {
  server = await serve({ heartbeat: 200, interval: 100, recheck: 300 });
});
afterAll(() => server.api.close());

describe("a stream", () => {
  test("has what there is, then what comes, then the end", async () => {
    const order = await server.order("whole");
    await order.append([{ type: "planned", at: 5, generation: 1, digest: "d" }]);
    await order.tasks(1, { app: "cart" });
    const stream = await server.follow(order);
    expect([stream.status, stream.headers["content-type"], stream.headers["cache-control"]]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
      "no-store",
    ]);
    expect(stream.headers["x-request-id"]).toBeTruthy();
    await arrived(stream, 2);
    await order.state("SUCCEEDED", "cart");
    await arrived(stream, 3);
    await order.state("SUCCEEDED");
    expect(await stream.closed).toBe("ended");
    expect(stream.events.map(({ id, type }) => [id, type])).toEqual([
      ["1", "planned"],
      ["2", "taskChanged"],
      ["3", "pipelineChanged"],
      ["4", "pipelineChanged"],
      // It is none of the stored events: the last id stays.
      ["4", "end"],
    ]);
    expect(JSON.parse(stream.events[0]!.data)).toEqual({
      position: 1,
      stream: "release/whole",
      type: "planned",
      at: 5,
      generation: 1,
      digest: "d",
    });
    expect(JSON.parse(stream.events[1]!.data)).toMatchObject({ stream: "release/whole/cart", subject: "cart" });
    expect(JSON.parse(stream.events[4]!.data)).toEqual({ state: "SUCCEEDED" });

    const late = await server.follow(order);
    expect(await late.closed).toBe("ended");
    expect(late.events).toEqual(stream.events);
    const cutBeforeEnd = await server.follow(order, { lastId: "3" });
    expect(await cutBeforeEnd.closed).toBe("ended");
    expect(cutBeforeEnd.events).toEqual(stream.events.slice(3));
    expect((await server.follow(order, { lastId: "4" })).status).toBe(204);
  });

  test("waits for the last words of an ended order's apps", async () => {
    const order = await server.order("words");
    await order.tasks(1, { app: "cart" });
    await order.state("TERMINATED");
    const stream = await server.follow(order);
    await arrived(stream, 2);
    await sleep(400);
    expect((await server.follow(order, { lastId: "2" })).status).toBe(200);
    await order.state("TERMINATED", "cart");
    expect(await stream.closed).toBe("ended");
    expect(stream.events.map(({ type }) => type)).toEqual(["taskChanged", "pipelineChanged", "pipelineChanged", "end"]);
  });

  test("begins with the next event when asked to, and one that is cut before it resumes from there", async () => {
    const order = await server.order("now");
    await order.tasks(3);
    const stream = await server.follow(order, { query: "?from=now" });
    await until("the beginning", async () => stream.lastId === "3");
    expect(stream.events).toEqual([]);
    stream.cut();
    await order.tasks(2);
    // The header says more than the address.
    const resumed = await server.follow(order, { query: "?from=now", lastId: stream.lastId });
    await arrived(resumed, 2);
    expect(ids(resumed)).toEqual([4, 5]);
    resumed.cut();
  });

  test("is resumed without loss or doubling wherever it is cut, while several workflows write", async () => {
    const random = createRandom(1);
    const order = await server.order("cuts");
    const apps = ["cart", "stock", "web", undefined];
    const writing = Promise.all(
      apps.map(async (app) => {
        for (let written = 0; written < 60; written += 4) {
          await order.tasks(4, app === undefined ? {} : { app });
          await sleep(random.integer(0, 40));
        }
        if (app !== undefined) await order.state("SUCCEEDED", app);
      }),
    ).then(() => order.state("SUCCEEDED"));
    const followers = [1, 2, 3, 4].map(async () => {
      let next = random.integer(1, 20);
      return followToEnd({
        url: server.url + order.path,
        token: server.token,
        onEvent: (_event, count, followed) => {
          if (count < next) return;
          next = random.integer(1, 40);
          followed.cut();
        },
      });
    });
    await writing;
    for (const { events, connections } of await Promise.all(followers)) {
      expect(ids({ events })).toEqual(upTo(4 * 60 + 4));
      expect(connections).toBeGreaterThan(3);
    }
  });

  test("is heard of while nothing happens, also without the database, and goes on when that is back", async () => {
    const order = await server.order("away");
    await order.tasks(1);
    const stream = await server.follow(order);
    await arrived(stream, 1);
    const name = new URL(server.api.databaseUrl).pathname.slice(1);
    await onServer(`alter database ${name} with allow_connections false`);
    await onServer(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    const heard = stream.comments.length;
    await until("heartbeats", async () => stream.comments.length >= heard + 3);
    expect((await server.follow(order)).status).toBe(503);
    await onServer(`alter database ${name} with allow_connections true`);
    await order.tasks(2);
    await arrived(stream, 3);
    expect(ids(stream)).toEqual([1, 2, 3]);
    expect(new Set(stream.comments)).toEqual(new Set(["alive"]));
    stream.cut();
    // An outage is told of once, and so is its end.
    const { length } = server.api.logs().match(/events cannot be read/g) ?? [];
    expect([length, server.api.logs().includes("events can be read again")]).toEqual([1, true]);
  });

  test("ends when the right to read the order is taken away, and not before", async () => {
    const order = await server.order("withdrawn");
    const { db } = server.api.database;
    await db.insert(roleBindings).values({ workspaceGroup: "shop", name: "ann", subject: "ann", role: "viewer" });
    const stream = await server.follow(order, { token: await server.api.token([], { sub: "ann" }) });
    await sleep(800);
    await order.tasks(1);
    await arrived(stream, 1);
    await db.delete(roleBindings).where(eq(roleBindings.name, "ann"));
    expect(await stream.closed).toBe("ended");
    expect(stream.comments.at(-1)).toBe("the right to read this order has been taken away");
  });

  test("ends with the token that opened it", async () => {
    const order = await server.order("expiry");
    await order.tasks(1);
    const exp = Math.ceil(Date.now() / 1000) + 1;
    const stream = await server.follow(order, { token: await server.api.token(["viewer"], { exp }) });
    expect(await stream.closed).toBe("ended");
    expect(Math.abs(Date.now() - exp * 1000)).toBeLessThan(700);
    expect(ids(stream)).toEqual([1]);
    expect(stream.comments.at(-1)).toBe("the token has expired; connect again with a new one and Last-Event-ID");
  });
});

describe("what is refused", () => {
  test.each(["", "x", "-1", "3", "1.0", "9999999999999"])("Last-Event-ID %j", async (lastId) => {
    const order = await server.order(`refused${lastId.length}x${lastId.replaceAll(/\W/g, "y")}`);
    await order.tasks(2);
    const { status, body } = await server.follow(order, { lastId });
    expect([status, JSON.parse(body)]).toMatchObject([
      400,
      { type: "/problems/malformed-request", errors: [{ field: "header:Last-Event-ID" }] },
    ]);
  });

  test("other addresses, orders, and callers", async () => {
    const order = await server.order("callers");
    const none = { ...order, path: order.path.replace("callers", "none") };
    expect((await server.follow(none)).status).toBe(404);
    expect((await server.follow(order, { query: "?from=1" })).status).toBe(400);
    expect((await server.follow(order, { token: undefined })).status).toBe(401);
    expect((await server.follow(order, { token: await server.api.token([]) })).status).toBe(403);
    // A stream has no length and no end that could be told without it.
    expect((await server.api.call("HEAD", order.path)).statusCode).toBe(404);
  });
});

test("who asks for JSON gets the same events, page by page", async () => {
  const order = await server.order("pages");
  await order.append([{ type: "planned", at: 5, generation: 1, digest: "d" }]);
  await order.tasks(4, { app: "cart" });
  const stream = await server.follow(order);
  await arrived(stream, 5);
  stream.cut();
  const found: unknown[] = [];
  let cursor: string | undefined;
  do {
    const query: string = `?limit=2${cursor === undefined ? "" : `&cursor=${cursor}`}`;
    const answer = await server.api.call("GET", order.path + query, undefined, { accept: "application/json" });
    expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "application/json; charset=utf-8"]);
    found.push(...answer.json().items);
    cursor = answer.json().nextCursor;
  } while (cursor !== undefined);
  expect(found).toEqual(stream.events.map(({ data }) => JSON.parse(data)));
  const bad = await server.api.call("GET", `${order.path}?cursor=x`, undefined, { accept: "application/json" });
  expect(bad.statusCode).toBe(400);
});

describe("many clients", () => {
  test("200 streams cost one query at a time, and nothing when they are gone", async () => {
    const interval = 250;
    const many = await serve({ interval });
    let queries = 0;
    let now = 0;
    let most = 0;
    many.api.database.pool.on("acquire", () => {
      queries += 1;
      most = Math.max(most, ++now);
    });
    many.api.database.pool.on("release", () => (now -= 1));
    const orders = await Promise.all(upTo(20).map((number) => many.order(`many${number}`)));
    for (const order of orders) await order.tasks(1);
    const streams = await Promise.all(
      orders.flatMap((order) =>
        upTo(10).map(async (number) =>
          many.follow(order, { token: await many.api.token(["viewer"], { sub: `subject-${number}` }) }),
        ),
      ),
    );
    for (const stream of streams) await arrived(stream, 1);

    queries = most = now = 0;
    const begin = Date.now();
    await sleep(3_000);
    const ticks = (Date.now() - begin) / interval;
    expect(queries).toBeGreaterThan(ticks / 2);
    expect(queries).toBeLessThan(ticks + 2);
    expect(most).toBe(1);

    for (const order of orders) await order.tasks(1);
    for (const stream of streams) await arrived(stream, 2);
    for (const stream of streams) expect(ids(stream)).toEqual([1, 2]);
    for (const stream of streams) stream.cut();
    await sleep(2 * interval);
    queries = 0;
    await sleep(4 * interval);
    expect(queries).toBe(0);
    await many.api.close();
  });

  test("one that does not read is cut off, keeps no other waiting, and loses nothing", async () => {
    const slowly = await serve({ interval: 50, stall: 1_000, farewell: 300 });
    const order = await slowly.order("slow");
    const slow = await slowly.follow(order);
    slow.pause();
    const quick = await slowly.follow(order);
    // 40 MB, of which the sockets' buffers hold a small part.
    const reason = "x".repeat(50_000);
    for (let turn = 0; turn < 16; turn++) await order.tasks(50, { reason });
    await arrived(quick, 800);
    await sleep(2_000);
    slow.resume();
    expect(await slow.closed).toBe("cut");
    expect(slow.bytes).toBeLessThan(20_000_000);
    const resumed = await slowly.follow(order, { lastId: slow.lastId });
    await arrived(resumed, 800 - slow.events.length);
    expect([...ids(slow), ...ids(resumed)]).toEqual(upTo(800));
    await slowly.api.close();
  });

  test("too many are refused until others have gone", async () => {
    const few = await serve({ streams: 3, streamsOfSubject: 2 });
    const order = await few.order("few");
    const open = [await few.follow(order), await few.follow(order)];
    const refused = await few.follow(order);
    expect([refused.status, JSON.parse(refused.body)]).toMatchObject([
      429,
      { type: "/problems/too-many-streams", detail: expect.stringContaining('"viewer-user" has 2 event streams open') },
    ]);
    expect(refused.headers["retry-after"]).toBe("5");
    const token = await few.api.token(["viewer"], { sub: "other" });
    open.push(await few.follow(order, { token }));
    const full = await few.follow(order, { token });
    expect([full.status, JSON.parse(full.body)]).toMatchObject([503, { type: "/problems/unavailable" }]);
    open[0]?.cut();
    await until("room", async () => {
      const stream = await few.follow(order);
      stream.cut();
      return stream.status === 200;
    });
    await few.api.close();
  });

  test("do not keep the server from closing, whether they read or not", async () => {
    const closing = await serve({ interval: 50 });
    const order = await closing.order("closing");
    const streams = [await closing.follow(order), await closing.follow(order)];
    streams[1]?.pause();
    await order.tasks(100, { reason: "x".repeat(100_000) });
    await arrived(streams[0]!, 100);
    const begin = Date.now();
    await closing.api.app.close();
    expect(Date.now() - begin).toBeLessThan(3_000);
    expect(await streams[0]!.closed).toBe("ended");
    expect(streams[0]!.comments.at(-1)).toBe("this process is ending; connect again with Last-Event-ID");
    streams[1]!.cut();
    await closing.api.close();
  });
});

async function onServer(statement: string): Promise<void> {
  const client = new Client({ connectionString: inject("stack").databaseUrl });
  await client.connect();
  await client.query(statement);
  await client.end();
}
