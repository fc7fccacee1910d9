import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { imagePatches } from "../../support/audit-log.ts";
import { deploy, openBench, podNames, watchProgress, type Bench } from "../../support/workloads.ts";

describe("trouble with a group", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
  });
  afterEach(() => bench.close());

  const group = (desired: ReturnType<Bench["desired"]>, ordinals: number[], holder: string) => ({
    parts: [{ desired, pods: podNames("cell-a", ...ordinals) }],
    holder,
    startedAt: Date.now(),
  });

  test("a bad image fails its group after the deadline, with the reason; nothing else moves; a good revision mends it", async () => {
    const bad = bench.desired({ order: "o2", revision: 2, tag: "bad" });
    const progress = watchProgress();
    await local.driver.apply(bad, progress);
    const begin = Date.now();
    const failed = await local.driver.move(group(bad, [1], "o2/t1#1.1"), progress);
    expect(Date.now() - begin).toBeGreaterThanOrEqual(5000);
    expect(Date.now() - begin).toBeLessThan(12_000);
    expect(failed).toMatchObject({
      outcome: "failed",
      changed: true,
      pods: [{ name: "cart-cell-a-1", state: "FAILED" }],
    });
    expect(failed.outcome === "failed" && failed.reason).toMatch(
      /cart-cell-a-1: container main \(shop\/cart:bad\): CrashLoopBackOff: back-off.*event BackOff/,
    );
    expect(Object.values(await bench.tags())).toEqual(["1", "bad", "1", "1"]);
    expect((await bench.set()).metadata.annotations?.["cellwright.io/epoch-holder"]).toBe("");

    // Retry: the pod is not touched again, and it fails again.
    const again = await local.driver.move(group(bad, [1], "o2/t1#2.1"), progress);
    expect(again).toMatchObject({ outcome: "failed", changed: true });
    expect(imagePatches(bench.auditLog, bench.namespace)).toHaveLength(1);

    expect(await local.driver.freeze({ placement: bad.placement, order: "o2", holder: "o2/t2#1.1" })).toMatchObject({
      moved: 1,
      total: 4,
    });
    await expect(local.driver.move(group(bad, [0], "o2/t3#1.1"), progress)).rejects.toMatchObject({
      type: "Superseded",
    });

    const good = bench.desired({ order: "o3", revision: 3, tag: "3" });
    await deploy(local, good);
    expect(Object.values(await bench.tags())).toEqual(["3", "3", "3", "3"]);
  });

  test("a group whose earlier pods have not come back waits for them, fails naming them, and changes nothing", async () => {
    const bad = bench.desired({ order: "o2", revision: 2, tag: "bad" });
    await local.driver.apply(bad, watchProgress());
    await local.driver.move(group(bad, [1], "o2/t1#1.1"), watchProgress());
    const next = await local.driver.move(group(bad, [0, 2], "o2/t2#1.1"), watchProgress());
    expect(next).toMatchObject({ outcome: "failed", changed: false });
    expect(next.outcome === "failed" && next.reason).toContain("cart-cell-a-1");
    expect(imagePatches(bench.auditLog, bench.namespace).map((patch) => patch.pod)).toEqual(["cart-cell-a-1"]);
  });

  test("pods that are unavailable elsewhere slow the group down", async () => {
    const bad = bench.desired({ order: "o2", revision: 2, tag: "bad" });
    await local.driver.apply(bad, watchProgress());
    await local.driver.move(group(bad, [0], "o2/t1#1.1"), watchProgress());
    // Superseded: pod 0 stays down, not enrolled any more.
    const good = bench.desired({ order: "o3", revision: 3, tag: "3" });
    await local.driver.apply(good, watchProgress());
    const moved = await local.driver.move(group(good, [1, 2], "o3/t1#1.1"), watchProgress());
    expect(moved.outcome).toBe("done");
    // One at a time: the second was patched only after the first was back.
    const patches = imagePatches(bench.auditLog, bench.namespace).filter((patch) => patch.image === "shop/cart:3");
    expect(patches).toHaveLength(2);
    expect(patches[1]!.at - patches[0]!.at).toBeGreaterThan(250);
  });

  test("an aborted move stops acting, closes its epoch, and the next attempt goes on", async () => {
    const desired = bench.desired({ order: "o2", revision: 2, tag: "bad" });
    await local.driver.apply(desired, watchProgress());
    const abort = new AbortController();
    const move = local.driver.move(group(desired, [0, 1], "o2/t1#1.1"), watchProgress(abort.signal));
    setTimeout(() => abort.abort(), 500);
    expect(await move).toMatchObject({ outcome: "failed", changed: true });
    expect((await bench.set()).metadata.annotations).toMatchObject({
      "cellwright.io/epoch-holder": "",
      "cellwright.io/enrolled": "0-1",
    });
  });

  test("restore puts the former template back, and removes what apply created", async () => {
    const next = bench.desired({ order: "o2", revision: 2, tag: "2" });
    const before = await bench.set();
    await local.driver.apply(next, watchProgress());
    const former = async () => bench.desired({ order: "o1", revision: 1, tag: "1" });
    expect(await local.driver.restore(next, former, watchProgress())).toMatchObject({ outcome: "done" });
    const after = await bench.set();
    expect(after.status).toMatchObject({
      updateRevision: before.status!.currentRevision,
      currentRevision: before.status!.currentRevision,
    });
    expect(after.metadata.annotations).toMatchObject({
      "cellwright.io/order": "o1",
      "cellwright.io/revision": "1",
      "cellwright.io/enrolled": "0-3",
    });
    expect(await local.driver.restore(next, former, watchProgress())).toMatchObject({ outcome: "done" });

    const created = bench.desired({ order: "o3", revision: 1, tag: "1", cell: "cell-b" });
    await local.driver.apply(created, watchProgress());
    expect(await local.driver.restore(created, former, watchProgress())).toMatchObject({ outcome: "done" });
    await expect(bench.set("cell-b")).rejects.toMatchObject({ type: "NotFound" });
    // The Service is still used by cell-a.
    await bench.admin.request({ method: "GET", path: `/api/v1/namespaces/${bench.namespace}/services/cart` });
    expect(imagePatches(bench.auditLog, bench.namespace)).toEqual([]);
  });

  test("restore refuses once a pod has moved", async () => {
    const next = bench.desired({ order: "o2", revision: 2, tag: "2" });
    await local.driver.apply(next, watchProgress());
    await local.driver.move(group(next, [3], "o2/t1#1.1"), watchProgress());
    const former = async () => bench.desired({ order: "o1", revision: 1, tag: "1" });
    expect(await local.driver.restore(next, former, watchProgress())).toMatchObject({ outcome: "failed" });
  });

  test("apply refuses what can never be changed, and foreign workloads; it never takes pods away", async () => {
    const other = bench.desired({ order: "o2", revision: 2, tag: "2", replicas: 2 });
    const claims = [{ name: "data", accessModes: ["ReadWriteOnce" as const], size: "1Gi" }];
    const fixed = { ...other, spec: { ...other.spec, stateful: true, volumeClaimTemplates: claims } };
    expect(await local.driver.apply(fixed, watchProgress())).toMatchObject({
      outcome: "failed",
      reason: expect.stringMatching(/there: none; in the revision: data \(1Gi\)/),
    });
    const theirs = { ...other, placement: { ...other.placement, workspaceGroup: "other" } };
    expect(await local.driver.apply(theirs, watchProgress())).toMatchObject({
      outcome: "failed",
      reason: expect.stringContaining("not Cellwright's"),
    });
    expect(await local.driver.apply(other, watchProgress())).toMatchObject({ outcome: "done" });
    expect((await bench.set()).spec.replicas).toBe(4);
  });

  test("observe sees workloads, and says what a person must mend", async () => {
    const { placement } = bench.desired({ order: "o1", revision: 1, tag: "1" });
    const seen = await local.driver.observe({ namespace: bench.namespace, placements: [placement] });
    expect(seen).toMatchObject({
      faults: [],
      workloads: [{ cell: "cell-a", nodes: 2, workload: { replicas: 4, revision: 1, promoted: true } }],
    });
    expect(seen.workloads[0]?.pods[3]).toEqual({
      name: "cart-cell-a-3",
      ready: true,
      images: { main: "shop/cart:1" },
      shape: seen.workloads[0]?.workload?.shape,
    });
    const nowhere = { ...placement, cell: "cell-x", nodeSelector: { cell: "cell-x" } };
    expect((await local.driver.observe({ namespace: bench.namespace, placements: [nowhere] })).faults).toMatchObject([
      { cell: "cell-x" },
    ]);
    const missing = await local.driver.observe({ namespace: "no-such", placements: [] });
    expect(missing.faults[0]?.message).toContain("does not exist");
  });
});
