/** Pods that are deleted or drained away come back at the revision that their group is meant to have, whenever that happens. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { paths } from "../../activities/kubernetes/client.ts";
import type { PodObject } from "../../activities/kubernetes/objects.ts";
import { releaseUpToTemplate } from "../support/held-order.ts";
import { openHoldProxy } from "../support/hold-proxy.ts";
import { nodeKinds, type NodeKind } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";
import { until } from "../support/workloads.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const betaFirst = { ...straight, minGroups: 2, beta: true, pause: "ALL" } as const;

/** Beta pods at the new tag, the others at the old one. */
const onlyBeta = { "cart-cell-a-0": "2", "cart-cell-a-1": "1", "cart-cell-b-0": "2", "cart-cell-b-1": "1" };

async function deploy(input: { nodes: NodeKind; kubeconfig?: string; cluster?: string }): Promise<Shop> {
  const shop = await createShop(product, { services: { cart: 2 }, release: betaFirst, ...input });
  await shop.deploy();
  await shop.revision("cart", { tag: "2" });
  return shop;
}

function isReady(pod: PodObject): boolean {
  return pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
}

/** Takes all pods away, by hand or by draining their nodes, and answers with the tags of those that have come back. */
async function takeAway(shop: Shop, how: "deleted" | "drained", wanted: Record<string, string>): Promise<void> {
  const before = await shop.pods();
  const { kube } = product;
  const nodes = [...new Set(before.map((pod) => pod.spec.nodeName ?? ""))];
  const cordon = async (unschedulable: boolean): Promise<void> => {
    for (const node of nodes) {
      await kube.request({
        method: "PATCH",
        path: `/api/v1/nodes/${node}`,
        contentType: "application/json-patch+json",
        body: [{ op: "add", path: "/spec/unschedulable", value: unschedulable }],
      });
    }
  };
  if (how === "drained") {
    await cordon(true);
    for (const { metadata } of before) {
      await kube.request({
        method: "POST",
        path: `${paths.pod(shop.namespace, metadata.name)}/eviction`,
        body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: metadata.name } },
      });
    }
    // Both nodes of a cell may have been drained: the pods have nowhere to go before they are back.
    await until(
      "all pods are evicted",
      async () => {
        const now = await shop.pods();
        return before.every(({ metadata }) => now.every((pod) => pod.metadata.uid !== metadata.uid));
      },
      60_000,
    );
    await cordon(false);
  } else {
    for (const { metadata } of before) {
      await kube.request({ method: "DELETE", path: paths.pod(shop.namespace, metadata.name) });
    }
  }
  await until(
    `all pods are back with ${JSON.stringify(wanted)}`,
    async () => {
      const now = await shop.pods();
      const isNew = now.every((pod) => before.every((one) => one.metadata.uid !== pod.metadata.uid));
      if (!isNew || now.length !== before.length || !now.every(isReady)) return false;
      return JSON.stringify(await shop.tags()) === JSON.stringify(wanted);
    },
    60_000,
  );
}

// One after the other: a drained node takes no pods, and the nodes belong to all.
const cases = nodeKinds.flatMap((nodes) => (["deleted", "drained"] as const).map((how) => ({ nodes, how })));
describe.for(cases)("pods on $nodes nodes that are $how", { timeout: 300_000 }, ({ nodes, how }) => {
  test("while the order is paused at beta", async () => {
    const { client } = product;
    const shop = await deploy({ nodes });
    const order = await client.release(shop.body(["cart"]));
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    await client.act(order.id, "pause");
    await takeAway(shop, how, onlyBeta);
    expect(await shop.tags()).toEqual(onlyBeta);
    expect((await client.read(order.id)).state).toBe("PAUSED");

    // The order does not mind: it goes on where it was.
    await client.act(order.id, "resume");
    await client.drive(order.id);
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("2"));
  });

  test("after a cancel: nothing of the cancelled revision appears", async () => {
    const { client } = product;
    const proxy = await openHoldProxy();
    const shop = await deploy({ nodes, kubeconfig: proxy.kubeconfig, cluster: `held-${nodes}-${how}` });
    const order = await releaseUpToTemplate(product, shop, proxy, "cart");
    await client.act(order.id, "cancel");
    const allOld = Object.fromEntries(Object.keys(onlyBeta).map((pod) => [pod, "1"]));
    await takeAway(shop, how, allOld);
    expect(await shop.tags()).toEqual(allOld);
    expect(podChanges(product.auditLog, shop.namespace)).toEqual([]);
    await proxy.close();
  });

  test("after the end: they are born at the new revision, nobody has to change them", async () => {
    const { client } = product;
    const shop = await deploy({ nodes });
    const order = await client.release(shop.body(["cart"]));
    await client.drive(order.id);
    const since = Date.now();
    const allNew = Object.fromEntries(Object.keys(onlyBeta).map((pod) => [pod, "2"]));
    await takeAway(shop, how, allNew);
    expect(await shop.tags()).toEqual(allNew);
    expect(podChanges(product.auditLog, shop.namespace, since)).toEqual([]);
  });

  test("after a terminate at beta: it stays as it was left", async () => {
    const { client } = product;
    const shop = await deploy({ nodes });
    const order = await client.release(shop.body(["cart"]));
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    await client.act(order.id, "terminate", { reason: "something else comes first" });
    await takeAway(shop, how, onlyBeta);
    expect(await shop.tags()).toEqual(onlyBeta);
  });
});
