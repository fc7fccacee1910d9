/** Containers that do not come, under a real kubelet: why, in its words, and what to do. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasRealNodes } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop } from "../support/shop.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

test.skipIf(!hasRealNodes)(
  "a probe that fails, an image that cannot be pulled, a crash loop, each told at its group and pods",
  { timeout: 240_000 },
  async () => {
    const { client } = product;
    const services = { cart: 1, pay: 1, web: 1 };
    const shop = await createShop(product, { nodes: "real", services });
    await shop.deploy();
    const release = { progressDeadlineSeconds: 15 };
    await shop.revision("cart", { tag: "bad-unready-2", release });
    await shop.revision("pay", { tag: "no-such-tag", release });
    await shop.revision("web", { tag: "bad-2", release });
    const { id } = await client.release(shop.body(Object.keys(services)));
    const order = await client.waitFor(id, ({ apps }) => apps.every((app) => app.state === "FAILED"), 120_000);
    const told: Record<string, RegExp> = {
      cart: /Readiness probe failed: HTTP probe failed with statuscode: 5\d\d.*To do: .*readiness probe's path/,
      pay: /shop\/pay:no-such-tag\).*pull.*To do: check that the image and its tag exist/,
      web: /CrashLoopBackOff.*exit code 1.*To do: read the log of the container's last run/,
    };
    for (const app of order.apps) {
      expect(app.reason).toMatch(told[app.service]!);
      const pods = app.groups.flatMap((group) => group.pods);
      expect(pods.map((pod) => pod.state)).toEqual(["FAILED", "FAILED"]);
      for (const pod of pods) expect(pod.reason).toMatch(told[app.service]!);
    }
    await client.act(id, "terminate", { reason: "none of the three can start" });
    await client.waitFor(id, "TERMINATED");
  },
);
