/** What people can do with an order while it runs: pause, cancel, retry, ignore, terminate. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReleaseOrder } from "../support/client.ts";
import { releaseUpToTemplate } from "../support/held-order.ts";
import { openHoldProxy } from "../support/hold-proxy.ts";
import { nodeKinds } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const byGroup = { ...straight, minGroups: 2, pause: "ALL" } as const;

function appOf(order: ReleaseOrder, service: string): ReleaseOrder["apps"][number] {
  const app = order.apps.find((one) => one.service === service);
  if (!app) throw new Error(`the order does not release ${service}`);
  return app;
}

function taskOf(order: ReleaseOrder, suffix: string): ReleaseOrder["tasks"][number] {
  const task = order.tasks.find((one) => one.id === `${order.generation}.${suffix}`);
  if (!task) throw new Error(`the order has no task ${suffix}`);
  return task;
}

describe.for(nodeKinds)("pause and resume on %s nodes", { timeout: 300_000, concurrent: true }, (nodes) => {
  test("the running group finishes, nothing further begins until the resume", async () => {
    const { client, auditLog } = product;
    const shop = await createShop(product, {
      nodes,
      services: { cart: 2, web: 2 },
      release: { ...straight, minGroups: 2 },
    });
    await shop.deploy();
    await shop.revision("cart", { tag: "slow-2" });
    await shop.revision("web", { tag: "slow-2" });
    const since = Date.now();
    const order = await client.release(shop.body(["cart", "web"]));
    const changed = (): string[] => podChanges(auditLog, shop.namespace, since).map((change) => change.pod);
    await client.waitFor(order.id, (now) => now.apps.every((app) => app.groups[0]?.state === "RUNNING"));

    expect(await client.act(order.id, "pause", { reason: "lunch" })).toMatchObject({ state: "PAUSED" });
    // The answer comes when every app has heard of it, not before.
    const paused = await client.read(order.id);
    expect(paused).toMatchObject({ state: "PAUSED", allowedActions: ["resume", "rollback", "terminate"] });
    expect(paused.reason).toContain("lunch");
    expect(paused.apps.map((app) => app.state)).toEqual(["PAUSED", "PAUSED"]);

    const finished = await client.waitFor(order.id, (now) =>
      now.apps.every((app) => app.groups[0]?.state === "SUCCEEDED"),
    );
    expect(finished.apps.map((app) => app.groups[1]?.state)).toEqual(["WAITING", "WAITING"]);
    await sleep(1_500);
    expect(changed()).toHaveLength(4);
    expect((await client.read(order.id)).state).toBe("PAUSED");

    await client.act(order.id, "resume");
    await client.waitFor(order.id, "SUCCEEDED");
    expect(changed()).toHaveLength(8);
  });

  test("nobody can confirm while the order is paused", async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes, services: { cart: 2 }, release: byGroup });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    const order = await client.release(shop.body(["cart"]));
    const { generation } = await client.waitFor(order.id, "AWAITING_CONFIRM");
    const task = `${generation}.cart.1.confirm`;
    await client.act(order.id, "pause");
    const refused = await client.tryAct(order.id, "confirm", { task });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ type: "/problems/verb-not-allowed", state: "PAUSED" });
    expect(refused.body.detail).toMatch(/paused.*resume/);
    expect((await client.read(order.id)).tasks.flatMap((one) => one.allowedActions)).not.toContain("confirm");
    await client.act(order.id, "resume");
    await client.drive(order.id);
  });
});

describe.for(nodeKinds)("cancel on %s nodes", { timeout: 300_000, concurrent: true }, (nodes) => {
  test("before the start it ends the order", async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes, services: { cart: 1 } });
    await shop.revision("cart", { tag: "1" });
    const order = await client.order(shop.body(["cart"]));
    expect(await client.act(order.id, "cancel", { reason: "not today" })).toMatchObject({ state: "CANCELLED" });
    const ended = await client.read(order.id);
    expect(ended).toMatchObject({ state: "CANCELLED", allowedActions: [] });
    expect(appOf(ended, "cart").state).toBe("CANCELLED");
    const again = await client.tryAct(order.id, "start", { body: { digest: order.digest } });
    expect(again.status).toBe(409);
    expect(again.body.detail).toContain("CANCELLED");
  });

  test("while nothing has moved it takes the template back", async () => {
    const { client } = product;
    const proxy = await openHoldProxy();
    const shop = await createShop(product, {
      nodes,
      services: { cart: 2 },
      cluster: `held-${nodes}`,
      kubeconfig: proxy.kubeconfig,
      release: byGroup,
    });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    const sets = `/apis/apps/v1/namespaces/${shop.namespace}/statefulsets`;
    const imagesOf = async (): Promise<string[]> => {
      const list = await product.kube.request<{
        items: { spec: { template: { spec: { containers: { image: string }[] } } } }[];
      }>({ method: "GET", path: sets });
      return list.items.map((set) => set.spec.template.spec.containers[0]?.image ?? "");
    };
    const order = await releaseUpToTemplate(product, shop, proxy, "cart");
    expect(await imagesOf()).toEqual(["shop/cart:2", "shop/cart:2"]);

    expect(await client.act(order.id, "cancel", { reason: "wrong day" })).toMatchObject({ state: "CANCELLED" });
    const ended = await client.read(order.id);
    expect(ended.state).toBe("CANCELLED");
    expect(appOf(ended, "cart").state).toBe("CANCELLED");
    expect(await imagesOf()).toEqual(["shop/cart:1", "shop/cart:1"]);
    expect(podChanges(product.auditLog, shop.namespace)).toEqual([]);

    // Nothing of it is left behind: the same revision can be released again.
    const next = await client.release(shop.body(["cart"]));
    await client.drive(next.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("2"));
    await proxy.close();
  });

  test("once a pod has moved it is refused, for the order and for its app", async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes, services: { cart: 2 }, release: byGroup });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    const order = await client.release(shop.body(["cart"]));
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    const whole = await client.tryAct(order.id, "cancel");
    expect(whole.status).toBe(409);
    expect(whole.body).toMatchObject({ type: "/problems/already-changed", state: "AWAITING_CONFIRM" });
    const app = await client.tryAct(order.id, "cancel", { app: "cart" });
    expect(app.status).toBe(409);
    expect(app.body).toMatchObject({ type: "/problems/already-changed" });
    // Whoever was refused has changed nothing: the order goes on.
    await client.drive(order.id);
  });

  test("of one app blocks what needs it, until somebody ignores the dependency", async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes, services: { cart: 1, pay: 1, web: 1 } });
    await shop.deploy();
    await shop.revision("cart", { tag: "2", release: { pause: "ALL" } });
    await shop.revision("pay", { tag: "2" });
    await shop.revision("web", { tag: "2" });
    const order = await client.release(
      shop.body(["cart", "pay", "web"], {
        dependencies: [
          { service: "pay", needs: ["cart"] },
          { service: "web", needs: ["pay"] },
        ],
      }),
    );
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    const cancelled = await client.tryAct(order.id, "cancel", { app: "pay", body: { reason: "not ready" } });
    expect(cancelled.status).toBe(200);
    const blocked = await client.waitFor(order.id, (now) => appOf(now, "web").state === "BLOCKED");
    expect(appOf(blocked, "pay").state).toBe("CANCELLED");
    const edge = taskOf(blocked, "web.needs.pay");
    expect(edge).toMatchObject({ state: "BLOCKED", allowedActions: ["ignore"] });
    expect(edge.reason).toMatch(/pay is CANCELLED.*ignore this dependency/);

    const silent = await client.tryAct(order.id, "ignore", { task: edge.id });
    expect(silent.status).toBe(422);
    expect(silent.body.errors).toMatchObject([{ field: "/reason" }]);
    await client.actOnTask(order.id, edge.id, "ignore", { reason: "web can do without" });
    const freed = await client.waitFor(order.id, (now) => appOf(now, "web").state === "SUCCEEDED");
    expect(taskOf(freed, "web.needs.pay")).toMatchObject({ state: "IGNORED" });
    expect(taskOf(freed, "web.needs.pay").reason).toContain("web can do without");
    const ended = await client.drive(order.id);
    expect(ended.apps.map((app) => app.state)).toEqual(["SUCCEEDED", "CANCELLED", "SUCCEEDED"]);
    expect(Object.values(await shop.tags("pay"))).toEqual(["1", "1"]);
    expect(Object.values(await shop.tags("web"))).toEqual(["2", "2"]);
  });
});

// On real nodes a kubelet says what containers do, and nobody could mend them by writing their status.
test("retry sets going again what failed, and only that", { timeout: 300_000 }, async () => {
  const { client } = product;
  const shop = await createShop(product, {
    services: { cart: 2, web: 1 },
    release: { ...straight, progressDeadlineSeconds: 5 },
  });
  await shop.deploy();
  await shop.revision("cart", { tag: "bad-2" });
  await shop.revision("web", { tag: "2" });
  const since = Date.now();
  const order = await client.release(shop.body(["cart", "web"]));
  const failed = await client.waitFor(
    order.id,
    (now) => now.state === "FAILED" && appOf(now, "web").state === "SUCCEEDED",
  );
  expect(appOf(failed, "cart")).toMatchObject({ state: "FAILED", groups: [{ id: "1", state: "FAILED" }] });
  expect(failed.allowedActions).toEqual(["retry", "pause", "rollback", "terminate"]);

  // What was wrong is mended: the containers come up after all.
  for (const pod of await shop.pods("cart")) {
    await product.kube.request({
      method: "PATCH",
      path: `/api/v1/namespaces/${shop.namespace}/pods/${pod.metadata.name}/status`,
      contentType: "application/json-patch+json",
      body: [
        {
          op: "replace",
          path: "/status/conditions",
          value: ["ContainersReady", "Ready"].map((type) => ({
            type,
            status: "True",
            lastTransitionTime: new Date().toISOString(),
          })),
        },
        { op: "replace", path: "/status/containerStatuses/0/state", value: { running: {} } },
        { op: "replace", path: "/status/containerStatuses/0/ready", value: true },
      ],
    });
  }
  await client.act(order.id, "retry");
  const ended = await client.waitFor(order.id, "SUCCEEDED");
  const attempts = ended.tasks
    .filter((task) => task.kind === "activity")
    .map((task) => [task.id.split(".").slice(1, 3).join("."), task.attempt]);
  expect(attempts).toEqual([
    ["cart.apply", 1],
    ["cart.1", 2],
    ["cart.verify", 1],
    ["web.apply", 1],
    ["web.1", 1],
    ["web.verify", 1],
  ]);
  const changes = podChanges(product.auditLog, shop.namespace, since).map((change) => change.pod);
  expect(changes.toSorted()).toEqual([...new Set(changes)].toSorted());
  expect(changes).toHaveLength(6);
});

describe.for(nodeKinds)("terminate on %s nodes", { timeout: 300_000, concurrent: true }, (nodes) => {
  test("terminate needs a reason, ends the order at once, and says that versions are mixed", async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes, services: { cart: 2 }, release: byGroup });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    const order = await client.release(shop.body(["cart"]));
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    const silent = await client.tryAct(order.id, "terminate");
    expect(silent.status).toBe(422);
    expect(silent.body.errors).toMatchObject([{ field: "/reason" }]);
    const answer = await client.act(order.id, "terminate", { reason: "the incident has priority" });
    expect(answer).toMatchObject({ state: "TERMINATED", allowedActions: [] });
    const ended = await client.read(order.id);
    expect(ended.state).toBe("TERMINATED");
    expect(ended.reason).toContain("the incident has priority");
    expect(ended.reason).toMatch(/mixed|versions|stays/);
    expect(appOf(ended, "cart")).toMatchObject({ state: "TERMINATED" });
    expect(await shop.tags()).toEqual({
      "cart-cell-a-0": "2",
      "cart-cell-a-1": "1",
      "cart-cell-b-0": "2",
      "cart-cell-b-1": "1",
    });
    // Its locks are free.
    const next = await client.release(shop.body(["cart"]));
    await client.drive(next.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("2"));
  });
});
