/** Rolling back, from whatever state, judged by the audit log: who changed which pod to what, and in which order. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { paths } from "../../activities/kubernetes/client.ts";
import type { List, PodObject } from "../../activities/kubernetes/objects.ts";
import type { ReleaseOrder } from "../support/client.ts";
import { nodeKinds, type NodeKind } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const limits = { timeout: 300_000, concurrent: true } as const;
const staged = { ...straight, minGroups: 3, beta: true, pause: "ALL", progressDeadlineSeconds: 10 } as const;

/** Pod → images to which it was changed in place, in the order of the writes. */
function changes(shop: Shop, since: number): Record<string, string[]> {
  const all = podChanges(product.auditLog, shop.namespace, since);
  return Object.fromEntries(
    [...Map.groupBy(all, (change) => change.pod)].map(([pod, those]) => [pod, those.map((one) => one.image)]),
  );
}

/** A shop on version 1 with an order to version 2 (or another tag) under way. */
async function underWay(nodes: NodeKind, input: { tag?: string; release?: object } = {}) {
  const shop = await createShop(product, { nodes, services: { cart: 2 }, release: { ...staged, ...input.release } });
  await shop.deploy();
  await shop.revision("cart", { tag: input.tag ?? "2" });
  const since = Date.now();
  const order = await product.client.release(shop.body(["cart"]));
  return { shop, since, id: order.id };
}

async function confirmRollback(id: string): Promise<ReleaseOrder> {
  const back = await product.client.waitFor(id, "AWAITING_ROLLBACK_CONFIRM", 120_000);
  expect(back.allowedActions).toContain("confirm-rollback");
  await product.client.act(id, "confirm-rollback");
  return product.client.waitFor(id, "ROLLED_BACK");
}

/** Everything is as before, and the next order is not hindered by this one. */
async function isRestored(shop: Shop): Promise<void> {
  expect(new Set(Object.values(await shop.tags()))).toEqual(new Set(["1"]));
  await shop.revision("cart", { tag: "3", release: straight });
  const next = await product.client.release(shop.body(["cart"]));
  await product.client.drive(next.id);
  expect(new Set(Object.values(await shop.tags()))).toEqual(new Set(["3"]));
}

describe.for(nodeKinds)("on %s nodes", (nodes) => {
  test("good, bad, rolled back: only what the bad one touched is touched again, once", limits, async () => {
    const { client } = product;
    const { shop, since, id } = await underWay(nodes, { tag: "bad-2" });
    const failed = await client.waitFor(id, "FAILED");
    expect(failed.allowedActions).toContain("rollback");
    expect(failed.apps[0]?.rollsBackTo).toEqual({ case: "TO_PREVIOUS", revision: 1 });
    expect((await client.tryAct(id, "rollback")).body).toMatchObject({ status: 422, errors: [{ field: "/reason" }] });

    await client.act(id, "rollback", { reason: "it does not start" });
    const ended = await confirmRollback(id);
    expect(ended.apps[0]).toMatchObject({
      state: "ROLLED_BACK",
      rollback: { to: { case: "TO_PREVIOUS", revision: 1 } },
    });
    expect(changes(shop, since)).toEqual({
      "cart-cell-a-0": ["shop/cart:bad-2", "shop/cart:1"],
      "cart-cell-b-0": ["shop/cart:bad-2", "shop/cart:1"],
    });
    await isRestored(shop);
  });

  test("a first release that fails goes altogether, once its name was typed", limits, async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes, services: { cart: 2 }, release: staged });
    await shop.revision("cart", { tag: "bad-1" });
    const { id } = await client.release(shop.body(["cart"]));
    await client.waitFor(id, "FAILED");
    const refused = await client.tryAct(id, "rollback", { body: { reason: "it never worked" } });
    expect(refused.body).toMatchObject({ status: 422, errors: [{ field: "/remove" }] });
    expect((await client.read(id)).state).toBe("FAILED");

    await client.tryAct(id, "rollback", { body: { reason: "it never worked", remove: ["cart"] } });
    const ended = await confirmRollback(id);
    expect(ended.apps[0]?.rollback?.to).toEqual({ case: "TO_EMPTY" });
    expect(await leftOvers(shop)).toEqual([]);
  });
});

