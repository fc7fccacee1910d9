/** The app-service template as the cluster shows it: what is recreated and why, Services, claims, scheduling. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONTENT, paths } from "../../activities/kubernetes/client.ts";
import type { List, Meta } from "../../activities/kubernetes/objects.ts";
import type { RevisionBody } from "../../domain/catalogue/revision.ts";
import type { ReleaseOrder } from "../support/client.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { templateChanges } from "../support/template-changes.ts";
import { until } from "../support/workloads.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

const plannedPods = (order: ReleaseOrder) => order.apps.flatMap((app) => app.groups).flatMap((group) => group.pods);

/** What is sent, with other parts of the pod template. */
const withTemplate =
  (template: Partial<RevisionBody["template"]>) =>
  (body: RevisionBody): RevisionBody => ({ ...body, template: { ...body.template, ...template } });

async function release(shop: Shop, service: string, input: Parameters<Shop["revision"]>[1]): Promise<ReleaseOrder> {
  const revision = await shop.revision(service, input);
  const preview = await product.client.release(shop.body([service], { apps: [{ service, revision }] }));
  await product.client.drive(preview.id);
  return preview;
}

async function list<T>(path: string, query: Record<string, string> = {}): Promise<T[]> {
  const { items } = await product.kube.request<List<T>>({ method: "GET", path, query });
  return items;
}

