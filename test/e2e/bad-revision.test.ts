/** A revision whose containers never become ready: found at beta, understood, and left behind. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeKinds } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const release = { ...straight, minGroups: 2, beta: true, pause: "ALL", progressDeadlineSeconds: 5 } as const;

test.for(nodeKinds)(
  "on %s nodes a bad revision fails at beta, fails again, is given up, and a good one replaces it",
  { timeout: 300_000, concurrent: true },
  async (nodes) => {
    const { client, auditLog } = product;
    const shop = await createShop(product, { nodes, services: { cart: 2 }, release });
    await shop.deploy();
    await shop.revision("cart", { tag: "bad-2" });
    const since = Date.now();
    const order = await client.release(shop.body(["cart"]));
    const begun = Date.now();
    const failed = await client.waitFor(order.id, "FAILED");
    expect(Date.now() - begun).toBeGreaterThan(4_000);
    expect(Date.now() - begun).toBeLessThan(20_000);

    const task = failed.tasks.find((one) => one.group === "beta" && one.kind === "activity");
    expect(task).toMatchObject({ state: "FAILED", attempt: 1, allowedActions: ["retry"] });
    // What a person needs: the pod, why it waits, and what the cluster said about it.
    expect(task?.reason).toMatch(/cart-cell-[ab]-0/);
    expect(task?.reason).toContain("CrashLoopBackOff");
    expect(task?.reason).toContain("Back-off restarting failed container");
    expect(failed.reason).toContain("CrashLoopBackOff");
    const [beta, ordinary] = failed.apps[0]?.groups ?? [];
    expect(failed.apps[0]).toMatchObject({ state: "FAILED" });
    expect(beta).toMatchObject({ state: "FAILED" });
    expect(beta?.pods.map((pod) => pod.state)).toEqual(["FAILED", "FAILED"]);
    for (const pod of beta?.pods ?? []) expect(pod.reason).toContain("CrashLoopBackOff");
    expect(ordinary).toMatchObject({ state: "WAITING" });
    const changed = (): string[] => podChanges(auditLog, shop.namespace, since).map((change) => change.pod);
    expect(changed().toSorted()).toEqual(["cart-cell-a-0", "cart-cell-b-0"]);

    await client.actOnTask(order.id, task?.id ?? "", "retry");
    const again = await client.waitFor(order.id, (now) =>
      now.tasks.some((one) => one.id === task?.id && one.attempt === 2 && one.state === "FAILED"),
    );
    expect(again.tasks.find((one) => one.id === task?.id)?.reason).toContain("CrashLoopBackOff");
    expect(changed()).toHaveLength(2);

    await client.act(order.id, "terminate", { reason: "revision 2 cannot start" });
    const ended = await client.waitFor(order.id, "TERMINATED");
    expect(ended.reason).toContain("revision 2 cannot start");
    expect(ended.apps[0]).toMatchObject({ state: "TERMINATED" });

    await shop.revision("cart", { tag: "3", release: { pause: "OFF" } });
    const good = await client.release(shop.body(["cart"]));
    await client.drive(good.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("3"));
  },
);
