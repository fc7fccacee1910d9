/** A failed order's place is taken by a new one: with its locks, and of all that it has changed. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const limits = { timeout: 300_000, concurrent: true } as const;
const release = { ...straight, minGroups: 2, beta: true, pause: "ALL", progressDeadlineSeconds: 5 } as const;

test("bad, then good: the good one takes over, and no pod goes to the bad one again", limits, async () => {
  const { client } = product;
  const shop = await createShop(product, { services: { cart: 2, web: 1 }, release });
  await shop.deploy();
  await shop.revision("cart", { tag: "bad-2" });
  await shop.revision("web", { tag: "2", release: straight });
  const bad = await client.release(shop.body(["cart", "web"]));
  await client.waitFor(bad.id, (now) => now.state === "FAILED" && now.apps[1]?.state === "SUCCEEDED");

  // All that the bad one has changed must be covered, and without a word the locks stay where they are.
  await shop.revision("cart", { tag: "3" });
  const partly = { type: "GROUPED", ...shop.body(["cart"]), supersedes: bad.id };
  const refused = await client.call("POST", "/api/v1/release-orders", { body: partly });
  expect(refused.body).toMatchObject({ status: 422, errors: [{ field: "/supersedes", message: /web/ }] });
  const hindered = await client.order(shop.body(["cart"]));
  const start = await client.tryAct(hindered.id, "start", { body: { digest: hindered.digest } });
  expect(start).toMatchObject({ status: 409, body: { detail: expect.stringContaining(bad.id) } });
  await client.act(hindered.id, "cancel");

  const since = Date.now();
  const good = await client.release({ ...shop.body(["cart", "web"]), supersedes: bad.id });
  expect((await client.read(bad.id)).state).toBe("SUPERSEDED");
  await client.drive(good.id);
  expect(await shop.tags()).toEqual({
    "cart-cell-a-0": "3",
    "cart-cell-a-1": "3",
    "cart-cell-b-0": "3",
    "cart-cell-b-1": "3",
    "web-cell-a-0": "2",
    "web-cell-b-0": "2",
  });
  const changes = podChanges(product.auditLog, shop.namespace, since);
  expect(changes.map((one) => `${one.pod} ${one.image}`).toSorted()).toEqual(
    ["a-0", "a-1", "b-0", "b-1"].map((pod) => `cart-cell-${pod} shop/cart:3`),
  );
  const locks = await product.database.pool.query("select 1 from locks where order_id in ($1, $2)", [bad.id, good.id]);
  expect(locks.rowCount).toBe(0);
});

test(
  "a successor that is given up before it began gives the locks back; another one can take them",
  limits,
  async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 2 }, release });
    await shop.deploy();
    await shop.revision("cart", { tag: "bad-2" });
    const bad = await client.release(shop.body(["cart"]));
    await client.waitFor(bad.id, "FAILED");
    await shop.revision("cart", { tag: "3" });
    const first = await client.order({ ...shop.body(["cart"]), supersedes: bad.id });
    await client.waitFor(first.id, "READY");
    // The world changes between preview and start: the former order has ended, and nothing has been started yet.
    const [pod] = await shop.pods("cart");
    await product.kube.request({
      method: "PATCH",
      path: `/apis/apps/v1/namespaces/${shop.namespace}/statefulsets/cart-cell-b`,
      contentType: "application/merge-patch+json",
      body: { spec: { replicas: 3 } },
    });
    expect(pod).toBeDefined();
    const start = await client.tryAct(first.id, "start", { body: { digest: first.digest } });
    expect(start.status).toBe(409);
    expect((await client.read(bad.id)).state).toBe("SUPERSEDED");
    await client.act(first.id, "cancel");
    expect((await client.read(bad.id)).allowedActions).toEqual(["release-locks"]);

    const second = await client.release({ ...shop.body(["cart"]), supersedes: bad.id });
    await client.drive(second.id);
    expect(new Set(Object.values(await shop.tags()))).toEqual(new Set(["3"]));
  },
);
