import { readFileSync } from "node:fs";
import { CoreV1Api, KubeConfig, PatchStrategy, setHeaderOptions, type V1Pod } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";

const { kubernetes } = inject("stack");
const config = new KubeConfig();
config.loadFromFile(kubernetes.kubeconfigs.admin);
const api = config.makeApiClient(CoreV1Api);
const namespace = `kwok-${Date.now()}`;

beforeAll(async () => {
  await api.createNamespace({ body: { metadata: { name: namespace } } });
  // A pod is refused until its namespace has a service account.
  await vi.waitFor(() => api.readNamespacedServiceAccount({ namespace, name: "default" }), { timeout: 20_000 });
});
afterAll(() => api.deleteNamespace({ name: namespace }));

async function createPod(name: string, images: string[]): Promise<void> {
  const containers = images.map((image, index) => ({ name: `c${index}`, image }));
  await api.createNamespacedPod({
    namespace,
    body: { metadata: { name }, spec: { nodeSelector: { cell: "cell-a" }, containers } },
  });
}

async function setImage(name: string, image: string): Promise<void> {
  const body = [{ op: "replace", path: "/spec/containers/0/image", value: image }];
  const json = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
  await api.patchNamespacedPod({ namespace, name, body }, json);
}

const read = (name: string): Promise<V1Pod> => api.readNamespacedPod({ namespace, name });
const isReady = (pod: V1Pod): boolean =>
  pod.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True" &&
  pod.status.containerStatuses?.every(({ ready }) => ready) === true;

async function untilReady(name: string, image: string): Promise<V1Pod> {
  return await vi.waitFor(
    async () => {
      const pod = await read(name);
      expect(pod.status?.containerStatuses?.[0]?.image).toBe(image);
      expect(isReady(pod)).toBe(true);
      return pod;
    },
    { timeout: 20_000, interval: 50 },
  );
}

describe("a kwok pod", () => {
  test("gets a new container for another image, in place, and only where the image changed", async () => {
    await createPod("web", ["shop/web:1", "shop/side:1"]);
    const before = await untilReady("web", "shop/web:1");
    await setImage("web", "shop/web:2");
    const after = await untilReady("web", "shop/web:2");
    expect(after.metadata?.uid).toBe(before.metadata?.uid);
    expect(after.status?.podIP).toBe(before.status?.podIP);
    const ids = (pod: V1Pod): (string | undefined)[] =>
      pod.status?.containerStatuses?.map(({ containerID }) => containerID) ?? [];
    expect(ids(after)[0]).not.toBe(ids(before)[0]);
    expect(ids(after)[1]).toBe(ids(before)[1]);
    expect(after.status?.observedGeneration).toBe(after.metadata?.generation);
  });

  test("with a bad image never becomes ready and says why, and recovers with a good one", async () => {
    await createPod("fragile", ["shop/web:1"]);
    await untilReady("fragile", "shop/web:1");
    await setImage("fragile", "shop/web:bad-1");
    await vi.waitFor(
      async () => {
        const waiting = (await read("fragile")).status?.containerStatuses?.[0]?.state?.waiting;
        expect(waiting).toMatchObject({ reason: "CrashLoopBackOff", message: expect.stringContaining("back-off") });
      },
      { timeout: 10_000 },
    );
    expect(isReady(await read("fragile"))).toBe(false);
    const { items } = await api.listNamespacedEvent({ namespace, fieldSelector: "involvedObject.name=fragile" });
    expect(items.map(({ reason }) => reason)).toContain("BackOff");
    await setImage("fragile", "shop/web:2");
    await untilReady("fragile", "shop/web:2");
  });

  test("with a slow image takes some seconds", async () => {
    await createPod("patient", ["shop/web:1"]);
    await untilReady("patient", "shop/web:1");
    const begin = Date.now();
    await setImage("patient", "shop/web:slow-2");
    await untilReady("patient", "shop/web:slow-2");
    expect(Date.now() - begin).toBeGreaterThan(4_000);
  });

  test("that was born bad never becomes ready either", async () => {
    await createPod("born-bad", ["shop/web:bad"]);
    await vi.waitFor(
      async () => {
        const pod = await read("born-bad");
        expect(pod.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe("CrashLoopBackOff");
        expect(pod.status?.podIP).toBeDefined();
      },
      { timeout: 10_000 },
    );
  });

  test("is gone soon after it was deleted, and the audit log has it all", async () => {
    await createPod("leaving", ["shop/web:1"]);
    await untilReady("leaving", "shop/web:1");
    const begin = Date.now();
    await api.deleteNamespacedPod({ namespace, name: "leaving" });
    await vi.waitFor(() => expect(read("leaving")).rejects.toThrow("404"), { timeout: 10_000, interval: 50 });
    expect(Date.now() - begin).toBeLessThan(2_000);
    const events = readFileSync(kubernetes.auditLog, "utf8")
      .split("\n")
      .filter((line) => line.includes(namespace))
      .map((line) => JSON.parse(line) as { verb: string; user: { username: string }; objectRef: { name?: string } });
    const ofPod = events.filter(({ objectRef }) => objectRef.name === "leaving");
    const wrote = ofPod.map(({ verb, user }) => `${user.username} ${verb}`);
    expect(wrote).toEqual(expect.arrayContaining(["admin delete", "kwok patch", "kwok delete"]));
  });
});
