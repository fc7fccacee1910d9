/** The app-service template, seen from inside its containers: variables, files, hooks, and what is missing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ContainerStatus, PodObject } from "../../activities/kubernetes/objects.ts";
import type { RevisionBody } from "../../domain/catalogue/revision.ts";
import { hasRealNodes } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { until } from "../support/workloads.ts";

let product: Product;
beforeAll(async () => {
  if (hasRealNodes) product = await startProduct();
});
afterAll(() => product?.stop());

/** What a container's server answers. */
async function ask(pod: PodObject | undefined, path: string, port = 8080): Promise<string> {
  const address = (pod?.status as { podIP?: string } | undefined)?.podIP ?? "";
  const response = await fetch(`http://${address}:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
  return text;
}

/** The variables of a pod's first container, as its program has them. */
async function variablesOf(pod: PodObject | undefined): Promise<Record<string, string>> {
  const text = await ask(pod, "/files/proc/self/environ");
  return Object.fromEntries(
    text
      .split("\0")
      .map((line) => line.split(/=(.*)/s, 2))
      .filter((pair): pair is [string, string] => pair.length === 2),
  );
}

function statusOf(pod: PodObject | undefined, container: string): ContainerStatus | undefined {
  return pod?.status?.containerStatuses?.find((status) => status.name === container);
}

async function create(shop: Shop, kind: "ConfigMap" | "Secret", name: string, data: Record<string, string>) {
  await product.kube.request({
    method: "POST",
    path: `/api/v1/namespaces/${shop.namespace}/${kind.toLowerCase()}s`,
    body: { metadata: { name }, [kind === "Secret" ? "stringData" : "data"]: data },
  });
}

const hook = (text: string) => ({ exec: { command: ["/program", "note", "/shared/story", text] } });

/** A service with all that a container can get; `tag`: of its main container in both cells. */
function rich(body: RevisionBody, { tags, note }: { tags: [string, string]; note: string }): RevisionBody {
  const [main] = body.template.containers;
  if (main === undefined) throw new Error("a shop's revision has a container");
  return {
    ...body,
    template: {
      ...body.template,
      labels: { tier: "front" },
      annotations: { "example.com/note": note },
      volumes: [
        { name: "shared", emptyDir: {} },
        { name: "look", configMap: { name: "look" } },
      ],
      initContainers: [
        {
          name: "prepare",
          image: "shop/cart:1",
          args: ["note", "/shared/story", "prepared with $(PASSWORD)"],
          env: [{ name: "PASSWORD", valueFrom: { secretKeyRef: { name: "database", key: "password" } } }],
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        },
      ],
      containers: [
        {
          ...main,
          image: `shop/cart:${tags[0]}`,
          env: [
            { name: "SHOP_FILES", value: "/" },
            { name: "LEVEL", value: "everywhere" },
            { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "look", key: "colour" } } },
            { name: "NOT_THERE", valueFrom: { configMapKeyRef: { name: "look", key: "size", optional: true } } },
            { name: "ADDRESS", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          ],
          envFrom: [{ prefix: "DB_", secretRef: { name: "database" } }],
          lifecycle: { postStart: hook("started"), preStop: hook("stops") },
          volumeMounts: [
            { name: "shared", mountPath: "/shared" },
            { name: "look", mountPath: "/etc/shop.yaml", subPath: "shop.yaml", readOnly: true },
          ],
        },
        {
          name: "side",
          image: "shop/pay:1",
          env: [
            { name: "SHOP_PORT", value: "9090" },
            { name: "SHOP_FILES", value: "/" },
          ],
          volumeMounts: [{ name: "shared", mountPath: "/shared", readOnly: true }],
        },
      ],
    },
    cells: {
      "cell-a": { replicas: 1 },
      "cell-b": {
        replicas: 1,
        image: { main: `shop/cart:${tags[1]}` },
        env: { main: [{ name: "LEVEL", value: "only in b" }] },
      },
    },
  };
}

describe.runIf(hasRealNodes).concurrent("in containers", { timeout: 180_000 }, () => {
  test("variables, files and hooks are as the revision says, in place and recreated", async () => {
    const { client } = product;
    const shop = await createShop(product, { nodes: "real", services: { cart: 1 } });
    await create(shop, "ConfigMap", "look", { colour: "blue", "shop.yaml": "currency: EUR\n" });
    await create(shop, "Secret", "database", { password: "open-sesame" });
    const release = async (tags: [string, string], note: string) => {
      await shop.revision("cart", { tag: tags[0], body: (body) => rich(body, { tags, note }) });
      const preview = await client.release(shop.body(["cart"]));
      await client.drive(preview.id);
      return { plan: preview.apps[0]?.groups.flatMap((group) => group.pods) ?? [], pods: await shop.pods() };
    };
    // Its only reader is the container beside the one whose hooks write it.
    const storyOf = async (pod: PodObject | undefined) => (await ask(pod, "/files/shared/story", 9090)).split("\n");

    const { pods: born } = await release(["1", "2"], "first");
    expect(born.map((pod) => pod.metadata.name)).toEqual(["cart-cell-a-0", "cart-cell-b-0"]);
    for (const [index, pod] of born.entries()) {
      expect(pod.metadata.labels).toMatchObject({ tier: "front" });
      expect(pod.metadata.annotations).toMatchObject({ "example.com/note": "first" });
      expect(JSON.parse(await ask(pod, "/"))).toMatchObject({ version: ["1", "2"][index], pod: pod.metadata.name });
      const variables = await variablesOf(pod);
      expect(variables).toMatchObject({
        LEVEL: ["everywhere", "only in b"][index],
        COLOUR: "blue",
        DB_password: "open-sesame",
        ADDRESS: (pod.status as { podIP?: string }).podIP,
        CAFE_ENV_CELL: ["cell-a", "cell-b"][index],
        CAFE_ENV_POD: pod.metadata.name,
      });
      expect(variables).not.toHaveProperty("NOT_THERE");
      expect(await ask(pod, "/files/etc/shop.yaml")).toBe("currency: EUR\n");
      expect(await ask(pod, "/files/proc/self/mounts")).toMatch(/ \/etc\/shop\.yaml \S+ ro[, ]/);
      expect(await ask(pod, "/files/proc/self/mounts")).toMatch(/ \/shared \S+ rw[, ]/);
      expect(await ask(pod, "/files/proc/self/mounts", 9090)).toMatch(/ \/shared \S+ ro[, ]/);
      expect(await storyOf(pod)).toEqual(["prepared with open-sesame", "started", ""]);
    }

    // Only the container whose image changes is replaced, by way of its hooks; what the pod has written stays.
    const inPlace = await release(["3", "4"], "first");
    expect(inPlace.plan.map((pod) => pod.change)).toEqual(["IN_PLACE", "IN_PLACE"]);
    for (const [index, pod] of inPlace.pods.entries()) {
      expect(pod.metadata.uid).toBe(born[index]?.metadata.uid);
      expect(JSON.parse(await ask(pod, "/"))).toMatchObject({ version: ["3", "4"][index] });
      expect(statusOf(pod, "main")?.containerID).not.toBe(statusOf(born[index], "main")?.containerID);
      expect(statusOf(pod, "side")?.containerID).toBe(statusOf(born[index], "side")?.containerID);
      expect(await storyOf(pod)).toEqual(["prepared with open-sesame", "started", "stops", "started", ""]);
    }

    const recreated = await release(["3", "4"], "second");
    for (const { change, why } of recreated.plan) {
      expect([change, why]).toEqual(["RECREATE", "annotation example.com/note changed"]);
    }
    for (const [index, pod] of recreated.pods.entries()) {
      expect(pod.metadata.uid).not.toBe(born[index]?.metadata.uid);
      expect(pod.metadata.annotations).toMatchObject({ "example.com/note": "second" });
      expect(await storyOf(pod)).toEqual(["prepared with open-sesame", "started", ""]);
    }
  });

  test("what a container refers to and does not exist is named, and once it exists a retry succeeds", async () => {
    const { client } = product;
    const services = { cart: 1, pay: 1, web: 1 };
    const release = { ...straight, progressDeadlineSeconds: 12 };
    const cells = { "cell-a": { replicas: 1 } };
    const shop = await createShop(product, { nodes: "real", services, release });
    await create(shop, "ConfigMap", "half", { other: "1" });
    const variable = (name: string, key: string) => (body: RevisionBody) => {
      const env = [{ name: "COLOUR", valueFrom: { configMapKeyRef: { name, key } } }];
      const containers = body.template.containers.map((container) => ({ ...container, env }));
      return { ...body, cells, template: { ...body.template, containers } };
    };
    await shop.revision("cart", { tag: "1", body: variable("absent", "colour") });
    await shop.revision("pay", { tag: "1", body: variable("half", "colour") });
    await shop.revision("web", {
      tag: "1",
      body: (body) => {
        const volumeMounts = [{ name: "keys", mountPath: "/keys" }];
        const containers = body.template.containers.map((container) => ({ ...container, volumeMounts }));
        const volumes = [{ name: "keys", secret: { secretName: "hidden" } }];
        return { ...body, cells, template: { ...body.template, volumes, containers } };
      },
    });
    const { id } = await client.release(shop.body(Object.keys(services)));
    const failed = await client.waitFor(id, ({ apps }) => apps.every((app) => app.state === "FAILED"), 90_000);
    const told: Record<string, RegExp> = {
      cart: /configmap "absent" not found.*To do: create ConfigMap absent,/,
      pay: /couldn't find key colour in ConfigMap \S+\/half.*To do: create key colour of ConfigMap \S*half,/,
      web: /FailedMount.*secret "hidden" not found.*To do: create Secret hidden,/,
    };
    for (const app of failed.apps) expect(app.reason).toMatch(told[app.service]!);

    await create(shop, "ConfigMap", "absent", { colour: "blue" });
    await create(shop, "Secret", "hidden", { key: "1" });
    await product.kube.request({
      method: "PATCH",
      path: `/api/v1/namespaces/${shop.namespace}/configmaps/half`,
      contentType: "application/merge-patch+json",
      body: { data: { colour: "blue" } },
    });
    // A kubelet tries again by itself, ever more rarely.
    const isReady = (pod: PodObject) =>
      pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
    await until("the pods are ready", async () => (await shop.pods()).every(isReady), 90_000);
    for (const task of failed.tasks.filter((one) => one.kind === "activity" && one.state === "FAILED")) {
      await client.actOnTask(id, task.id, "retry");
    }
    await client.waitFor(id, "SUCCEEDED");
    expect(Object.keys(await shop.tags())).toEqual(["cart-cell-a-0", "pay-cell-a-0", "web-cell-a-0"]);
  });

  test("what a pod keeps in its claim is there for the next pod of its name", async ({ onTestFinished }) => {
    const { client, kube } = product;
    const shop = await createShop(product, { nodes: "real", services: { cart: 1 } });
    const directory = mkdtempSync(join(tmpdir(), "cellwright-claim-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const accessModes = ["ReadWriteOnce" as const];
    // Nobody provides volumes here; this one is there to be taken.
    await kube.request({
      method: "POST",
      path: "/api/v1/persistentvolumes",
      body: {
        metadata: { name: shop.namespace },
        spec: {
          capacity: { storage: "1Gi" },
          accessModes,
          storageClassName: shop.namespace,
          hostPath: { path: directory },
        },
      },
    });
    const volume = `/api/v1/persistentvolumes/${shop.namespace}`;
    onTestFinished(() => kube.request({ method: "DELETE", path: volume }));
    const mount = { volumeMounts: [{ name: "data", mountPath: "/data" }] };
    for (const level of ["1", "2"]) {
      const env = [
        { name: "SHOP_FILES", value: "/data" },
        { name: "LEVEL", value: level },
      ];
      const args = ["note", "/data/story", "$(CAFE_ENV_POD) $(LEVEL)"];
      await shop.revision("cart", {
        tag: "1",
        replicas: { "cell-a": 1 },
        body: ({ template, ...body }) => ({
          ...body,
          stateful: true,
          volumeClaimTemplates: [{ name: "data", accessModes, storageClassName: shop.namespace, size: "1Gi" }],
          template: {
            ...template,
            initContainers: [{ name: "begin", image: "shop/cart:1", args, env, ...mount }],
            containers: template.containers.map((container) => ({ ...container, env, ...mount })),
          },
        }),
      });
      const { id } = await client.release(shop.body(["cart"]));
      await client.drive(id);
    }
    const [pod] = await shop.pods();
    expect(await ask(pod, "/files/story")).toBe("cart-cell-a-0 1\ncart-cell-a-0 2\n");
  });
});
