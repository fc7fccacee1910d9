import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { startReconciler } from "../../../activities/kubernetes/reconciler.ts";
import { imagePatches, readAuditLog } from "../../support/audit-log.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

describe("the reconciler", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  let stop: AbortController;
  let running: Promise<void>[];
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
    stop = new AbortController();
    running = [];
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
  });
  afterEach(async () => {
    stop.abort();
    await Promise.all(running);
    bench.close();
  });

  const start = (cluster: ConnectedCluster, name: string, takeOverAfterMs = 60_000) => {
    const namespaces = async () => [bench.namespace];
    running.push(
      startReconciler({
        cluster: cluster.cluster,
        signal: stop.signal,
        name,
        namespaces,
        everyMs: 500,
        takeOverAfterMs,
      }),
    );
  };
  const moveBeta = async () => {
    const desired = bench.desired({ order: "o2", revision: 2, tag: "2" });
    await local.driver.apply(desired, watchProgress());
    const startedAt = Date.now();
    await local.driver.move(
      { parts: [{ desired, pods: podNames("cell-a", 1) }], holder: "o2/t1#1.1", startedAt },
      watchProgress(),
    );
    return desired;
  };
  const readyTags = async () => {
    const pods = await bench.pods();
    const isReady =
      pods.length === 4 &&
      pods.every((pod) => pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"));
    return isReady ? Object.values(await bench.tags()) : undefined;
  };

  test("while paused: an evicted pod of a group that has started comes back on the new revision, others on the old; two reconcilers do not fight", async () => {
    await moveBeta();
    start(local, "w1");
    start(await bench.connect(), "w2");
    const uids = new Map((await bench.pods()).map((pod) => [pod.metadata.name, pod.metadata.uid]));
    for (const pod of podNames("cell-a", 0, 1)) await bench.deletePod(pod);
    const tags = await until("both are back", async () => {
      const now = await bench.pods();
      const areNew = podNames("cell-a", 0, 1).every((name) =>
        now.some((pod) => pod.metadata.name === name && pod.metadata.uid !== uids.get(name)),
      );
      const found = areNew ? await readyTags() : undefined;
      return found?.[1] === "2" ? found : undefined;
    });
    expect(tags).toEqual(["1", "2", "1", "1"]);
    await until(
      "the epoch is closed",
      async () => (await bench.set()).metadata.annotations?.["cellwright.io/epoch-holder"] === "",
    );
    // The beta group's patch and one repair; a second reconciler may have been refused, never let through.
    const accepted = imagePatches(bench.auditLog, bench.namespace).filter((patch) => patch.status === 200);
    expect(accepted.map((patch) => patch.pod)).toEqual(["cart-cell-a-1", "cart-cell-a-1"]);
  });

  test("costs nothing when nothing is wrong, and repairs after a freeze", async () => {
    const desired = await moveBeta();
    start(local, "w1");
    await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t9#1.1" });
    const writes = () => readAuditLog(bench.auditLog, { namespace: bench.namespace, user: "cellwright" }).length;
    const before = writes();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(writes()).toBe(before);
    await bench.deletePod("cart-cell-a-1");
    await until("repaired", async () => (await readyTags())?.join() === "1,2,1,1");
  });

  test("takes over an epoch whose mover is dead, and fences it", async () => {
    await moveBeta();
    // As a mover leaves it that dies after enrolling: an open epoch, an enrolled pod that nobody patches.
    const set = await bench.set();
    const annotations = {
      "cellwright.io/epoch": "99",
      "cellwright.io/epoch-holder": "dead",
      "cellwright.io/enrolled": "1-2",
    };
    await bench.admin.request({
      method: "PATCH",
      path: `/apis/apps/v1/namespaces/${bench.namespace}/statefulsets/cart-cell-a`,
      query: { fieldManager: "cellwright-progress", force: true },
      contentType: "application/apply-patch+yaml",
      body: {
        apiVersion: "apps/v1",
        kind: "StatefulSet",
        metadata: { name: "cart-cell-a", annotations },
        spec: { replicas: set.spec.replicas },
      },
    });
    start(local, "w1", 1500);
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(Object.values(await bench.tags())).toEqual(["1", "2", "1", "1"]);
    await until("repaired", async () => (await readyTags())?.join() === "1,2,2,1");
    await until("closed", async () => (await bench.set()).metadata.annotations?.["cellwright.io/epoch-holder"] === "");
    expect(Number((await bench.set()).metadata.annotations?.["cellwright.io/epoch"])).toBeGreaterThanOrEqual(100);
  });
});