/** Objects of the shop in the cluster. */
async function leftOvers(shop: Shop): Promise<string[]> {
  const at = `/namespaces/${shop.namespace}`;
  const lists = [paths.pods(shop.namespace), `/apis/apps/v1${at}/statefulsets`, `/api/v1${at}/services`];
  const found = await Promise.all(lists.map((path) => product.kube.request<List<PodObject>>({ method: "GET", path })));
  return found.flatMap((list) => list.items.map((one) => one.metadata.name));
}

describe("from every state of an order", () => {
  test("while its beta group awaits a confirmation", limits, async () => {
    const { shop, since, id } = await underWay("kwok");
    await product.client.waitFor(id, "AWAITING_CONFIRM");
    await product.client.act(id, "rollback", { reason: "the numbers are bad" });
    await confirmRollback(id);
    expect(Object.keys(changes(shop, since)).toSorted()).toEqual(["cart-cell-a-0", "cart-cell-b-0"]);
    await isRestored(shop);
  });

  test("while it is paused", limits, async () => {
    const { shop, id } = await underWay("kwok");
    await product.client.waitFor(id, "AWAITING_CONFIRM");
    await product.client.act(id, "pause");
    await product.client.act(id, "rollback", { reason: "not today" });
    expect((await confirmRollback(id)).apps[0]?.state).toBe("ROLLED_BACK");
    await isRestored(shop);
  });

  test("while a group runs", limits, async () => {
    // Slow pods keep the group running until it is asked for.
    const { shop, id } = await underWay("kwok", {
      release: { beta: false, minGroups: 1, pause: "OFF", readySeconds: 20 },
    });
    await product.client.waitFor(id, (now) => now.apps[0]?.groups[0]?.state === "RUNNING");
    await product.client.act(id, "rollback", { reason: "too slow" });
    expect((await confirmRollback(id)).apps[0]?.state).toBe("ROLLED_BACK");
    await isRestored(shop);
  });

  test("when nothing has been changed, it is a cancel", limits, async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1, web: 1 }, release: staged });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    await shop.revision("web", { tag: "2" });
    const dependencies = [{ service: "web", needs: ["cart"] }];
    const order = await client.release(shop.body(["cart", "web"], { dependencies }));
    // The whole order goes back though web has not begun: there is nothing of web to take back.
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    await client.act(order.id, "rollback", { reason: "changed our minds" });
    const ended = await confirmRollback(order.id);
    expect(ended.apps.map((app) => [app.service, app.state])).toEqual([
      ["cart", "ROLLED_BACK"],
      ["web", "CANCELLED"],
    ]);
    expect(changes(shop, 0)["web-cell-a-0"]).toBeUndefined();
  });
});

