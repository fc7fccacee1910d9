/** Workflows that are ended from outside before they have recorded anything: nothing in Postgres tells of them. */
import { Client as Postgres } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";
import { until } from "../support/workloads.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

describe("a workflow ended before its first record", { timeout: 300_000 }, () => {
  test("an app's: found by the plan; its app fails, says why, and can be retried", async () => {
    const { client, auditLog } = product;
    const shop = await createShop(product, { services: { cart: 2 }, release: straight });
    await shop.deploy();
    await shop.revision("cart", { tag: "slow-2" });
    const since = Date.now();
    const order = await client.order(shop.body(["cart"]));
    const postgres = new Postgres({ connectionString: product.databaseUrl });
    await postgres.connect();
    try {
      // Nobody can append to this order's events while this lock is held; everything else goes on.
      await postgres.query("begin");
      await postgres.query("select id from orders where id = $1 for no key update", [order.id]);
      const started = client.tryAct(order.id, "start", { body: { digest: order.digest } });
      await until("pods are being changed", async () => podChanges(auditLog, shop.namespace, since).length > 0);
      await product.temporal.workflow.getHandle(`${order.workflowId}/cart`).terminate("somebody clicked");
      const { rows } = await postgres.query("select 1 from pipelines where order_id = $1 and subject = 'cart'", [
        order.id,
      ]);
      expect(rows).toEqual([]);
      await postgres.query("commit");
      expect((await started).status).toBe(200);
    } finally {
      await postgres.end();
    }
    const failed = await client.waitFor(order.id, "FAILED", 60_000);
    expect(failed.apps[0]?.reason).toMatch(/terminated from outside.*Nothing of it moves any more.*Retry the app/);
    await client.act(order.id, "retry");
    await client.drive(order.id, "SUCCEEDED", 120_000);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("slow-2"));
  });

  test("an order's own: ABANDONED once, and its services are free", async () => {
    const { client, temporal, processes } = product;
    const shop = await createShop(product, { services: { cart: 1 }, release: straight });
    await shop.revision("cart", { tag: "1" });
    await processes["orchestrator"]?.kill("SIGSTOP");
    // Answers after its wait for a preview that cannot come.
    const order = await client.order(shop.body(["cart"]));
    expect(order.state).toBe("INITIALIZING");
    await temporal.workflow.getHandle(order.workflowId).terminate("somebody clicked");
    await processes["orchestrator"]?.kill("SIGCONT");
    const abandoned = await client.waitFor(order.id, "ABANDONED", 60_000);
    expect(abandoned.reason).toContain("terminated from outside");
    const next = await client.release(shop.body(["cart"]));
    await client.drive(next.id, "SUCCEEDED", 60_000);
    const cleanups: string[] = [];
    for await (const one of temporal.workflow.list({ query: `WorkflowId = "abandon/${order.workflowId}"` })) {
      cleanups.push(one.runId);
    }
    expect(cleanups.length).toBeLessThanOrEqual(2);
  });

  test("a revision that an order names cannot be deleted, and the refusal names the order", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 }, release: straight });
    const order = await shop.deploy();
    const unused = await shop.revision("cart", { tag: "2" });
    const path = `/api/v1/workspace-groups/${shop.group}/app-services/cart/revisions`;
    const refused = await client.call("DELETE", `${path}/1`);
    expect(refused).toMatchObject({ status: 409, body: { type: "/problems/in-use" } });
    expect(refused.body.detail).toContain(order.id);
    expect((await client.call("DELETE", `${path}/${unused}`)).status).toBe(204);
  });
});