describe.concurrent("on kwok's nodes", { timeout: 180_000 }, () => {
  test("a change of each kind: in place only for images, recreated for a reason that is told", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 }, cells: { "cell-a": { cell: "cell-a" } } });
    const base = (body: RevisionBody) => templateChanges.base(body);
    await release(shop, "cart", { tag: "1", body: base });
    const previews: Record<string, unknown> = {};
    for (const [what, { change }] of Object.entries(templateChanges.changes)) {
      await shop.revision("cart", { tag: "1", body: (body) => change(base(body)) });
      const { id } = await client.order(shop.body(["cart"]));
      const order = await client.waitFor(id, ({ state }) => state !== "INITIALIZING");
      expect([what, order.state]).toEqual([what, "READY"]);
      previews[what] = plannedPods(order).map((pod) => pod.why ?? pod.change);
    }
    const expected = Object.entries(templateChanges.changes).map(([what, { preview }]) => [what, preview]);
    expect(previews).toEqual(Object.fromEntries(expected));
    // Nobody reads there what may be secret.
    expect(JSON.stringify(previews)).not.toContain(templateChanges.secret);
  });

  test("Services are made, changed and removed by revisions, and come back with a rollback", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1, web: 1 } });
    type Service = { metadata: Meta; spec: { clusterIP: string; ports?: { port: number; targetPort: number }[] } };
    const services = async () => {
      const items = await list<Service>(paths.services(shop.namespace), {
        labelSelector: "cellwright.io/service=cart",
      });
      const told = items.map(({ metadata: { name }, spec: { clusterIP, ports = [] } }) => {
        const where = ports.map(({ port, targetPort }) => `${port}->${targetPort}`);
        return [name, [clusterIP === "None" ? "headless" : "address", ...where].join(" ")] as const;
      });
      const address = items.find(({ metadata }) => metadata.name === "cart-http")?.spec.clusterIP;
      return { told: Object.fromEntries(told), address };
    };
    type Named = NonNullable<NonNullable<RevisionBody["access"]>["services"]>;
    const http = (port: number): Named[number] => ({
      name: "http",
      type: "ClusterIP",
      ports: [{ port, targetPort: 8080 }],
    });
    const having = (...named: Named) => ({ body: (body: RevisionBody) => ({ ...body, access: { services: named } }) });

    await release(shop, "web", { tag: "1" });
    await release(shop, "cart", { tag: "1", ...having(http(80), { name: "peers", type: "Headless" }) });
    const first = await services();
    expect(first.told).toEqual({ cart: "headless", "cart-http": "address 80->8080", "cart-peers": "headless" });
    // They lead to the pods.
    type Slice = { endpoints?: { targetRef?: { name: string } }[] };
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${shop.namespace}/endpointslices`;
    for (const name of ["cart-http", "cart-peers"]) {
      await until(`${name} leads to both pods`, async () => {
        const found = await list<Slice>(slices, { labelSelector: `kubernetes.io/service-name=${name}` });
        const pods = found.flatMap(({ endpoints = [] }) => endpoints).map(({ targetRef }) => targetRef?.name ?? "");
        return pods.toSorted(byText).join() === "cart-cell-a-0,cart-cell-b-0";
      });
    }

    // Another app of the order fails when this one has taken away what it does not want any more.
    const admin: Named[number] = { name: "admin", type: "ClusterIP", ports: [{ port: 9000 }] };
    await shop.revision("cart", { tag: "2", ...having(http(81), admin) });
    await shop.revision("web", { tag: "bad-2", release: { progressDeadlineSeconds: 5 } });
    const dependencies = [{ service: "web", needs: ["cart"] }];
    const order = await client.release(shop.body(["cart", "web"], { dependencies }));
    await client.waitFor(order.id, "FAILED");
    expect((await services()).told).toEqual({
      cart: "headless",
      "cart-http": "address 81->8080",
      "cart-admin": "address 9000->9000",
    });
    expect((await services()).address).toBe(first.address);
    await client.act(order.id, "rollback", { reason: "web does not start" });
    await client.waitFor(order.id, "AWAITING_ROLLBACK_CONFIRM");
    await client.act(order.id, "confirm-rollback");
    await client.waitFor(order.id, "ROLLED_BACK");
    expect(await services()).toEqual(first);
    expect(new Set(Object.values(await shop.tags()))).toEqual(new Set(["1"]));

    // No pod changes when only Services do.
    const last = await release(shop, "cart", { tag: "1", ...having() });
    expect(plannedPods(last)).toEqual([]);
    expect((await services()).told).toEqual({ cart: "headless" });
  });

  test("claims belong to names: they stay when pods are recreated, leave, and come back", async ({
    onTestFinished,
  }) => {
    const { client, kube } = product;
    const shop = await createShop(product, { services: { cart: 2 } });
    // Nobody provides volumes here; these are there to be taken.
    const storageClassName = shop.namespace;
    for (const number of [0, 1]) {
      const name = `${shop.namespace}-${number}`;
      await kube.request({
        method: "POST",
        path: "/api/v1/persistentvolumes",
        body: {
          metadata: { name },
          spec: {
            capacity: { storage: "1Gi" },
            accessModes: ["ReadWriteOnce"],
            storageClassName,
            hostPath: { path: "/nowhere" },
          },
        },
      });
      onTestFinished(() => kube.request({ method: "DELETE", path: `/api/v1/persistentvolumes/${name}` }));
    }
    type Claim = { metadata: Meta; status: { phase: string } };
    const claims = async () => {
      const found = await list<Claim>(`/api/v1/namespaces/${shop.namespace}/persistentvolumeclaims`);
      return found.map(({ metadata: { name, uid }, status: { phase } }) => ({ name, uid, phase }));
    };
    const stateful = (size = "1Gi") => ({
      replicas: { "cell-a": 2 },
      body: (body: RevisionBody): RevisionBody => {
        const volumeMounts = [{ name: "data", mountPath: "/data" }];
        const containers = body.template.containers.map((container) => ({ ...container, volumeMounts }));
        return {
          ...body,
          stateful: true,
          volumeClaimTemplates: [{ name: "data", accessModes: ["ReadWriteOnce"], storageClassName, size }],
          template: { ...body.template, containers },
        };
      },
    });
    await release(shop, "cart", { tag: "1", ...stateful() });
    const born = await shop.pods();
    const made = await claims();
    expect(made.map(({ name, phase }) => [name, phase])).toEqual([
      ["data-cart-cell-a-0", "Bound"],
      ["data-cart-cell-a-1", "Bound"],
    ]);

    const { apps } = await release(shop, "cart", { tag: "1", level: "2", ...stateful() });
    expect(apps[0]?.groups.flatMap((group) => group.pods)).toMatchObject([
      { change: "RECREATE" },
      { change: "RECREATE" },
    ]);
    const recreated = await shop.pods();
    expect(recreated.map((pod) => pod.metadata.name)).toEqual(["cart-cell-a-0", "cart-cell-a-1"]);
    expect(recreated.map((pod) => pod.metadata.uid)).not.toEqual(born.map((pod) => pod.metadata.uid));
    expect(await claims()).toEqual(made);

    await shop.revision("cart", { tag: "1", level: "2", ...stateful("2Gi") });
    const refused = await client.order(shop.body(["cart"]));
    const ended = await client.waitFor(refused.id, ({ state }) => state !== "INITIALIZING");
    expect(ended.state).toBe("INIT_FAILED");
    expect(ended.reason).toMatch(/volume claim template data: .*storage 1Gi -> 2Gi/);

    const url = `/api/v1/workspace-groups/${shop.group}/app-services/cart/actions/undeploy`;
    const gone = await client.post<ReleaseOrder>(url, { confirm: "cart", start: true });
    await client.drive(gone.id);
    expect(await list(paths.sets(shop.namespace))).toEqual([]);
    expect(await shop.pods()).toEqual([]);
    expect(await claims()).toEqual(made);

    await release(shop, "cart", { tag: "2", ...stateful() });
    expect(await shop.tags()).toEqual({ "cart-cell-a-0": "2", "cart-cell-a-1": "2" });
    expect(await claims()).toEqual(made);
  });

  test("pods go where the template lets them, and the scheduler's words tell when there is no such place", async ({
    onTestFinished,
  }) => {
    const { client, kube } = product;
    const cell = `scheduling-${process.pid}`;
    const capacity = { cpu: "8", memory: "8Gi", pods: "10" };
    const node = async (name: string, labels: Record<string, string>, taints: object[]) => {
      const path = `/api/v1/nodes/${name}`;
      const metadata = { name, labels: { ...labels, cell, "kubernetes.io/hostname": name } };
      const annotations = { "kwok.x-k8s.io/node": "fake" };
      const status = { allocatable: capacity, capacity };
      await kube.request({
        method: "POST",
        path: "/api/v1/nodes",
        body: { metadata: { ...metadata, annotations }, spec: { taints } },
      });
      await kube.request({
        method: "PATCH",
        path: `${path}/status`,
        contentType: CONTENT.mergePatch,
        body: { status },
      });
      onTestFinished(() => kube.request({ method: "DELETE", path }));
      return name;
    };
    const fast = await node(`${cell}-fast`, { disk: "ssd" }, []);
    const taint = { key: "dedicated", value: "shop", effect: "NoSchedule" };
    const apart = await node(`${cell}-apart`, { disk: "hdd" }, [taint]);
    const input = { services: { cart: 2 }, cells: { "cell-a": { cell } }, release: { ...straight } };
    const shop = await createShop(product, input);
    const nodes = async () => (await shop.pods()).flatMap((pod) => pod.spec.nodeName ?? []).toSorted(byText);
    const topologyKey = "kubernetes.io/hostname";
    const tolerations = [{ key: "dedicated", value: "shop", effect: "NoSchedule" as const }];

    await release(shop, "cart", {
      tag: "1",
      body: withTemplate({ tolerations, topologySpreadConstraints: [{ topologyKey }] }),
    });
    expect(await nodes()).toEqual([apart, fast]);

    const disk = { key: "disk", operator: "In" as const, values: ["ssd"] };
    const terms = { nodeSelectorTerms: [{ matchExpressions: [disk] }] };
    const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: terms };
    await release(shop, "cart", { tag: "1", body: withTemplate({ tolerations, affinity: { nodeAffinity } }) });
    expect(await nodes()).toEqual([fast, fast]);

    // Each keeps the other away, and only one node is left to them.
    const serviceAntiAffinity = [{ service: "cart" }];
    await shop.revision("cart", {
      tag: "1",
      release: { progressDeadlineSeconds: 6 },
      body: withTemplate({ affinity: { serviceAntiAffinity } }),
    });
    const { id } = await client.release(shop.body(["cart"]));
    const failed = await client.waitFor(id, "FAILED");
    expect(failed.apps[0]?.reason).toMatch(
      /cart-cell-a-[01]: no node takes it: 0\/\d+ nodes are available: .*anti-affinity rules/,
    );
    expect(failed.apps[0]?.reason).toMatch(/untolerated taint/);
    expect(
      plannedPods(failed)
        .map((pod) => pod.state)
        .toSorted(byText),
    ).toEqual(["FAILED", "UPDATED"]);
    expect(await nodes()).toEqual([fast]);

    // With the toleration there is room again.
    await shop.revision("cart", { tag: "1", body: withTemplate({ tolerations, affinity: { serviceAntiAffinity } }) });
    const next = await client.order({ ...shop.body(["cart"]), supersedes: id });
    await client.act(next.id, "start", { digest: next.digest ?? "" });
    await client.drive(next.id);
    expect(await nodes()).toEqual([apart, fast]);
  });
});
