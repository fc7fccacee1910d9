/** What cannot be released is refused with the reason, leaves nothing half done, and can be put right. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { choosePort } from "../../local/ports.ts";
import { readAuditLog } from "../support/audit-log.ts";
import type { ReleaseOrder } from "../support/client.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

type Kubeconfig = { clusters: { cluster: { server: string } }[]; users: { user: Record<string, unknown> }[] };

/** The product's kubeconfig, with something else in it. */
function kubeconfigWith(change: (config: Kubeconfig) => void): string {
  const config = parse(readFileSync(product.kubernetes.kubeconfigs.cellwright, "utf8")) as Kubeconfig;
  change(config);
  return stringify(config);
}

function goodKubeconfig(): string {
  return readFileSync(product.kubernetes.kubeconfigs.cellwright, "utf8");
}

/** An order that could not be planned: nothing of it is locked or written. */
function expectUnplanned(order: ReleaseOrder, reason: RegExp): void {
  expect(order).toMatchObject({ state: "INIT_FAILED", allowedActions: ["initialise", "cancel"], tasks: [] });
  expect(order.reason).toMatch(reason);
}

async function orderOf(shop: Shop, service = "cart"): Promise<ReleaseOrder> {
  const order = await product.client.order(shop.body([service]));
  if (order.state !== "INITIALIZING") return order;
  return product.client.waitFor(order.id, (now) => now.state !== "INITIALIZING");
}

describe.concurrent("an order's body", { timeout: 300_000 }, () => {
  test("names what there is, once, and every fault is told at once", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1, web: 1 } });
    await shop.revision("cart", { tag: "1" });
    const post = async (body: object) => {
      const { status, body: refusal } = await client.call("POST", "/api/v1/release-orders", {
        body: { type: "GROUPED", ...shop.body(["cart"]), ...body },
      });
      return [status, (refusal.errors ?? []).map((error) => error.field)];
    };
    expect(await post({ workspaceGroup: "nowhere" })).toEqual([422, ["/workspaceGroup"]]);
    expect(
      await post({ apps: [{ service: "nothing" }, { service: "web" }, { service: "cart", revision: 7 }] }),
    ).toEqual([422, ["/apps/0/service", "/apps/1/service", "/apps/2/revision"]]);
    expect(await post({ apps: [{ service: "cart" }, { service: "cart" }] })).toEqual([422, ["/apps/1/service"]]);
    expect(await post({ dependencies: [{ service: "cart", needs: ["web"] }] })).toEqual([
      422,
      ["/dependencies/0/needs/0"],
    ]);
    expect(await post({ apps: [] })).toEqual([422, ["/apps"]]);
    expect(await post({ type: "SUDDEN" })).toEqual([422, ["/type"]]);
    expect(await post({ title: " " })).toEqual([422, ["/title"]]);
    expect(await post({ title: "x".repeat(101) })).toEqual([422, ["/title"]]);
    expect((await post({ colour: "green" }))[0]).toBe(422);
    expect((await client.call("POST", "/api/v1/release-orders", { body: "no object" })).status).toBe(422);
    const { items } = await client.get<{ items: unknown[] }>(`/api/v1/orders?workspaceGroup=${shop.group}`);
    expect(items).toEqual([]);
  });

  test("a circle of dependencies is named", async () => {
    const { client } = product;
    const services = { cart: 1, pay: 1, web: 1 };
    const shop = await createShop(product, { services });
    for (const service of Object.keys(services)) await shop.revision(service, { tag: "1" });
    const refused = await client.call("POST", "/api/v1/release-orders", {
      body: {
        type: "GROUPED",
        ...shop.body(["cart", "pay", "web"], {
          dependencies: [
            { service: "cart", needs: ["web"] },
            { service: "web", needs: ["pay"] },
            { service: "pay", needs: ["cart"] },
          ],
        }),
      },
    });
    expect(refused.status).toBe(422);
    expect(refused.body.errors?.[0]?.field).toBe("/dependencies");
    const circle = /circle: (.*?)\./.exec(refused.body.detail)?.[1]?.split(" → ") ?? [];
    expect(new Set(circle)).toEqual(new Set(["cart", "pay", "web"]));
    expect(circle).toHaveLength(4);
    expect(circle.at(-1)).toBe(circle[0]);
  });
});

describe.concurrent("the catalogue", { timeout: 300_000 }, () => {
  test("refuses an image that no runtime would take, and a kubeconfig that would run programs here", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 } });
    const path = `/api/v1/workspace-groups/${shop.group}/app-services/cart/revisions`;
    for (const image of ["Shop/Cart:1", "shop/cart:", "shop/cart:a b", "shop//cart:1", "shop/cart@sha256:12"]) {
      const refused = await client.call("POST", path, {
        body: { template: { containers: [{ name: "main", image }] }, cells: { "cell-a": { replicas: 1 } } },
      });
      expect([image, refused.status]).toEqual([image, 422]);
      expect(refused.body.errors?.[0]?.field).toBe("/template/containers/0/image");
    }
    const unknown = await client.call("POST", path, {
      body: { template: { containers: [{ name: "main", image: "a" }] }, cells: { "cell-z": { replicas: 1 } } },
    });
    expect(unknown.status).toBe(422);
    expect(unknown.body.detail).toContain("cell-z");

    const kubeconfig = kubeconfigWith((config) => {
      config.users[0]!.user = { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "/bin/sh" } };
    });
    const refused = await client.call("PUT", "/api/v1/clusters/evil", { body: { access: "kubeconfig", kubeconfig } });
    expect(refused.status).toBe(422);
    expect(refused.body.detail).toContain("exec");
    expect((await client.call("GET", "/api/v1/clusters/evil")).status).toBe(404);
  });
});