describe("of services that need each other", () => {
  test("goes in reverse order, and one alone only when nobody needs it", limits, async () => {
    const { client } = product;
    const release = { ...straight, pause: "FIRST" } as const;
    const shop = await createShop(product, { services: { cart: 2, web: 2 }, release });
    await shop.deploy();
    await shop.revision("cart", { tag: "2", release: straight });
    await shop.revision("web", { tag: "2" });
    const since = Date.now();
    const dependencies = [{ service: "web", needs: ["cart"] }];
    const { id } = await client.release(shop.body(["cart", "web"], { dependencies }));
    await client.waitFor(id, "AWAITING_CONFIRM");

    const alone = await client.tryAct(id, "rollback", { app: "cart", body: { reason: "cart only" } });
    expect(alone).toMatchObject({ status: 409, body: { detail: expect.stringContaining("needed by web") } });

    await client.act(id, "rollback", { reason: "both are bad" });
    await confirmRollback(id);
    const back = podChanges(product.auditLog, shop.namespace, since).filter((one) => one.image.endsWith(":1"));
    expect(back.map((one) => one.pod.replace(/-.*/, ""))).toEqual([...Array(4).fill("web"), ...Array(4).fill("cart")]);
  });

  test("one alone goes back, is confirmed, and leaves the others to go on", limits, async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1, web: 1 }, release: { ...straight, pause: "FIRST" } });
    await shop.deploy();
    for (const service of ["cart", "web"]) await shop.revision(service, { tag: "2" });
    const { id } = await client.release(shop.body(["cart", "web"]));
    await client.waitFor(id, (now) => now.apps.every((app) => app.state === "AWAITING_CONFIRM"));

    expect((await client.tryAct(id, "rollback", { app: "cart", body: { reason: "bad" } })).status).toBe(200);
    await client.waitFor(id, (now) => now.apps[0]?.state === "AWAITING_ROLLBACK_CONFIRM");
    expect((await client.tryAct(id, "confirm-rollback", { app: "cart" })).status).toBe(200);
    const ended = await client.drive(id);
    expect(ended.apps.map((app) => app.state)).toEqual(["ROLLED_BACK", "SUCCEEDED"]);
    expect(await shop.tags("cart")).toEqual({ "cart-cell-a-0": "1", "cart-cell-b-0": "1" });
    expect(await shop.tags("web")).toEqual({ "web-cell-a-0": "2", "web-cell-b-0": "2" });
  });
});

describe("restores the whole revision", () => {
  test("template, cells and replicas; and it can fail, be given up, and be asked for again", limits, async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 2 }, release: { ...straight, pause: "FIRST" } });
    await shop.revision("cart", { tag: "1", replicas: { "cell-a": 2 }, release: straight });
    await client.drive((await client.release(shop.body(["cart"]))).id);
    const before = await shop.pods("cart");

    // Another variable (so pods are recreated), one pod more, another cell.
    await shop.revision("cart", { tag: "2", level: "2", replicas: { "cell-a": 3, "cell-b": 1 } });
    const { id } = await client.release(shop.body(["cart"]));
    const planned = await client.read(id);
    const kinds = planned.apps[0]?.groups.flatMap((group) => group.pods.map((pod) => `${pod.name} ${pod.change}`));
    expect(kinds).toEqual([
      "cart-cell-a-0 RECREATE",
      "cart-cell-a-1 RECREATE",
      "cart-cell-b-0 CREATE",
      "cart-cell-a-2 CREATE",
    ]);
    await client.waitFor(id, "AWAITING_CONFIRM");

    // Nobody may evict: the way back is blocked, and says by what.
    const budget = { apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { name: "all-stay" } };
    const budgets = `/apis/policy/v1/namespaces/${shop.namespace}/poddisruptionbudgets`;
    const spec = { maxUnavailable: 0, selector: { matchLabels: { "cellwright.io/service": "cart" } } };
    await product.kube.request({ method: "POST", path: budgets, body: { ...budget, spec } });
    await client.act(id, "rollback", { reason: "wrong level" });
    const blocked = await client.waitFor(id, "BLOCKED", 90_000);
    expect(blocked.reason).toContain("all-stay");

    await client.act(id, "cancel-rollback", { reason: "who made that budget?" });
    const stopped = await client.waitFor(id, "FAILED");
    expect(stopped.apps[0]?.allowedActions).not.toContain("retry");
    await product.kube.request({ method: "DELETE", path: `${budgets}/all-stay` });
    await client.act(id, "rollback", { reason: "once more" });
    await confirmRollback(id);

    const after = await shop.pods("cart");
    const shape = (pods: PodObject[]) =>
      pods.map((pod) => [pod.metadata.name, (pod.spec.containers[0] as { env?: unknown } | undefined)?.env]);
    expect(shape(after)).toEqual(shape(before));
    expect(await leftOvers(shop)).toEqual([...after.map((pod) => pod.metadata.name), "cart-cell-a", "cart"]);
  });
});
