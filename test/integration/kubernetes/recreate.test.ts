import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { startReconciler } from "../../../activities/kubernetes/reconciler.ts";
import { closeEpoch, takeEpoch } from "../../../activities/kubernetes/statefulset/epoch.ts";
import { evictions, imagePatches, readAuditLog, windows } from "../../support/audit-log.ts";
import { evictsPod, openHoldProxy } from "../../support/hold-proxy.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

describe("a group is recreated", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
  });
  afterEach(() => bench.close());

  const apply = async (more: Partial<Parameters<Bench["desired"]>[0]> = {}) => {
    const desired = bench.desired({ order: "o2", revision: 2, tag: "2", env: "2", ...more });
    expect(await local.driver.apply(desired, watchProgress())).toMatchObject({ outcome: "done" });
    return desired;
  };
  const group = (
    desired: ReturnType<Bench["desired"]>,
    ordinals: number[],
    holder = "o2/t1#1.1",
    startedAt = Date.now(),
  ) => ({ parts: [{ desired, pods: podNames("cell-a", ...ordinals) }], holder, startedAt });
  /** Pod → its uid and the value of its variable. */
  const world = async () =>
    Object.fromEntries(
      (await bench.pods()).map((pod) => {
        const [container] = pod.spec.containers as unknown as { env: { name: string; value: string }[] }[];
        const level = container?.env.find(({ name }) => name === "LEVEL")?.value;
        return [pod.metadata.name, { uid: pod.metadata.uid, level }];
      }),
    );
  const levels = async () =>
    Object.entries(await world())
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([, { level }]) => level);
  const strategy = async () => (await bench.set()).spec.updateStrategy?.type;
  const accepted = () => evictions(bench.auditLog, bench.namespace).filter(({ status }) => status < 300);
  const evicted = () =>
    accepted()
      .map(({ pod }) => pod)
      .toSorted();
  const ofSet = () => windows(bench.auditLog, bench.namespace, "cart-cell-a");

  test("exact groups: each pod once, by eviction, within a window that is closed again; others stay", async () => {
    const before = await world();
    const desired = await apply();
    expect(await strategy()).toBe("RollingUpdate");
    expect(evicted()).toEqual([]);
    expect(await local.driver.move(group(desired, [2]), watchProgress())).toMatchObject({
      outcome: "done",
      changed: true,
    });
    expect(await strategy()).toBe("RollingUpdate");
    expect(await levels()).toEqual(["1", "1", "2", "1"]);
    const between = await world();
    expect(between["cart-cell-a-2"]?.uid).not.toBe(before["cart-cell-a-2"]?.uid);

    const startedAt = Date.now();
    const moved = await local.driver.move(group(desired, [0, 1, 3], "o2/t2#1.1", startedAt), watchProgress());
    expect(moved).toMatchObject({ outcome: "done", changed: true });
    expect(await local.driver.verify({ desired: [desired], startedAt }, watchProgress())).toMatchObject({
      outcome: "done",
    });
    const after = await world();
    expect(await levels()).toEqual(["2", "2", "2", "2"]);
    expect(after["cart-cell-a-2"]).toEqual(between["cart-cell-a-2"]);

    expect(evicted()).toEqual(podNames("cell-a", 0, 1, 2, 3));
    expect(accepted().map(({ pod, uid }) => before[pod]?.uid === uid)).toEqual([true, true, true, true]);
    const open = ofSet();
    expect(open).toHaveLength(2);
    for (const { receivedAt, at } of accepted())
      expect(open.some(({ from, to }) => from <= receivedAt && at <= to)).toBe(true);
    expect(imagePatches(bench.auditLog, bench.namespace)).toEqual([]);
    const deletes = readAuditLog(bench.auditLog, { namespace: bench.namespace, verb: "delete", resource: "pods" });
    expect(deletes.filter(({ user }) => user === "cellwright")).toEqual([]);
    // Take and open, close the window, close the epoch: the same for every size of a group.
    const writes = readAuditLog(bench.auditLog, {
      namespace: bench.namespace,
      user: "cellwright",
      resource: "statefulsets",
    }).filter(({ receivedAt, status }) => receivedAt >= startedAt && status < 300);
    expect(writes.length).toBeLessThanOrEqual(3);
  });

  test("new pods of a recreating release are born at the target, and only pods of the former revision are evicted", async () => {
    const desired = await apply({ replicas: 6 });
    expect(await local.driver.move(group(desired, [3, 4, 5]), watchProgress())).toMatchObject({ outcome: "done" });
    expect(await levels()).toEqual(["1", "1", "1", "2", "2", "2"]);
    expect(evicted()).toEqual(podNames("cell-a", 3));
  });

  test("image-only changes are recreated when the policy says so", async () => {
    const desired = await apply({ env: "1", release: { upgrade: "RECREATE" } });
    expect(await local.driver.move(group(desired, [0, 1, 2, 3]), watchProgress())).toMatchObject({ outcome: "done" });
    expect(Object.values(await bench.tags())).toEqual(["2", "2", "2", "2"]);
    expect(evicted()).toEqual(podNames("cell-a", 0, 1, 2, 3));
    expect(imagePatches(bench.auditLog, bench.namespace)).toEqual([]);
  });

  test("each pod is judged by itself: after an unfinished recreation, an image-only revision recreates only what must be", async () => {
    const half = await apply();
    await local.driver.move(group(half, [0, 1]), watchProgress());
    const desired = bench.desired({ order: "o3", revision: 3, tag: "3", env: "2" });
    await local.driver.apply(desired, watchProgress());
    const moved = await local.driver.move(group(desired, [0, 1, 2, 3], "o3/t1#1.1"), watchProgress());
    expect(moved).toMatchObject({ outcome: "done" });
    expect(await levels()).toEqual(["2", "2", "2", "2"]);
    expect(Object.values(await bench.tags())).toEqual(["3", "3", "3", "3"]);
    expect(evicted()).toEqual(podNames("cell-a", 0, 1, 2, 3));
    const patched = imagePatches(bench.auditLog, bench.namespace).filter(({ status }) => status === 200);
    expect(patched.map(({ pod }) => pod).toSorted()).toEqual(podNames("cell-a", 0, 1));
    expect(await strategy()).toBe("RollingUpdate");
  });

  const budget = (spec: object) => ({
    method: "POST" as const,
    path: `/apis/policy/v1/namespaces/${bench.namespace}/poddisruptionbudgets`,
    body: {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "cart-stays" },
      spec: { selector: { matchLabels: { "cellwright.io/service": "cart" } }, ...spec },
    },
  });
  const protect = async (spec: object, allowed: number) => {
    const created = budget(spec);
    await bench.admin.request(created);
    await until("the budget is known", async () => {
      const { status } = await bench.admin.request<{
        status?: { disruptionsAllowed?: number; currentHealthy?: number };
      }>({
        method: "GET",
        path: `${created.path}/cart-stays`,
      });
      return status?.disruptionsAllowed === allowed && status.currentHealthy === 4;
    });
    return `${created.path}/cart-stays`;
  };

  test("a disruption budget that refuses blocks, by name, and nothing moves behind a person's back; lifted, it goes on", async () => {
    const path = await protect({ minAvailable: 4 }, 0);
    const desired = await apply();
    const patient = await bench.connect({ bounds: { budgetMs: 1500 } });
    const startedAt = Date.now();
    const blocked = await patient.driver.move(group(desired, [0, 1], "o2/t1#1.1", startedAt), watchProgress());
    expect(blocked).toMatchObject({
      outcome: "blocked",
      changed: false,
      reason: expect.stringContaining(`disruption budget ${bench.namespace}/cart-stays`),
    });
    expect(blocked.pods[0]).toMatchObject({ reason: expect.stringContaining("cart-stays") });
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1500);
    expect(await strategy()).toBe("RollingUpdate");
    expect((await bench.set()).metadata.annotations).toMatchObject({
      "cellwright.io/enrolled": "",
      "cellwright.io/epoch-holder": "",
    });
    expect(evicted()).toEqual([]);
    await bench.admin.request({ method: "DELETE", path });
    expect(await patient.driver.move(group(desired, [0, 1], "o2/t1#1.2"), watchProgress())).toMatchObject({
      outcome: "done",
    });
    expect(evicted()).toEqual(podNames("cell-a", 0, 1));
  });

  test("a budget that allows one pod at a time is kept, and is no reason to block", async () => {
    await protect({ maxUnavailable: 1 }, 1);
    const desired = await apply({ release: { progressDeadlineSeconds: 20 } });
    const patient = await bench.connect({ bounds: { budgetMs: 5000 } });
    expect(await patient.driver.move(group(desired, [0, 1, 2]), watchProgress())).toMatchObject({ outcome: "done" });
    expect(evicted()).toEqual(podNames("cell-a", 0, 1, 2));
    expect(evictions(bench.auditLog, bench.namespace).some(({ status }) => status === 429)).toBe(true);
  });

  const reconcile = (takeOverAfterMs = 60_000) => {
    const stop = new AbortController();
    const done = startReconciler({
      cluster: local.cluster,
      signal: stop.signal,
      name: "w1",
      namespaces: async () => [bench.namespace],
      everyMs: 500,
      takeOverAfterMs,
    });
    return async () => {
      stop.abort();
      await done;
    };
  };

  test("a pod of a group that has started is recreated once more when it comes back at the former revision; others stay there", async () => {
    const desired = await apply();
    await local.driver.move(group(desired, [1]), watchProgress());
    const end = reconcile();
    const before = await world();
    for (const pod of podNames("cell-a", 0, 1)) await bench.deletePod(pod);
    await until("both are back", async () => {
      const now = await world();
      return (
        now["cart-cell-a-0"]?.uid !== before["cart-cell-a-0"]?.uid &&
        now["cart-cell-a-1"]?.uid !== before["cart-cell-a-1"]?.uid &&
        (await levels()).join() === "1,2,1,1"
      );
    });
    await until("the window is closed", async () => (await strategy()) === "RollingUpdate");
    await end();
    expect(evicted()).toEqual(podNames("cell-a", 1, 1));
  });

  test("a mover that dies in the window: the reconciler goes on, and closes it", async () => {
    const desired = await apply();
    await takeEpoch(local.cluster, {
      key: { namespace: bench.namespace, name: "cart-cell-a" },
      taker: { role: "move", who: "o2/t1#1.1", startedAt: Date.now() },
      check: () => undefined,
      enrol: [0, 3],
      window: true,
      onStamped: () => undefined,
    });
    expect(await strategy()).toBe("OnDelete");
    const end = reconcile(1000);
    await until("recreated", async () => (await levels()).join() === "2,1,1,2");
    await until("closed", async () => (await strategy()) === "RollingUpdate");
    await end();
    expect(evicted()).toEqual(podNames("cell-a", 0, 3));
    expect(desired.revision).toBe(2);
  });

  test("a mover that dies in the window: its successor goes on, evicts nothing twice, and closes it", async () => {
    const desired = await apply();
    const proxy = await openHoldProxy();
    const startedAt = Date.now();
    const holding = proxy.hold(evictsPod("cart-cell-a-1"));
    const faulty = await bench.connect({ kubeconfig: proxy.kubeconfig });
    const first = faulty.driver
      .move(group(desired, [0, 1, 2], "o2/t1#1.1", startedAt), watchProgress())
      .catch((error: unknown) => error);
    const held = await holding.next();
    await until("the others are evicted", async () => evicted().length === 2);
    // The successor's own eviction of that pod waits too, so that the late one meets nothing but the stamp.
    const proxy2 = await openHoldProxy();
    const holding2 = proxy2.hold(evictsPod("cart-cell-a-1"));
    const successor = await bench.connect({ kubeconfig: proxy2.kubeconfig });
    const second = successor.driver.move(group(desired, [0, 1, 2], "o2/t1#1.2", startedAt), watchProgress());
    const held2 = await holding2.next();
    expect(await held.release()).toBe(409);
    expect(await held2.release()).toBe(201);
    expect(await second).toMatchObject({ outcome: "done" });
    expect(await first).toMatchObject({ type: "Fenced" });
    expect(evicted()).toEqual(podNames("cell-a", 0, 1, 2));
    expect(await levels()).toEqual(["2", "2", "2", "1"]);
    expect(await strategy()).toBe("RollingUpdate");
    await Promise.all([proxy.close(), proxy2.close()]);
  });

  test("a window that is opened late finds itself overtaken", async () => {
    const desired = await apply();
    const proxy = await openHoldProxy();
    const holding = proxy.hold(({ method, body }) => method === "PATCH" && body.includes("OnDelete"));
    const faulty = await bench.connect({ kubeconfig: proxy.kubeconfig });
    const late = faulty.driver.move(group(desired, [0]), watchProgress()).catch((error: unknown) => error);
    const held = await holding.next();
    await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t9#1.1" });
    expect(await held.release()).toBe(422);
    expect(await late).toMatchObject({ type: "Superseded" });
    expect(await strategy()).toBe("RollingUpdate");
    expect(ofSet()).toEqual([]);
    await proxy.close();
  });

  test("a move that is stopped in the window leaves it to the next attempt, and no pod is evicted twice", async () => {
    const desired = await apply();
    const abort = new AbortController();
    const startedAt = Date.now();
    const first = local.driver.move(group(desired, [0, 1], "o2/t1#1.1", startedAt), watchProgress(abort.signal));
    await until("both are evicted", async () => evicted().length === 2);
    abort.abort();
    expect(await first).toMatchObject({ changed: true });
    const second = await local.driver.move(group(desired, [0, 1], "o2/t1#1.2", startedAt), watchProgress());
    expect(second).toMatchObject({ outcome: "done" });
    expect(evicted()).toEqual(podNames("cell-a", 0, 1));
    expect(await levels()).toEqual(["2", "2", "1", "1"]);
    expect(await strategy()).toBe("RollingUpdate");
  });

  test("a freeze closes a window that was left open, and nothing goes on", async () => {
    const desired = await apply();
    const held = await takeEpoch(local.cluster, {
      key: { namespace: bench.namespace, name: "cart-cell-a" },
      taker: { role: "move", who: "o2/t1#1.1", startedAt: Date.now() },
      check: () => undefined,
      enrol: [1],
      window: true,
      onStamped: () => undefined,
    });
    const frozen = await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t9#1.1" });
    expect(frozen).toMatchObject({ outcome: "done", moved: 0, total: 4 });
    expect(await strategy()).toBe("RollingUpdate");
    await closeEpoch(local.cluster, held);
    expect((await bench.set()).metadata.annotations).toMatchObject({ "cellwright.io/enrolled": "" });
    expect(evicted()).toEqual([]);
  });
});
