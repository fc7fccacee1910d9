/**
 * The API is killed between a request and its answer. Judged by Postgres and Temporal: whatever was asked for happens
 * exactly once or not at all, and the same request with the same Idempotency-Key gets it done and answered.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReleaseOrder } from "../support/client.ts";
import { startLosingApi, type LosingApi, type Moment } from "../support/losing-api.ts";
import type { Product } from "../support/product.ts";
import { createRandom } from "../support/random.ts";
import { judgeRecord } from "../support/record-witness.ts";
import { judgeProjections } from "../support/records.ts";
import { createShop, type Shop } from "../support/shop.ts";
import type { Held, TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/workloads.ts";

/** Bounds waits and tests that start a process again and again, on a busy machine, in ms. */
const LONG = 60_000;
const ROUNDS = { timeout: 300_000 };

let product: Product;
let postgres: TcpProxy;
let temporal: TcpProxy;
let killDuring: LosingApi["killDuring"];
let close = async (): Promise<void> => {};
beforeAll(async () => {
  ({ product, postgres, temporal, killDuring, close } = await startLosingApi());
});
afterAll(() => close());

/** `done`: whether it has been done when the API has died then. */
type Case = Moment & { when: string; done: boolean };

/** Events are complete, and everything that is shown is what they say. */
async function expectRecorded(order: string): Promise<void> {
  const { pool } = product.database;
  expect(await judgeRecord(pool, product.temporal, order)).toEqual([]);
  expect(await judgeProjections(pool, order)).toEqual([]);
}

const count = async (sql: string, ...values: unknown[]): Promise<number> => {
  const { rows } = await product.database.pool.query<{ count: string }>(sql, values);
  return Number(rows[0]?.count);
};
const ordersTitled = (title: string) => count("select count(*) from orders where title = $1", title);

describe("creating an order", ROUNDS, () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await createShop(product, { services: { cart: 1 } });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
  });

  const create = (title: string) =>
    product.client.call<ReleaseOrder>("POST", "/api/v1/release-orders", {
      body: { type: "GROUPED", ...shop.body(["cart"], { title }) },
      key: title,
    });

  /** One row, one workflow that ran once, a preview, and the same order for everyone who repeats the request. */
  async function expectOneOrder(title: string): Promise<void> {
    const again = await create(title);
    expect(again.status).toBe(201);
    await product.client.waitFor(again.body.id, "READY", LONG);
    expect(await ordersTitled(title)).toBe(1);
    const runs: string[] = [];
    for await (const run of product.temporal.workflow.list({
      query: `WorkflowId = "${again.body.workflowId}"`,
    })) {
      runs.push(run.runId);
    }
    expect(runs).toHaveLength(1);
    await expectRecorded(again.body.id);
    expect((await create(title)).body.id).toBe(again.body.id);
  }

  const lostStart = () => temporal.hold("releaseOrder", "request");
  const moments: Case[] = [
    { when: "before the transaction", at: () => postgres.hold("begin", "request"), done: false },
    { when: "before the row is written", at: () => postgres.hold('insert into "orders"', "request"), done: false },
    { when: "before the commit, which is lost", at: () => postgres.hold("commit", "request"), done: false },
    {
      when: "before the commit, which still arrives",
      at: () => postgres.hold("commit", "request"),
      arrives: true,
      done: true,
    },
    { when: "after the commit, before it hears of it", at: () => postgres.hold("commit", "answer"), done: true },
    {
      when: "before the workflow's start, which is lost",
      at: lostStart,
      done: true,
    },
    {
      when: "before the workflow's start, which still arrives",
      at: lostStart,
      arrives: true,
      done: true,
    },
    { when: "after the workflow's start", at: () => temporal.hold("releaseOrder", "answer"), done: true },
  ];

  test.each(moments)("killed $when; asked again at once", async (moment) => {
    const title = `again ${moments.indexOf(moment)}`;
    await killDuring(
      () => create(title),
      moment,
      () => until("all or nothing", async () => (await ordersTitled(title)) === Number(moment.done), LONG),
    );
    await expectOneOrder(title);
  });

  // Those in which something is left to do.
  test.each(moments.filter(({ arrives, at }) => arrives === true || at === lostStart))(
    "killed $when; nobody asks again",
    async (moment) => {
      const title = `alone ${moments.indexOf(moment)}`;
      const state = async (): Promise<string | undefined> => {
        const { rows } = await product.database.pool.query<{ state: string }>(
          "select state from orders where title = $1",
          [title],
        );
        return rows[0]?.state;
      };
      // The API is down all the while: the orchestrator finds the row and sees to the rest.
      await killDuring(
        () => create(title),
        moment,
        () => until("the preview is there", async () => (await state()) === "READY", LONG),
      );
      await expectOneOrder(title);
    },
  );

  test("killed while it waits for the preview", async () => {
    const title = "preview";
    const { orchestrator } = product.processes;
    // With no one to make the preview, the wait lasts as long as it needs to.
    await orchestrator!.kill("SIGSTOP");
    const waiting = async (): Promise<Held> => {
      await temporal.hold("releaseOrder", "request").then((held) => held.pass());
      return postgres.hold('from "orders"', "request", 3);
    };
    await killDuring(
      () => create(title),
      { at: waiting },
      () => orchestrator!.kill("SIGCONT"),
    );
    expect(await ordersTitled(title)).toBe(1);
    await expectOneOrder(title);
  });

  test("killed at any time", async () => {
    const random = createRandom(1);
    for (let round = 1; round <= 6; round++) {
      const title = `round ${round}`;
      await killDuring(() => create(title), random.integer(0, 300));
      expect(await ordersTitled(title)).toBeLessThanOrEqual(1);
      await expectOneOrder(title);
    }
  });
});

