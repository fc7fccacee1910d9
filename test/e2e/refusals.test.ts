/** Orders that meet each other or a changed world, and requests that are refused or repeated. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReleaseOrder } from "../support/client.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const byGroup = { ...straight, minGroups: 2, pause: "ALL" } as const;

function taskOf(order: ReleaseOrder, suffix: string): ReleaseOrder["tasks"][number] {
  const task = order.tasks.find((one) => one.id === `${order.generation}.${suffix}`);
  if (!task) throw new Error(`the order has no task ${suffix}`);
  return task;
}

describe.concurrent("two orders and a changing world", { timeout: 300_000 }, () => {
  test("a service belongs to one order at a time", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1, web: 1 }, release: byGroup });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    const first = await client.release(shop.body(["cart"]));
    await client.waitFor(first.id, "AWAITING_CONFIRM");
    await shop.revision("cart", { tag: "3" });
    await shop.revision("web", { tag: "3" });
    const second = await client.order(shop.body(["web", "cart"]));
    expect(second.state).toBe("READY");
    const refused = await client.tryAct(second.id, "start", { body: { digest: second.digest } });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ type: "/problems/locked", state: "READY" });
    expect(refused.body.detail).toContain(`cart is held by order ${first.id}`);
    // All or nothing: the refused order holds nothing of web either.
    const third = await client.release(shop.body(["web"], { title: "web alone" }));
    await client.drive(third.id);
    await client.drive(first.id);

    const retried = await client.tryAct(second.id, "start", { body: { digest: second.digest } });
    expect(retried.status).toBe(409);
    expect(retried.body).toMatchObject({ type: "/problems/digest-mismatch" });
    await client.act(second.id, "start", { digest: retried.body.digest ?? "" });
    await client.drive(second.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("3"));
  });

  test("a start names the preview that was looked at, and an old plan cannot be steered", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 2 } });
    await shop.deploy();
    await shop.revision("cart", { tag: "3", release: byGroup });
    const order = await client.order(shop.body(["cart"]));
    const old = taskOf(order, "cart.1.confirm").id;

    const silent = await client.tryAct(order.id, "start");
    expect(silent.status).toBe(422);
    expect(silent.body.errors).toMatchObject([{ field: "/digest" }]);
    const wrong = await client.tryAct(order.id, "start", { body: { digest: "0123456789abcdef" } });
    expect(wrong.status).toBe(409);
    expect(wrong.body).toMatchObject({ type: "/problems/digest-mismatch", digest: order.digest });

    // Meanwhile somebody else releases another revision.
    const other = await shop.revision("cart", { tag: "2" });
    const meanwhile = await client.release(shop.body(["cart"], { apps: [{ service: "cart", revision: other }] }));
    await client.drive(meanwhile.id);
    const late = await client.tryAct(order.id, "start", { body: { digest: order.digest } });
    expect(late.status).toBe(409);
    expect(late.body.type).toBe("/problems/digest-mismatch");
    expect(late.body.digest).not.toBe(order.digest);
    expect(late.body.order).toMatchObject({ id: order.id, state: "READY", digest: late.body.digest, generation: 2 });
    expect(podChanges(product.auditLog, shop.namespace).filter((change) => change.image.endsWith(":3"))).toEqual([]);

    await client.act(order.id, "start", { digest: late.body.digest ?? "" });
    const now = await client.waitFor(order.id, "AWAITING_CONFIRM");
    expect(now.generation).toBe(2);
    const stale = await client.tryAct(order.id, "confirm", { task: old });
    expect(stale.status).toBe(409);
    expect(stale.body.type).toBe("/problems/stale-task");
    const unknown = await client.tryAct(order.id, "confirm", { task: "2.cart.nothing" });
    expect(unknown.status).toBe(404);
    await client.drive(order.id);
  });

  test("a start into a world that no longer fits changes nothing", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 } });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    const order = await client.order(shop.body(["cart"]));
    const own = async (by: string): Promise<void> => {
      await product.kube.request({
        method: "PATCH",
        path: `/apis/apps/v1/namespaces/${shop.namespace}/statefulsets/cart-cell-a`,
        contentType: "application/merge-patch+json",
        body: { metadata: { labels: { "app.kubernetes.io/managed-by": by } } },
      });
    };
    await own("somebody-else");
    const refused = await client.tryAct(order.id, "start", { body: { digest: order.digest } });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ type: "/problems/initialisation-failed", state: "READY" });
    expect(refused.body.detail).toContain("cell-a");
    await own("cellwright");
    await client.act(order.id, "start", { digest: order.digest ?? "" });
    await client.drive(order.id);
  });
});

describe.concurrent("refusals and repetitions", { timeout: 300_000 }, () => {
  test("a verb in the wrong state is told the state and what is possible", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 }, release: byGroup });
    await shop.revision("cart", { tag: "1" });
    const order = await client.order(shop.body(["cart"]));
    for (const verb of ["resume", "pause", "retry"]) {
      const refused = await client.tryAct(order.id, verb);
      expect(refused.status).toBe(409);
      expect(refused.body).toMatchObject({
        type: "/problems/verb-not-allowed",
        state: "READY",
        allowedActions: ["start", "initialise", "cancel"],
      });
      expect(refused.body.detail).toMatch(/READY.*start, initialise, cancel/);
    }
    const early = await client.tryAct(order.id, "confirm", { task: taskOf(order, "cart.1.confirm").id });
    expect(early.status).toBe(409);
    expect((await client.tryAct(order.id, "explode")).status).toBe(422);
    expect((await client.tryAct("nowhere", "start", { body: { digest: "x" } })).status).toBe(404);
    const foreign = await client.tryAct(order.id, "cancel", { app: "web" });
    expect(foreign.status).toBe(404);

    // Looking again makes a new plan of the same world.
    expect(await client.act(order.id, "initialise")).toMatchObject({ state: "READY", digest: order.digest });
    expect((await client.read(order.id)).generation).toBe(2);
  });

  test("the same key is the same request", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 }, release: { ...byGroup, minGroups: 1 } });
    await shop.revision("cart", { tag: "1" });
    const path = "/api/v1/release-orders";
    const body = { type: "GROUPED", ...shop.body(["cart"]) };
    const key = `key-${shop.group}`;
    const [one, two] = await Promise.all([
      client.call<ReleaseOrder>("POST", path, { body, key }),
      client.call<ReleaseOrder>("POST", path, { body, key }),
    ]);
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(two.body.id).toBe(one.body.id);
    const other = await client.call("POST", path, { body: { ...body, title: "another" }, key });
    expect(other.status).toBe(422);
    expect(other.body.type).toBe("/problems/idempotency-key-reused");
    const { items } = await client.get<{ items: unknown[] }>(`/api/v1/orders?workspaceGroup=${shop.group}`);
    expect(items).toHaveLength(1);

    const { id, digest } = one.body;
    const start = { body: { digest }, key: "start" };
    const starts = await Promise.all([client.tryAct(id, "start", start), client.tryAct(id, "start", start)]);
    expect(starts.map((answer) => answer.status)).toEqual([200, 200]);
    expect(starts[1].body).toEqual(starts[0].body);
    expect((await client.tryAct(id, "start", { body: { digest: "another" }, key: "start" })).status).toBe(422);

    await client.waitFor(id, "AWAITING_CONFIRM");
    const confirm = { task: taskOf(one.body, "cart.1.confirm").id, key: "confirm" };
    const first = await client.tryAct(id, "confirm", confirm);
    expect(first.status).toBe(200);
    await client.waitFor(id, "SUCCEEDED");
    // Also when the order is long over.
    const repeated = await client.tryAct(id, "confirm", confirm);
    expect(repeated).toMatchObject({ status: 200, body: first.body });
    expect((await client.tryAct(id, "confirm", { ...confirm, body: { reason: "x" } })).status).toBe(422);
    expect((await client.tryAct(id, "confirm", { ...confirm, key: "fresh" })).status).toBe(409);
  });

  test("a viewer may look and nothing else; a stranger may not even look", async () => {
    const { client, viewer } = product;
    const shop = await createShop(product, { services: { cart: 1 } });
    await shop.revision("cart", { tag: "1" });
    const order = await client.order(shop.body(["cart"]));
    expect((await viewer.read(order.id)).id).toBe(order.id);
    const attempts = [
      await viewer.call("POST", "/api/v1/release-orders", { body: { type: "GROUPED", ...shop.body(["cart"]) } }),
      await viewer.tryAct(order.id, "start", { body: { digest: order.digest } }),
      await viewer.tryAct(order.id, "cancel", { app: "cart" }),
      await viewer.tryAct(order.id, "confirm", { task: order.tasks[0]?.id ?? "" }),
    ];
    expect(attempts.map((attempt) => attempt.status)).toEqual([403, 403, 403, 403]);
    expect((await client.read(order.id)).state).toBe("READY");
    const stranger = await fetch(new URL(`/api/v1/release-orders/${order.id}`, product.url));
    expect(stranger.status).toBe(401);

    // Every attempt to change something is on record, the refused ones too.
    const { items } = await client.get<{ items: { resource: string; status: number }[] }>(
      "/api/v1/audit-records?actor=test-viewer",
    );
    expect(items.filter((item) => item.status === 403)).toHaveLength(4);
  });
});
