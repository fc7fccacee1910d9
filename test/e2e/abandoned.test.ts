/** Somebody ends workflows from outside, in Temporal's UI for example, while pods are being moved. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReleaseOrder } from "../support/client.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";
import { until } from "../support/workloads.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

/** A release whose first group is being moved, slowly; another one would follow without anybody's doing. */
async function releaseSlowly(): Promise<{ shop: Shop; order: ReleaseOrder; changed: () => string[] }> {
  const { client, auditLog } = product;
  const shop = await createShop(product, { services: { cart: 2 }, release: { ...straight, minGroups: 2 } });
  await shop.deploy();
  await shop.revision("cart", { tag: "slow-2" });
  const since = Date.now();
  const order = await client.release(shop.body(["cart"]));
  const changed = (): string[] => podChanges(auditLog, shop.namespace, since).map((change) => change.pod);
  await client.waitFor(order.id, () => changed().length > 0);
  return { shop, order, changed };
}

/** What an order says is recorded a moment before its workflows have gone. */
async function untilGone(workflowId: string): Promise<void> {
  await until(`${workflowId} is gone`, async () => {
    const { status } = await product.temporal.workflow.getHandle(workflowId).describe();
    return status.name !== "RUNNING";
  });
}

describe.concurrent("a workflow ended from outside", { timeout: 300_000 }, () => {
  test("the order's own, terminated: ABANDONED, nothing moves any more, its locks can be freed", async () => {
    const { client, viewer } = product;
    const { shop, order, changed } = await releaseSlowly();
    const early = await client.tryAct(order.id, "release-locks", { body: { reason: "impatience" } });
    expect(early.status).toBe(409);
    await product.temporal.workflow.getHandle(order.workflowId).terminate("somebody clicked");

    const abandoned = await client.waitFor(order.id, "ABANDONED");
    expect(abandoned).toMatchObject({ allowedActions: ["release-locks"], endedAt: expect.any(String) as string });
    expect(abandoned.reason).toMatch(/terminated from outside.*Nothing of it moves any more.*release-locks/);
    expect(abandoned.apps[0]).toMatchObject({ service: "cart", state: "ABANDONED" });
    await untilGone(`${order.workflowId}/cart`);
    expect(changed().toSorted()).toEqual(["cart-cell-a-0", "cart-cell-b-0"]);
    // Longer than the pods of the first group need: the second group would have followed.
    await sleep(7_000);
    expect(changed()).toHaveLength(2);
    expect((await client.tryAct(order.id, "resume")).status).toBe(409);

    await shop.revision("cart", { tag: "3" });
    const next = await client.order(shop.body(["cart"]));
    const start = { body: { digest: next.digest } };
    const locked = await client.tryAct(next.id, "start", start);
    expect(locked).toMatchObject({ status: 409, body: { type: "/problems/locked" } });
    expect(locked.body.detail).toContain(order.id);
    expect((await viewer.tryAct(order.id, "release-locks", { body: { reason: "curiosity" } })).status).toBe(403);
    expect((await client.tryAct(order.id, "release-locks")).status).toBe(422);
    await client.act(order.id, "release-locks", { reason: "looked at, the pods are fine" });
    expect((await client.read(order.id)).allowedActions).toEqual([]);
    await client.act(next.id, "start", { digest: next.digest ?? "" });
    await client.drive(next.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("3"));
  });

  test("the order's own, cancelled by Temporal's means: the same", async () => {
    const { client } = product;
    const { order, changed } = await releaseSlowly();
    await product.temporal.workflow.getHandle(order.workflowId).cancel();
    const abandoned = await client.waitFor(order.id, "ABANDONED");
    expect(abandoned.reason).toContain("cancelled from outside");
    expect(abandoned.allowedActions).toEqual(["release-locks"]);
    await untilGone(`${order.workflowId}/cart`);
    await sleep(7_000);
    expect(changed()).toHaveLength(2);
    await client.act(order.id, "release-locks", { reason: "looked at" });
  });

  test("an app's, terminated: the app has failed and says why, and can be tried again", async () => {
    const { client } = product;
    const { shop, order, changed } = await releaseSlowly();
    await product.temporal.workflow.getHandle(`${order.workflowId}/cart`).terminate("somebody clicked");
    const failed = await client.waitFor(order.id, "FAILED");
    expect(failed.reason).toMatch(/workflow of cart was terminated from outside/);
    expect(failed.allowedActions).toEqual(["retry", "pause", "rollback", "terminate"]);
    const count = changed().length;
    await sleep(2_000);
    expect(changed()).toHaveLength(count);

    const retried = await client.tryAct(order.id, "retry", { app: "cart" });
    expect(retried.status).toBe(200);
    const ended = await client.drive(order.id);
    expect(ended.apps[0]).toMatchObject({ state: "SUCCEEDED" });
    expect(ended.apps[0]?.groups.flatMap((group) => group.pods.map((pod) => pod.state))).toEqual(
      Array(4).fill("UPDATED"),
    );
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("slow-2"));
    // Over both runs of the app, every pod once.
    expect(changed().toSorted()).toEqual(["cart-cell-a-0", "cart-cell-a-1", "cart-cell-b-0", "cart-cell-b-1"]);
  });

  test("an app's, terminated between storing its end and telling it: the order does not wait for ever", async () => {
    const { client, database, temporal } = product;
    const { shop, order, changed } = await releaseSlowly();
    const app = `${order.workflowId}/cart`;
    // As if it had been stored: the time between the two is too short to be hit.
    const ended = "update pipelines set state = 'SUCCEEDED', updated_at = now() - interval '1 minute'";
    await database.pool.query(`${ended} where workflow_id = $1`, [app]);
    await temporal.workflow.getHandle(app).terminate("somebody clicked");
    const failed = await client.waitFor(order.id, "FAILED");
    expect(failed.reason).toMatch(/workflow of cart was terminated from outside/);
    expect((await client.tryAct(order.id, "retry", { app: "cart" })).status).toBe(200);
    await client.drive(order.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("slow-2"));
    expect(changed().toSorted()).toEqual(["cart-cell-a-0", "cart-cell-a-1", "cart-cell-b-0", "cart-cell-b-1"]);
  });
});
