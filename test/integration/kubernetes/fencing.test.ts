import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CONTENT, paths } from "../../../activities/kubernetes/client.ts";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { takeEpoch } from "../../../activities/kubernetes/statefulset/epoch.ts";
import { newHands, putRight } from "../../../activities/kubernetes/statefulset/hands.ts";
import { imagePatches, readAuditLog } from "../../support/audit-log.ts";
import { changesPod, changesSet, openHoldProxy, type HoldProxy, type SeenRequest } from "../../support/hold-proxy.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

const patchesAnyPod = (request: SeenRequest) => request.method === "PATCH" && request.url.includes("/pods/");

describe("fencing and bad connections", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  let proxy: HoldProxy;
  let faulty: ConnectedCluster;
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
    proxy = await openHoldProxy();
    faulty = await bench.connect({ kubeconfig: proxy.kubeconfig });
    await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
  });
  afterEach(async () => {
    bench.close();
    await proxy.close();
  });

  const apply = async () => {
    const desired = bench.desired({ order: "o2", revision: 2, tag: "2" });
    await local.driver.apply(desired, watchProgress());
    return desired;
  };
  const group = (
    desired: ReturnType<Bench["desired"]>,
    ordinals: number[],
    holder: string,
    startedAt = Date.now(),
  ) => ({
    parts: [{ desired, pods: podNames("cell-a", ...ordinals) }],
    holder,
    startedAt,
  });
  const notes = async () => (await bench.set()).metadata.annotations ?? {};
  const accepted = () => imagePatches(bench.auditLog, bench.namespace).filter((patch) => patch.status === 200);

  test("a patch that is held until the successor has stamped its epoch is refused, and each pod is changed once", async () => {
    const desired = await apply();
    const startedAt = Date.now();
    const holding = proxy.hold(changesPod("cart-cell-a-1"));
    const abort = new AbortController();
    const first = faulty.driver.move(group(desired, [0, 1, 2], "o2/t1#1.1", startedAt), watchProgress(abort.signal));
    const settled = first.then(
      (value) => value,
      (error: unknown) => error,
    );
    const held = await holding.next();
    // The successor's own patch of that pod waits too, so that the late one meets nothing but the stamp.
    const proxy2 = await openHoldProxy();
    const holding2 = proxy2.hold(changesPod("cart-cell-a-1"));
    const second = (await bench.connect({ kubeconfig: proxy2.kubeconfig })).driver.move(
      group(desired, [0, 1, 2], "o2/t1#1.2", startedAt),
      watchProgress(),
    );
    const held2 = await holding2.next();
    expect(await held.release()).toBe(422);
    expect((await bench.tags())["cart-cell-a-1"]).toBe("1");
    expect(await held2.release()).toBe(200);
    expect(await second).toMatchObject({ outcome: "done" });
    expect(await settled).toMatchObject({ type: "Fenced" });
    expect(
      accepted()
        .map((patch) => patch.pod)
        .toSorted(),
    ).toEqual(podNames("cell-a", 0, 1, 2));
    expect((await notes())["cellwright.io/epoch-holder"]).toBe("");
    await proxy2.close();
  });

  const annotate = (annotations: Record<string, string | null>) =>
    bench.admin.request({
      method: "PATCH",
      path: paths.set(bench.namespace, "cart-cell-a"),
      contentType: CONTENT.mergePatch,
      body: { metadata: { annotations } },
    });

  test("annotations of others hinder nothing, whatever they hold", async () => {
    const desired = await apply();
    await annotate({ "example.com/dash": "https://graphs/d?from=<now>&to=\u2028é" });
    expect(await local.driver.move(group(desired, [0], "o2/t1#1.1"), watchProgress())).toMatchObject({
      outcome: "done",
    });
    expect(await notes()).toMatchObject({ "cellwright.io/epoch-holder": "", "example.com/dash": expect.any(String) });
  });

  test("a workload whose notes a hand has removed can be frozen, and has notes again", async () => {
    const desired = await apply();
    await annotate(Object.fromEntries(Object.keys(await notes()).map((key) => [key, null])));
    expect(await notes()).toEqual({});
    const mayAct = async () => undefined;
    await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t2#1.1", mayAct });
    expect(await notes()).toMatchObject({ "cellwright.io/epoch": "1", "cellwright.io/epoch-holder": "" });
  });

  test("a patch that is held over a freeze and a new order is refused", async () => {
    const desired = await apply();
    const holding = proxy.hold(changesPod("cart-cell-a-3"));
    const move = faulty.driver.move(group(desired, [3], "o2/t1#1.1"), watchProgress()).catch((error: unknown) => error);
    const held = await holding.next();
    expect(await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t2#1.1" })).toMatchObject(
      { moved: 0, total: 4 },
    );
    expect(
      await local.driver.restore(
        desired,
        async () => bench.desired({ order: "o1", revision: 1, tag: "1" }),
        watchProgress(),
      ),
    ).toMatchObject({ outcome: "done" });
    expect(await held.release()).toBe(422);
    expect(await move).toMatchObject({ type: "Fenced" });
    expect(Object.values(await bench.tags())).toEqual(["1", "1", "1", "1"]);
    expect(accepted()).toEqual([]);
  });

  test("a newborn without a stamp is not patched by a mover that has been fenced meanwhile", async () => {
    const desired = await apply();
    // The mover enrols, then loses sight: its reads of the set are held from its first confirmation on.
    await local.driver.move(group(desired, [0], "o2/t0#1.1"), watchProgress());
    const abort = new AbortController();
    const holding = proxy.hold(changesPod("cart-cell-a-1"));
    const zombie = faulty.driver
      .move(group(desired, [1], "o2/t1#1.1"), watchProgress(abort.signal))
      .catch((error: unknown) => error);
    const held = await holding.next();
    expect(await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t9#1.1" })).toMatchObject(
      { moved: 1 },
    );
    // A new pod 1 carries no stamp; the zombie may see it at any time.
    await bench.deletePod("cart-cell-a-1");
    await until("it is back", async () =>
      (await bench.pods()).some(
        (pod) =>
          pod.metadata.name === "cart-cell-a-1" && pod.metadata.annotations?.["cellwright.io/epoch"] === undefined,
      ),
    );
    await held.release();
    expect(await zombie).toMatchObject({ type: "Fenced" });
    expect(await bench.tags()).toMatchObject({ "cart-cell-a-0": "2", "cart-cell-a-1": "1" });
    expect(accepted().map((patch) => patch.pod)).toEqual(["cart-cell-a-0"]);
  });

  test("a newborn without a stamp is not patched by a fenced mover whose watch of the workload lags behind", async () => {
    const desired = await apply();
    const { cluster } = local;
    const key = { namespace: bench.namespace, name: "cart-cell-a" };
    const { view, release } = cluster.views.acquire(bench.namespace);
    await view.ready();
    const held = await takeEpoch(cluster, {
      key,
      taker: { role: "move", who: "zombie#1.1", startedAt: Date.now() },
      check: () => undefined,
      enrol: [1],
      seen: view.pods(key.name).map((pod) => pod.metadata.uid),
      onStamped: () => undefined,
    });
    expect(await local.driver.freeze({ placement: desired.placement, order: "o2", holder: "o2/t9#1.1" })).toMatchObject(
      { moved: 0 },
    );
    const before = view.pods(key.name).find((pod) => pod.metadata.name === "cart-cell-a-1")!.metadata.uid;
    await bench.deletePod("cart-cell-a-1");
    const isNewborn = () =>
      view.pods(key.name).some(({ metadata }) => metadata.name === "cart-cell-a-1" && metadata.uid !== before);
    await until("the newborn is seen", async () => isNewborn());
    // It sees the pods of now and the workload of then.
    const lagging = { ...view, set: () => undefined };
    await expect(putRight(cluster, held, lagging, newHands())).rejects.toMatchObject({ type: "Fenced" });
    expect(imagePatches(bench.auditLog, bench.namespace)).toEqual([]);
    release();
  });

  test("an older try does not take over from a newer one", async () => {
    const desired = await apply();
    const startedAt = Date.now();
    await local.driver.move(group(desired, [0], "o2/t1#1.2", startedAt), watchProgress());
    await expect(local.driver.move(group(desired, [0], "o2/t1#1.1", startedAt), watchProgress())).rejects.toMatchObject(
      { type: "Fenced" },
    );
    await expect(
      local.driver.move(group(desired, [0], "o2/t0#1.1", startedAt - 1000), watchProgress()),
    ).rejects.toMatchObject({ type: "Fenced" });
  });

  test("answers that get lost: writes of unknown outcome are settled before the epoch is closed, and done once", async () => {
    const desired = await apply();
    proxy.cut(changesSet(), "after", 1);
    proxy.cut(changesPod("cart-cell-a-0"), "after", 1);
    proxy.cut(changesPod("cart-cell-a-1"), "before", 1);
    expect(await faulty.driver.move(group(desired, [0, 1, 2], "o2/t1#1.1"), watchProgress())).toMatchObject({
      outcome: "done",
    });
    expect(
      accepted()
        .map((patch) => patch.pod)
        .toSorted(),
    ).toEqual(podNames("cell-a", 0, 1, 2));
    expect((await notes())["cellwright.io/epoch-holder"]).toBe("");
    const epochs = readAuditLog(bench.auditLog, {
      namespace: bench.namespace,
      verb: "patch",
      resource: "statefulsets",
      user: "cellwright",
    });
    expect(epochs.length).toBeGreaterThan(0);
  });

  test("an epoch stays open while a patch's outcome is unknown, and the next try fences and finishes", async () => {
    const desired = await apply();
    const abort = new AbortController();
    const startedAt = Date.now();
    const holding = proxy.hold(changesPod("cart-cell-a-1"));
    proxy.delay((request) => changesPod("cart-cell-a-0")(request), 200);
    const move = faulty.driver.move(group(desired, [0, 1], "o2/t1#1.1", startedAt), watchProgress(abort.signal));
    const held = await holding.next();
    abort.abort();
    // Its request runs into its bound (5 s); whether it will still be stored, nobody knows.
    expect(await move).toMatchObject({ outcome: "failed", changed: true });
    expect((await notes())["cellwright.io/epoch-holder"]).toContain("move");
    expect(await local.driver.move(group(desired, [0, 1], "o2/t1#1.2", startedAt + 1), watchProgress())).toMatchObject({
      outcome: "done",
    });
    expect(await held.release()).toBe(422);
    expect(
      accepted()
        .map((patch) => patch.pod)
        .toSorted(),
    ).toEqual(podNames("cell-a", 0, 1));
  });

  test("409, 429, 500 and slow answers are got over", async () => {
    const desired = await apply();
    const status = (code: number, reason: string) => ({ kind: "Status", code, reason, message: "made by the test" });
    proxy.answer(changesSet(), 409, { times: 2, body: status(409, "Conflict") });
    proxy.answer(patchesAnyPod, 429, {
      times: 1,
      body: status(429, "TooManyRequests"),
      headers: { "retry-after": "1" },
    });
    proxy.answer(patchesAnyPod, 500, { times: 1, body: status(500, "InternalError") });
    proxy.delay(patchesAnyPod, 300, { times: 2 });
    const begin = Date.now();
    expect(await faulty.driver.move(group(desired, [0, 1, 2, 3], "o2/t1#1.1"), watchProgress())).toMatchObject({
      outcome: "done",
    });
    expect(Date.now() - begin).toBeGreaterThanOrEqual(1000);
    expect(accepted()).toHaveLength(4);
    expect((await notes())["cellwright.io/epoch-holder"]).toBe("");
  });

  test("a right that is missing is an answer for a person", async () => {
    const desired = await apply();
    proxy.answer(patchesAnyPod, 403, {
      body: { kind: "Status", code: 403, reason: "Forbidden", message: "pods is forbidden" },
    });
    const strict = await bench.connect({ kubeconfig: proxy.kubeconfig, bounds: { forbiddenMs: 1000 } });
    const moved = await strict.driver.move(group(desired, [0], "o2/t1#1.1"), watchProgress());
    expect(moved).toMatchObject({ outcome: "failed", reason: expect.stringContaining("forbidden (403)") });
  });

  test("dropped watches and half-open connections are survived", async () => {
    const desired = bench.desired({
      order: "o2",
      revision: 2,
      tag: "slow-2",
      release: { progressDeadlineSeconds: 40 },
    });
    await local.driver.apply(desired, watchProgress());
    const move = faulty.driver.move(group(desired, [0, 1], "o2/t1#1.1"), watchProgress());
    await until("patched", async () => accepted().length === 2);
    proxy.disconnect();
    await sleep(500);
    proxy.fallSilent(true);
    await sleep(3000);
    proxy.fallSilent(false);
    expect(await move).toMatchObject({ outcome: "done" });
    expect(accepted()).toHaveLength(2);
  });

  test("a look at a cluster that has fallen silent says so within one try, though its lists may take longer", async () => {
    const impatient = await bench.connect({ kubeconfig: proxy.kubeconfig, bounds: { unreachableMs: 1500 } });
    const { placement } = bench.desired({ order: "o2", revision: 2, tag: "2" });
    const look = { namespace: bench.namespace, placements: [placement] };
    expect(await impatient.driver.observe(look)).toMatchObject({ faults: [] });
    proxy.fallSilent(true);
    const since = Date.now();
    await expect(impatient.driver.observe(look)).rejects.toMatchObject({ type: "ClusterUnreachable" });
    // What one try of a look may take; a list alone may take 20 s.
    expect(Date.now() - since).toBeLessThan(12_000);
    proxy.fallSilent(false);
    expect(await impatient.driver.observe(look)).toMatchObject({ faults: [] });
  });

  test("a cluster that does not answer is a failure that says so, and the next try goes on", async () => {
    const desired = await apply();
    const impatient = await bench.connect({ kubeconfig: proxy.kubeconfig, bounds: { unreachableMs: 1500 } });
    await impatient.driver.observe({ namespace: bench.namespace, placements: [] });
    proxy.answer(() => true, 503);
    await expect(impatient.driver.move(group(desired, [0], "o2/t1#1.1"), watchProgress())).rejects.toMatchObject({
      type: "ClusterUnreachable",
      retryable: true,
    });
    proxy.clear();
    expect(await impatient.driver.move(group(desired, [0], "o2/t1#1.2"), watchProgress())).toMatchObject({
      outcome: "done",
    });
  });
});