describe("a verb", ROUNDS, () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await createShop(product, { services: { web: 6 } });
    await shop.deploy();
  });

  const confirmPhrase = '"verb":"confirm"';
  const moments: Case[] = [
    { when: "before its key is stored", at: () => postgres.hold("begin", "request"), done: false },
    { when: "before the workflow hears of it", at: () => temporal.hold(confirmPhrase, "request"), done: false },
    {
      when: "before the workflow hears of it, which it then does",
      at: () => temporal.hold(confirmPhrase, "request"),
      arrives: true,
      done: true,
    },
    { when: "after the workflow has heard of it", at: () => temporal.hold(confirmPhrase, "answer"), done: true },
    {
      when: "before the answer is stored",
      at: () => postgres.hold('insert into "audit_records"', "request"),
      done: true,
    },
    { when: "after the answer is stored", at: () => postgres.hold("commit", "answer", 2), done: true },
  ];
  /** Rounds at any time, after those. */
  const SEEDED = 6;

  test("a confirm is carried out exactly once, and its first answer is the last", async () => {
    const random = createRandom(2);
    const groups = moments.length + SEEDED;
    await shop.revision("web", { tag: "2", release: { minGroups: groups, pause: "ALL" } });
    const order = await product.client.release(shop.body(["web"]));
    const confirms = order.tasks.filter(({ kind }) => kind === "confirm");
    expect(confirms.length).toBe(groups);
    const answers: { task: string; key: string; body: unknown }[] = [];
    const events = (task: string): Promise<number> =>
      count(
        `select count(*) from order_events where order_id = $1 and event ->> 'task' = $2
         and event ->> 'type' = 'acted' and event ->> 'outcome' = 'accepted'`,
        order.id,
        task,
      );

    for (const [index, { id: task }] of confirms.entries()) {
      const key = `confirm ${index}`;
      const confirm = () => product.client.tryAct(order.id, "confirm", { task, key });
      await product.client.waitFor(
        order.id,
        (now) => now.tasks.some((one) => one.id === task && one.state === "AWAITING_CONFIRM"),
        LONG,
      );
      const moment = moments[index];
      if (moment === undefined) await killDuring(confirm, random.integer(0, 150));
      else {
        await killDuring(confirm, moment, async () => {
          const wanted = Number(moment.done);
          await until("it has been done, or not", async () => (await events(task)) === wanted, LONG);
        });
      }
      const again = await confirm();
      expect(again).toMatchObject({ status: 200 });
      expect(await events(task)).toBe(1);
      answers.push({ task, key, body: again.body });
    }

    await product.client.waitFor(order.id, "SUCCEEDED", LONG);
    // The order is over, and whoever has not heard their answer still gets it.
    for (const { task, key, body } of answers) {
      const again = await product.client.tryAct(order.id, "confirm", { task, key });
      expect(again).toMatchObject({ status: 200, body });
      expect(await events(task)).toBe(1);
    }
    await expectRecorded(order.id);
    expect(new Set(Object.values(await shop.tags("web")))).toEqual(new Set(["2"]));
  });

  test("an answer that only the workflow knows is had from it even after its end", async () => {
    await shop.revision("web", { tag: "3", release: { minGroups: 1, pause: "ALL" } });
    const order = await product.client.release(shop.body(["web"]));
    const task = order.tasks.find(({ kind }) => kind === "confirm")!.id;
    await product.client.waitFor(order.id, "AWAITING_CONFIRM");
    const confirm = () => product.client.tryAct(order.id, "confirm", { task, key: "last" });
    await killDuring(confirm, { at: () => temporal.hold(confirmPhrase, "answer") }, async () => {
      const ended = "select count(*) from orders where id = $1 and state = 'SUCCEEDED'";
      await until("the order is over", async () => (await count(ended, order.id)) === 1, LONG);
    });
    const answer = await confirm();
    expect(answer).toMatchObject({ status: 200, body: { id: order.id } });
    expect((await confirm()).body).toEqual(answer.body);
  });
});
