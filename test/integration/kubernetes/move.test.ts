import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { imagePatches, readAuditLog } from "../../support/audit-log.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

describe("a group moves in place", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  beforeAll(async () => {
    bench = await openBench();
    local = await bench.connect();
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
  });
  afterAll(() => bench.close());

  test("first deployment: every pod is born at the revision and none is patched", async () => {
    expect(await bench.tags()).toEqual({
      "cart-cell-a-0": "1",
      "cart-cell-a-1": "1",
      "cart-cell-a-2": "1",
      "cart-cell-a-3": "1",
    });
    expect(imagePatches(bench.auditLog, bench.namespace)).toEqual([]);
    const created = readAuditLog(bench.auditLog, { namespace: bench.namespace, user: "cellwright" });
    expect(created.filter(({ status }) => status >= 300 && status !== 409)).toEqual([]);
  });

  test("exact groups, same uid and address, one write per pod, promotion", async () => {
    const desired = bench.desired({ order: "o2", revision: 2, tag: "2" });
    const before = await bench.pods();
    const progress = watchProgress();
    expect(await local.driver.apply(desired, progress)).toMatchObject({ outcome: "done" });
    expect(imagePatches(bench.auditLog, bench.namespace)).toEqual([]);

    const beta = { parts: [{ desired, pods: podNames("cell-a", 2) }], holder: "o2/t1#1.1", startedAt: Date.now() };
    expect(await local.driver.move(beta, progress)).toMatchObject({ outcome: "done", changed: true });
    expect(await bench.tags()).toEqual({
      "cart-cell-a-0": "1",
      "cart-cell-a-1": "1",
      "cart-cell-a-2": "2",
      "cart-cell-a-3": "1",
    });
    const set = await bench.set();
    expect(set.metadata.annotations).toMatchObject({ "cellwright.io/enrolled": "2", "cellwright.io/epoch-holder": "" });
    expect(set.status?.currentRevision).not.toBe(set.status?.updateRevision);

    const rest = {
      parts: [{ desired, pods: podNames("cell-a", 0, 1, 3) }],
      holder: "o2/t2#1.1",
      startedAt: Date.now(),
    };
    const moved = await local.driver.move(rest, progress);
    expect(moved).toMatchObject({ outcome: "done", changed: true });
    expect(moved.pods.map((pod) => pod.state)).toEqual(["UPDATED", "UPDATED", "UPDATED"]);
    expect(await local.driver.verify({ desired: [desired], startedAt: Date.now() }, progress)).toMatchObject({
      outcome: "done",
    });

    const after = await bench.pods();
    const identity = (pods: typeof before) =>
      pods.map((pod) => [pod.metadata.name, pod.metadata.uid, (pod.status as { podIP?: string }).podIP]);
    expect(identity(after)).toEqual(identity(before));
    const patches = imagePatches(bench.auditLog, bench.namespace);
    expect(patches.map((patch) => `${patch.status} ${patch.image}`)).toEqual(Array(4).fill("200 shop/cart:2"));
    expect(new Set(patches.map((patch) => patch.pod)).size).toBe(4);
    expect(patches[0]?.pod).toBe("cart-cell-a-2");
  });

  test("a move that is repeated touches nothing", async () => {
    const desired = bench.desired({ order: "o2", revision: 2, tag: "2" });
    const count = imagePatches(bench.auditLog, bench.namespace).length;
    const again = {
      parts: [{ desired, pods: podNames("cell-a", 0, 1, 3) }],
      holder: "o2/t2#1.2",
      startedAt: Date.now(),
    };
    expect(await local.driver.move(again, watchProgress())).toMatchObject({ outcome: "done" });
    expect(imagePatches(bench.auditLog, bench.namespace)).toHaveLength(count);
  });

  test("two tags of one image are two revisions, and back again", async () => {
    for (const [revision, tag] of [
      [3, "2-same"],
      [4, "2"],
    ] as const) {
      const desired = bench.desired({ order: `o${revision}`, revision, tag });
      await deploy(local, desired);
      expect(Object.values(await bench.tags())).toEqual(Array(4).fill(tag));
    }
  });

  test("ready seconds count from the new container", async () => {
    const desired = bench.desired({ order: "o5", revision: 5, tag: "5", release: { readySeconds: 2 } });
    const progress = watchProgress();
    await local.driver.apply(desired, progress);
    const startedAt = Date.now();
    const moved = await local.driver.move(
      { parts: [{ desired, pods: podNames("cell-a", 0) }], holder: "o5/t1#1.1", startedAt },
      progress,
    );
    expect(moved.outcome).toBe("done");
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(2000);
    expect(progress.reports.at(-1)?.[0]?.state).toBe("UPDATED");
  });

  test("scaling out: missing pods come with their group, and only with it", async () => {
    const desired = bench.desired({ order: "o6", revision: 6, tag: "6", replicas: 6 });
    const progress = watchProgress();
    await local.driver.apply(desired, progress);
    expect((await bench.pods()).length).toBe(4);
    const startedAt = Date.now();
    const move = (...ordinals: number[]) =>
      local.driver.move(
        { parts: [{ desired, pods: podNames("cell-a", ...ordinals) }], holder: "o6/t#1.1", startedAt },
        progress,
      );
    expect(await move(0, 1, 2, 3)).toMatchObject({ outcome: "done" });
    expect((await bench.pods()).length).toBe(4);
    expect(await move(4, 5)).toMatchObject({ outcome: "done" });
    expect(Object.values(await bench.tags())).toEqual(Array(6).fill("6"));
    expect(await local.driver.verify({ desired: [desired], startedAt }, progress)).toMatchObject({ outcome: "done" });
  });

  test("an order whose template has been replaced does not act", async () => {
    const old = bench.desired({ order: "o6", revision: 6, tag: "6", replicas: 6 });
    const next = bench.desired({ order: "o7", revision: 7, tag: "7", replicas: 6 });
    await local.driver.apply(next, watchProgress());
    const move = local.driver.move(
      { parts: [{ desired: old, pods: podNames("cell-a", 0) }], holder: "o6/t9#1.1", startedAt: Date.now() },
      watchProgress(),
    );
    await expect(move).rejects.toMatchObject({ type: "Superseded" });
    await until("nothing has moved", async () => Object.values(await bench.tags()).every((tag) => tag === "6"));
  });
});
