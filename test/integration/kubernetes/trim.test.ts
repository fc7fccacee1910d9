import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { paths } from "../../../activities/kubernetes/client.ts";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import type { List, ServiceObject } from "../../../activities/kubernetes/objects.ts";
import type { Desired } from "../../../activities/kubernetes/port.ts";
import { startReconciler } from "../../../activities/kubernetes/reconciler.ts";
import { CONTENT } from "../../../activities/kubernetes/client.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

describe("taking away what a revision does not want", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
  });
  afterEach(() => bench.close());

  const withServices = (desired: Desired, ...names: string[]): Desired => ({
    ...desired,
    spec: {
      ...desired.spec,
      access: {
        services: names.map((name) => ({
          name,
          type: "ClusterIP" as const,
          ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" as const }],
        })),
      },
    },
  });
  const services = async () =>
    (await bench.admin.request<List<ServiceObject>>({ method: "GET", path: paths.services(bench.namespace) })).items
      .map(({ metadata }) => metadata.name)
      .toSorted();
  const removal = ({ placement, order }: Desired, startedAt = Date.now()) => ({
    placement,
    order,
    holder: `${order}/t1#1.1`,
    startedAt,
    progressDeadlineSeconds: 2,
  });
  const finalizer = async (pod: string, finalizers: string[]) =>
    bench.admin.request({
      method: "PATCH",
      path: paths.pod(bench.namespace, pod),
      contentType: CONTENT.mergePatch,
      body: { metadata: { finalizers } },
    });

  test("trim: surplus pods and Services go, once; the others stay", async () => {
    await deploy(local, withServices(bench.desired({ order: "o1", revision: 1, tag: "1" }), "old", "kept"));
    expect(await services()).toEqual(["cart", "cart-kept", "cart-old"]);
    const before = await bench.pods();
    const desired = withServices(bench.desired({ order: "o2", revision: 2, tag: "1", replicas: 2 }), "kept", "new");
    await local.driver.apply(desired, watchProgress());
    expect(await services()).toEqual(["cart", "cart-kept", "cart-new", "cart-old"]);
    const startedAt = Date.now();
    const trim = { desired, holder: "o2/t1#1.1", startedAt };
    const move = { parts: [{ desired, pods: podNames("cell-a", 0, 1) }], holder: "o2/t0#1.1", startedAt };
    expect(await local.driver.move(move, watchProgress())).toMatchObject({ outcome: "done" });
    expect(await local.driver.verify({ desired: [desired], startedAt }, watchProgress())).toMatchObject({
      outcome: "failed",
      reason: expect.stringContaining("has 4 pods, and revision 2 wants 2"),
    });
    expect(await local.driver.trim(trim, watchProgress())).toMatchObject({ outcome: "done", changed: true });
    expect((await bench.pods()).map((pod) => pod.metadata.uid)).toEqual(
      before.filter((pod) => /-[01]$/.test(pod.metadata.name)).map((pod) => pod.metadata.uid),
    );
    expect(await services()).toEqual(["cart", "cart-kept", "cart-new"]);
    expect(await local.driver.trim(trim, watchProgress())).toMatchObject({ outcome: "done", changed: false });
    expect(await local.driver.verify({ desired: [desired], startedAt }, watchProgress())).toMatchObject({
      outcome: "done",
    });
  });

  test("trim: a pod that a finalizer keeps is named, with what keeps it", async () => {
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
    const desired = bench.desired({
      order: "o2",
      revision: 2,
      tag: "1",
      replicas: 3,
      release: { progressDeadlineSeconds: 2 },
    });
    await local.driver.apply(desired, watchProgress());
    await finalizer("cart-cell-a-3", ["example.com/backup"]);
    const trim = { desired, holder: "o2/t1#1.1", startedAt: Date.now() };
    expect(await local.driver.trim(trim, watchProgress())).toMatchObject({
      outcome: "failed",
      changed: true,
      reason: expect.stringMatching(/cart-cell-a-3.*example\.com\/backup/),
    });
    await finalizer("cart-cell-a-3", []);
    expect(await local.driver.trim(trim, watchProgress())).toMatchObject({ outcome: "done" });
    expect((await bench.pods()).length).toBe(3);
  }, 60_000);

  test("remove: pods, workload, and with the last one the Services; what is gone is done", async () => {
    const a = withServices(bench.desired({ order: "o1", revision: 1, tag: "1", replicas: 2 }), "http");
    const b = withServices(bench.desired({ order: "o1", revision: 1, tag: "1", replicas: 2, cell: "cell-b" }), "http");
    await deploy(local, a);
    await deploy(local, b);
    expect(await local.driver.remove(removal({ ...b, order: "o2" }), watchProgress())).toMatchObject({
      outcome: "done",
      changed: true,
    });
    await expect(bench.set("cell-b")).rejects.toMatchObject({ type: "NotFound" });
    expect(await bench.pods("cell-b")).toEqual([]);
    expect((await bench.pods()).length).toBe(2);
    expect(await services()).toEqual(["cart", "cart-http"]);
    expect(await local.driver.remove(removal(a), watchProgress())).toMatchObject({ outcome: "done", changed: true });
    expect(await services()).toEqual([]);
    expect(await local.driver.remove(removal(a), watchProgress())).toMatchObject({ outcome: "done", changed: false });
  });

  test("remove: volume claims are kept, and the summary says so", async () => {
    const plain = bench.desired({ order: "o1", revision: 1, tag: "1", replicas: 2 });
    const claims = [{ name: "data", accessModes: ["ReadWriteOnce" as const], size: "1Gi" }];
    const stateful = { ...plain, spec: { ...plain.spec, stateful: true, volumeClaimTemplates: claims } };
    expect(await local.driver.apply(stateful, watchProgress())).toMatchObject({ outcome: "done" });
    // Nothing here provides volumes: the pods wait, their claims exist.
    const move = { parts: [{ desired: stateful, pods: podNames("cell-a", 0, 1) }], holder: "o1/t0#1.1", startedAt: 0 };
    await local.driver.move({ ...move, startedAt: Date.now() }, watchProgress());
    expect(await local.driver.remove(removal(stateful), watchProgress())).toMatchObject({
      outcome: "done",
      summary: expect.stringContaining("its volume claims (data) were kept"),
    });
    const { items } = await bench.admin.request<List<ServiceObject>>({
      method: "GET",
      path: `/api/v1/namespaces/${bench.namespace}/persistentvolumeclaims`,
    });
    expect(items.map(({ metadata }) => metadata.name).toSorted()).toEqual(["data-cart-cell-a-0", "data-cart-cell-a-1"]);
  }, 60_000);

  test("remove: a first release that failed leaves nothing behind", async () => {
    const bad = bench.desired({ order: "o1", revision: 1, tag: "bad", release: { progressDeadlineSeconds: 2 } });
    await local.driver.apply(bad, watchProgress(), "o1/t0#1.1");
    const move = { parts: [{ desired: bad, pods: podNames("cell-a", 0, 1) }], holder: "o1/t1#1.1", startedAt: 0 };
    expect(await local.driver.move({ ...move, startedAt: Date.now() }, watchProgress())).toMatchObject({
      outcome: "failed",
    });
    const { placement } = bad;
    await local.driver.freeze({ placement, order: "o1", holder: "o1/r0#1001.1", earlierRuns: true });
    const remove = { ...removal(bad), holder: "o1/r1#1001.1" };
    expect(await local.driver.remove(remove, watchProgress())).toMatchObject({ outcome: "done", changed: true });
    expect(await bench.pods()).toEqual([]);
    expect(await services()).toEqual([]);
    await expect(local.driver.move({ ...move, startedAt: Date.now() }, watchProgress())).rejects.toMatchObject({
      type: "NotFound",
    });
  }, 60_000);

  test("the reconciler follows namespaces as they come into use and go out of it", async () => {
    const desired = bench.desired({ order: "o1", revision: 1, tag: "1", replicas: 2 });
    await deploy(local, desired);
    const next = bench.desired({ order: "o2", revision: 2, tag: "2", replicas: 2 });
    await local.driver.apply(next, watchProgress());
    const move = {
      parts: [{ desired: next, pods: podNames("cell-a", 0) }],
      holder: "o2/t1#1.1",
      startedAt: Date.now(),
    };
    await local.driver.move(move, watchProgress());
    let used: string[] = [];
    const stop = new AbortController();
    const reconciler = startReconciler({
      cluster: local.cluster,
      signal: stop.signal,
      name: "w1",
      namespaces: async () => used,
      everyMs: 100,
    });
    const tags = async () => Object.values(await bench.tags()).join();
    await bench.deletePod("cart-cell-a-0");
    await until("it is back, at the old revision", async () => (await tags()) === "1,1");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await tags()).toBe("1,1");
    used = [bench.namespace];
    await until("it is repaired", async () => (await tags()) === "2,1");
    used = [];
    await new Promise((resolve) => setTimeout(resolve, 500));
    await bench.deletePod("cart-cell-a-0");
    await until("it is back, at the old revision", async () => (await tags()) === "1,1");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await tags()).toBe("1,1");
    stop.abort();
    await reconciler;
  });
});
