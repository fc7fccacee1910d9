/** What only containers show: restarts in place, probes, crashes, images, signals. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PodObject } from "../../activities/kubernetes/objects.ts";
import type { ReleaseOrder } from "../support/client.ts";
import { hasRealNodes } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { podChanges } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  if (hasRealNodes) product = await startProduct();
});
afterAll(() => product?.stop());

type ContainerStatus = {
  containerID?: string;
  imageID?: string;
  restartCount?: number;
  lastState?: { terminated?: { exitCode: number } };
};

const uidsOf = (pods: readonly PodObject[]): string[] => pods.map((pod) => pod.metadata.uid);

const statusOf = (pod: PodObject | undefined): ContainerStatus => pod?.status?.containerStatuses?.[0] ?? {};

const addressOf = (pod: PodObject | undefined): string => (pod?.status as { podIP?: string } | undefined)?.podIP ?? "";

/** What the shop's server in a pod says about itself. */
async function askPod(pod: PodObject | undefined): Promise<{ version: string; pod: string }> {
  const response = await fetch(`http://${addressOf(pod)}:8080/`, { signal: AbortSignal.timeout(5_000) });
  return (await response.json()) as { version: string; pod: string };
}

/** The task that moves the pods of a group. */
function moveOf(order: ReleaseOrder, group: string): ReleaseOrder["tasks"][number] {
  const task = order.tasks.find((one) => one.group === group && one.kind === "activity");
  if (task === undefined) throw new Error(`nothing moves group ${group}`);
  return task;
}

async function open(release: NonNullable<Parameters<typeof createShop>[1]["release"]> = {}): Promise<Shop> {
  const shop = await createShop(product, {
    nodes: "real",
    services: { cart: 1 },
    release: { ...straight, ...release },
  });
  await shop.deploy();
  return shop;
}

/** Releases a tag of cart that cannot come up; answers with what the order says when it has failed. */
async function failWith(tag: string): Promise<{ shop: Shop; reason: string; ordinary: string }> {
  const { client } = product;
  const shop = await open({ minGroups: 1, progressDeadlineSeconds: 8 });
  await shop.revision("cart", { tag, release: { strategy: "BY_CELL", minGroups: 2 } });
  const order = await client.release(shop.body(["cart"]));
  const failed = await client.waitFor(order.id, "FAILED", 90_000);
  const groups = failed.apps[0]?.groups ?? [];
  expect(groups.map((group) => group.state)).toEqual(["FAILED", "WAITING"]);
  const reason = moveOf(failed, groups[0]?.id ?? "").reason ?? "";
  expect(reason).toContain("cart-cell-a-0");
  // The other cell has not been touched and serves.
  const other = (await shop.pods()).find((pod) => pod.metadata.name === "cart-cell-b-0");
  const { version } = await askPod(other);
  return { shop, reason, ordinary: version };
}

