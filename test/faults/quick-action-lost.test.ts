/**
 * The API is killed while it makes a revision, its order and the order's start by one call. Judged by Postgres and the
 * order: all or nothing of what belongs together, and the same request with the same key gets it done once.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ReleaseOrder } from "../support/client.ts";
import { startLosingApi, type LosingApi, type Moment } from "../support/losing-api.ts";
import { createShop, type Shop } from "../support/shop.ts";

/** Bounds waits on a busy machine, in ms. */
const LONG = 60_000;

let losing: LosingApi;
let shop: Shop;
beforeAll(async () => {
  losing = await startLosingApi();
  shop = await createShop(losing.product, { services: { cart: 1 } });
  await shop.deploy();
});
afterAll(() => losing.close());

const change = (tag: string) =>
  losing.product.client.call<ReleaseOrder>(
    "POST",
    `/api/v1/workspace-groups/${shop.group}/app-services/cart/actions/change-image`,
    { body: { image: `shop/cart:${tag}`, start: true, title: tag }, key: tag },
  );

/** Orders of the title, and revisions of the image. */
async function made(tag: string): Promise<number[]> {
  const { pool } = losing.product.database;
  const { rows } = await pool.query<{ orders: string; revisions: string }>(
    `select (select count(*) from orders where title = $1) as orders,
            (select count(*) from revisions where spec #>> '{template,containers,0,image}' = $2) as revisions`,
    [tag, `shop/cart:${tag}`],
  );
  return [Number(rows[0]?.orders), Number(rows[0]?.revisions)];
}

type Case = Moment & { when: string; done: boolean };
const moments: Case[] = [
  {
    when: "with the revision written and the order not",
    at: () => losing.postgres.hold('insert into "orders"', "request"),
    done: false,
  },
  {
    when: "after the commit, before it hears of it",
    // The statement and its end: other statements name a column that begins like this.
    at: () => losing.postgres.hold("commit\0", "answer"),
    done: true,
  },
  {
    when: "before the workflow's start, which is lost",
    at: () => losing.temporal.hold("releaseOrder", "request"),
    done: true,
  },
  {
    when: "before the order's start, which is lost",
    at: () => losing.temporal.hold("quick-action-start", "request"),
    done: true,
  },
  {
    when: "before the order's start, which still arrives",
    at: () => losing.temporal.hold("quick-action-start", "request"),
    arrives: true,
    done: true,
  },
];

test.each(moments)("killed $when; asked again", { timeout: 300_000 }, async (moment) => {
  const { client } = losing.product;
  const tag = `lost-${moments.indexOf(moment)}`;
  await losing.killDuring(() => change(tag), moment);
  expect(await made(tag)).toEqual(moment.done ? [1, 1] : [0, 0]);
  const again = await change(tag);
  expect([again.status, again.body]).toMatchObject([201, { title: tag }]);
  expect((await change(tag)).body.id).toBe(again.body.id);
  expect(await made(tag)).toEqual([1, 1]);
  await client.drive(again.body.id, "SUCCEEDED", LONG);
  expect(Object.values(await shop.tags("cart"))).toEqual([tag, tag]);
});