describe.concurrent("a world that does not fit", { timeout: 300_000 }, () => {
  test("a cell without nodes", async () => {
    const shop = await createShop(product, {
      services: { cart: 1 },
      cells: { "cell-a": { cell: "cell-a" }, "cell-x": { cell: "nowhere" } },
    });
    await shop.revision("cart", { tag: "1" });
    expectUnplanned(await orderOf(shop), /Cell cell-x has no nodes.*cell=nowhere/);
  });

  test("a namespace that is missing; after it has been made, looking again is enough", async () => {
    const { client, kube } = product;
    const namespace = `late-${process.pid}-${Date.now().toString(36)}`;
    const shop = await createShop(product, { services: { cart: 1 }, namespace });
    await shop.revision("cart", { tag: "1" });
    const order = await orderOf(shop);
    expectUnplanned(order, new RegExp(`Namespace ${namespace} does not exist in cluster local; create it`));
    const refused = await client.tryAct(order.id, "start", { body: { digest: "x" } });
    expect(refused).toMatchObject({ status: 409, body: { state: "INIT_FAILED" } });

    await kube.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name: namespace } } });
    const again = await client.act(order.id, "initialise");
    expect(again.state).toBe("READY");
    await client.act(order.id, "start", { digest: again.digest ?? "" });
    await client.drive(order.id);
  });

  test("a namespace that is forbidden: an identity without rights", async () => {
    const { client, kube } = product;
    const namespace = await product.newKubernetesNamespace();
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await kube.request({ method: "POST", path: accounts, body: { metadata: { name: "powerless" } } });
    const { status } = await kube.request<{ status: { token: string } }>({
      method: "POST",
      path: `${accounts}/powerless/token`,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3600 } },
    });
    const kubeconfig = kubeconfigWith((config) => (config.users[0]!.user = { token: status.token }));
    const shop = await createShop(product, { services: { cart: 1 }, cluster: "powerless", kubeconfig, namespace });
    await shop.revision("cart", { tag: "1" });
    const order = await orderOf(shop);
    expectUnplanned(order, /powerless/);
    expect(order.reason).toMatch(/forbidden|may not|rights/i);
    expect(readAuditLog(product.auditLog, { namespace, resource: "statefulsets" })).toEqual([]);

    await client.put("/api/v1/clusters/powerless", { access: "kubeconfig", kubeconfig: goodKubeconfig() });
    // The workers take the new registration up within moments; until then the answer is the old one.
    for (let tries = 0; (await client.act(order.id, "initialise")).state !== "READY"; tries++) {
      expect(tries).toBeLessThan(20);
    }
    await client.act(order.id, "start", { digest: (await client.read(order.id)).digest ?? "" });
    await client.drive(order.id);
  });

  test("a cluster that does not answer: the order is there with the reason, and works once the cluster does", async () => {
    const { client } = product;
    const port = await choosePort();
    const kubeconfig = kubeconfigWith((config) => (config.clusters[0]!.cluster.server = `https://127.0.0.1:${port}`));
    const shop = await createShop(product, { services: { cart: 1 }, cluster: "closed", kubeconfig });
    await shop.revision("cart", { tag: "1" });
    const begun = Date.now();
    const posted = await client.order(shop.body(["cart"]));
    expect(Date.now() - begun).toBeLessThan(15_000);
    expect(["INITIALIZING", "INIT_FAILED"]).toContain(posted.state);
    const failed = await client.waitFor(posted.id, "INIT_FAILED");
    expect(Date.now() - begun).toBeLessThan(45_000);
    expectUnplanned(failed, /closed/);
    expect(failed.reason).toMatch(/does not answer|cannot be reached|refused|not reach/i);

    await client.put("/api/v1/clusters/closed", { access: "kubeconfig", kubeconfig: goodKubeconfig() });
    for (let tries = 0; (await client.act(posted.id, "initialise")).state !== "READY"; tries++) {
      expect(tries).toBeLessThan(5);
    }
    await client.act(posted.id, "start", { digest: (await client.read(posted.id)).digest ?? "" });
    await client.drive(posted.id);
    expect(await shop.tags()).toEqual({ "cart-cell-a-0": "1", "cart-cell-b-0": "1" });
  });

  test("a change of what Kubernetes never changes on a workload", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 2 }, release: straight });
    await shop.deploy();
    const before = (await shop.pods()).map((pod) => pod.metadata.resourceVersion);
    await client.post(`/api/v1/workspace-groups/${shop.group}/app-services/cart/revisions`, {
      stateful: true,
      template: { containers: [{ name: "main", image: "shop/cart:2" }] },
      volumeClaimTemplates: [{ name: "data", accessModes: ["ReadWriteOnce"], size: "1Gi" }],
      cells: { "cell-a": { replicas: 2 }, "cell-b": { replicas: 2 } },
      release: straight,
    });
    expectUnplanned(await orderOf(shop), /never changes on the workload in cell cell-a .*data.* keep it as it is/);
    expect((await shop.pods()).map((pod) => pod.metadata.resourceVersion)).toEqual(before);
    // It holds nothing: another change goes through.
    await shop.revision("cart", { tag: "2" });
    const order = await client.release(shop.body(["cart"]));
    await client.drive(order.id);
  });
});