describe.runIf(hasRealNodes).concurrent("on a real node", { timeout: 300_000 }, () => {
  test("a restart in place keeps the pod and its address and makes a new container, which serves", async () => {
    const { client } = product;
    const shop = await open();
    const before = await shop.pods();
    expect((await askPod(before[0])).version).toBe("1");
    await shop.revision("cart", { tag: "2" });
    const order = await client.release(shop.body(["cart"]));
    await client.drive(order.id);
    const after = await shop.pods();
    for (const [index, pod] of after.entries()) {
      expect(pod.metadata.uid).toBe(before[index]?.metadata.uid);
      expect(addressOf(pod)).toBe(addressOf(before[index]));
      expect(statusOf(pod).containerID).toMatch(/^containerd:/);
      expect(statusOf(pod).containerID).not.toBe(statusOf(before[index]).containerID);
      expect(statusOf(pod).restartCount).toBe(1);
      expect(await askPod(pod)).toMatchObject({ version: "2", pod: pod.metadata.name });
    }
  });

  test("two tags of one image are two revisions, each of which restarts every container", async () => {
    const { client } = product;
    const shop = await open();
    const seen: ContainerStatus[] = [];
    for (const tag of ["2", "2-again", "2"]) {
      await shop.revision("cart", { tag });
      const order = await client.release(shop.body(["cart"]));
      await client.drive(order.id);
      const pods = await shop.pods();
      expect(Object.values(await shop.tags())).toEqual([tag, tag]);
      expect((await askPod(pods[0])).version).toBe("2");
      seen.push(statusOf(pods[0]));
    }
    expect(new Set(seen.map((status) => status.imageID)).size).toBe(1);
    expect(new Set(seen.map((status) => status.containerID)).size).toBe(3);
    expect(seen.map((status) => status.restartCount)).toEqual([1, 2, 3]);
    expect(podChanges(product.auditLog, shop.namespace).map((change) => change.image)).toEqual(
      ["shop/cart:2", "shop/cart:2-again", "shop/cart:2"].flatMap((image) => [image, image]),
    );
  });

  test("a readiness probe that fails is named, with what it was told", async () => {
    const { reason, ordinary } = await failWith("bad-unready-2");
    expect(reason).toMatch(/[Rr]eadiness probe failed/);
    expect(reason).toContain("503");
    expect(ordinary).toBe("1");
  });

  test("a crash loop is named, with how the container ended", async () => {
    const { reason, ordinary } = await failWith("bad-2");
    expect(reason).toContain("CrashLoopBackOff");
    expect(reason).toMatch(/exit code 1/);
    expect(ordinary).toBe("1");
  });

  test("an image that cannot be pulled is named", async () => {
    const { shop, reason, ordinary } = await failWith("nowhere");
    expect(reason).toMatch(/ErrImagePull|ImagePullBackOff/);
    expect(reason).toContain("shop/cart:nowhere");
    expect(ordinary).toBe("1");

    // A good revision takes over from it.
    const { client } = product;
    const [blocked] = await client
      .get<{ items: { id: string }[] }>("/api/v1/release-orders?state=FAILED&workspaceGroup=".concat(shop.group))
      .then(({ items }) => items);
    await client.act(blocked?.id ?? "", "terminate", { reason: "there is no such image" });
    await shop.revision("cart", { tag: "3" });
    const order = await client.release(shop.body(["cart"]));
    await client.drive(order.id);
    expect(Object.values(await shop.tags())).toEqual(["3", "3"]);
  });

  test("a container that does not end within its grace period is killed, in place and when its pod is recreated", async () => {
    const { client } = product;
    const grace = 3;
    const shop = await createShop(product, { nodes: "real", services: { cart: 1 }, release: straight });
    const release = async (input: Parameters<Shop["revision"]>[1]): Promise<{ pods: PodObject[]; seconds: number }> => {
      await shop.revision("cart", { grace, ...input });
      const begin = Date.now();
      const order = await client.release(shop.body(["cart"]));
      await client.drive(order.id);
      return { pods: await shop.pods(), seconds: (Date.now() - begin) / 1000 };
    };
    const { pods: born } = await release({ tag: "stubborn-1" });

    // It would take a minute if it were asked only.
    const inPlace = await release({ tag: "stubborn-2" });
    expect(uidsOf(inPlace.pods)).toEqual(uidsOf(born));
    for (const pod of inPlace.pods) expect(statusOf(pod).lastState?.terminated?.exitCode).toBe(137);
    for (const { storedAt, upAt = 0 } of podChanges(product.auditLog, shop.namespace)) {
      expect(upAt - storedAt).toBeGreaterThan(grace * 1000 - 500);
    }

    const recreated = await release({ tag: "2", level: "2" });
    expect(uidsOf(recreated.pods)).not.toEqual(uidsOf(born));
    expect(recreated.seconds).toBeGreaterThan(grace);
    expect(recreated.seconds).toBeLessThan(50);
    for (const pod of recreated.pods) expect((await askPod(pod)).version).toBe("2");
  });

  test("a disruption budget that refuses blocks the order by its name, until it allows", async () => {
    const { client, kube } = product;
    const shop = await open();
    const before = await shop.pods();
    const budgets = `/apis/policy/v1/namespaces/${shop.namespace}/poddisruptionbudgets`;
    await kube.request({
      method: "POST",
      path: budgets,
      body: {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { name: "nobody-leaves" },
        spec: { maxUnavailable: 0, selector: {} },
      },
    });
    await shop.revision("cart", { tag: "2", level: "2" });
    const order = await client.release(shop.body(["cart"]));
    const blocked = await client.waitFor(order.id, "BLOCKED", 90_000);
    const task = moveOf(blocked, blocked.apps[0]?.groups[0]?.id ?? "");
    expect(task).toMatchObject({ state: "BLOCKED" });
    expect(task.reason).toContain("nobody-leaves");
    expect(uidsOf(await shop.pods())).toEqual(uidsOf(before));
    for (const pod of before) expect((await askPod(pod)).version).toBe("1");

    await kube.request({ method: "DELETE", path: `${budgets}/nobody-leaves` });
    await client.actOnTask(order.id, task.id, "retry");
    await client.drive(order.id);
    const after = await shop.pods();
    expect(uidsOf(after).filter((uid) => uidsOf(before).includes(uid))).toEqual([]);
    for (const pod of after) expect((await askPod(pod)).version).toBe("2");
  });
});
