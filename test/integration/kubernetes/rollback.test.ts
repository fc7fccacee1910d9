import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { evictions, imagePatches, windows } from "../../support/audit-log.ts";
import {
  changesPod,
  changesSet,
  evictsPod,
  openHoldProxy,
  type HoldProxy,
  type SeenRequest,
} from "../../support/hold-proxy.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

const writesTemplate = (request: SeenRequest) => changesSet()(request) && request.body.includes('"template"');
const REFUSED = { type: "Superseded" };

describe("going back within the same order", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  let proxy: HoldProxy;
  let late: ConnectedCluster;
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
    proxy = await openHoldProxy();
    late = await bench.connect({ kubeconfig: proxy.kubeconfig });
    await deploy(local, former("o1"));
  });
  afterEach(async () => {
    bench.close();
    await proxy.close();
  });

  type Desired = ReturnType<Bench["desired"]>;
  const former = (order = "o2") => bench.desired({ order, revision: 1, tag: "1" });
  const inPlace = () => bench.desired({ order: "o2", revision: 2, tag: "2" });
  const recreating = () => bench.desired({ order: "o2", revision: 2, tag: "2", env: "2" });
  /** Attempts of the forward run are low, those of the rollback above 1000. */
  const forward = (desired: Desired, ...ordinals: number[]) => ({
    parts: [{ desired, pods: podNames("cell-a", ...ordinals) }],
    holder: "o2/t1#1.1",
    startedAt: Date.now(),
  });
  const back = (...ordinals: number[]) => ({ ...forward(former(), ...ordinals), holder: "o2/r1#1001.1" });
  const goBack = async () => {
    const { placement } = former();
    await local.driver.freeze({ placement, order: "o2", holder: "o2/r0#1001.1", earlierRuns: true });
    expect(await local.driver.apply(former(), watchProgress(), "o2/r1#1001.1")).toMatchObject({ outcome: "done" });
  };
  const images = async () => Object.values(await bench.tags()).join("");
  const evicted = () =>
    evictions(bench.auditLog, bench.namespace)
      .filter(({ status }) => status < 300)
      .map(({ pod }) => pod)
      .toSorted();
  const notes = async () => (await bench.set()).metadata.annotations ?? {};

  for (const [how, target] of [
    ["in place", inPlace],
    ["by recreation", recreating],
  ] as const) {
    test(`pods that had moved ${how} go back, the others are left alone, and the old revision is promoted`, async () => {
      const before = new Map((await bench.pods()).map((pod) => [pod.metadata.name, pod.metadata.uid]));
      await local.driver.apply(target(), watchProgress(), "o2/t0#1.1");
      await local.driver.move(forward(target(), 0, 1), watchProgress());
      expect(await images()).toBe("2211");
      await goBack();
      const { startedAt } = back();
      expect(await local.driver.move(back(0, 1, 2, 3), watchProgress())).toMatchObject({ outcome: "done" });
      expect(await local.driver.verify({ desired: [former()], startedAt }, watchProgress())).toMatchObject({
        outcome: "done",
      });
      expect(await images()).toBe("1111");
      expect(evicted()).toEqual(how === "in place" ? [] : podNames("cell-a", 0, 0, 1, 1));
      const stayed = (await bench.pods()).filter((pod) => before.get(pod.metadata.name) === pod.metadata.uid);
      expect(stayed.map((pod) => pod.metadata.name).toSorted()).toEqual(
        how === "in place" ? podNames("cell-a", 0, 1, 2, 3) : podNames("cell-a", 2, 3),
      );
      expect(windows(bench.auditLog, bench.namespace, "cart-cell-a").every(({ to }) => to < Infinity)).toBe(true);
    });
  }

  test("after a restart the forward run does nothing: move, apply, trim, removal, restore", async () => {
    await local.driver.apply(inPlace(), watchProgress(), "o2/t0#1.1");
    await local.driver.move(forward(inPlace(), 0), watchProgress());
    await goBack();
    await local.driver.move(back(0), watchProgress());
    const { placement } = former();
    const holder = "o2/t5#1.2";
    const version = async () => (await bench.set()).metadata.generation;
    const before = await version();
    await expect(local.driver.move(forward(inPlace(), 1), watchProgress())).rejects.toMatchObject(REFUSED);
    await expect(local.driver.move(forward(former(), 1), watchProgress())).rejects.toMatchObject(REFUSED);
    await expect(local.driver.apply(inPlace(), watchProgress(), holder)).rejects.toMatchObject(REFUSED);
    const trim = { desired: former(), holder, startedAt: Date.now() };
    await expect(local.driver.trim(trim, watchProgress())).rejects.toMatchObject(REFUSED);
    const removal = { placement, order: "o2", holder, startedAt: Date.now(), progressDeadlineSeconds: 5 };
    await expect(local.driver.remove(removal, watchProgress())).rejects.toMatchObject(REFUSED);
    const nothing = await local.driver.restore(inPlace(), async () => former("o1"), watchProgress());
    expect(nothing).toMatchObject({ outcome: "done", changed: false });
    expect(await local.driver.freeze({ placement, order: "o2", holder })).toMatchObject({ outcome: "done" });
    expect(await version()).toBe(before);
    expect(await images()).toBe("1111");
    // The later run goes on.
    expect(await local.driver.move(back(1), watchProgress())).toMatchObject({ outcome: "done" });
  });

  test("a first try of the freeze that wakes up late does not disturb the way back", async () => {
    await local.driver.apply(inPlace(), watchProgress(), "o2/t0#1.1");
    await local.driver.move(forward(inPlace(), 0, 1, 2), watchProgress());
    const holding = proxy.hold(changesSet());
    const { placement } = former();
    const freeze = { placement, order: "o2", holder: "o2/r0#1001.1", earlierRuns: true };
    const swallowed = late.driver.freeze(freeze).catch((error: unknown) => error);
    const held = await holding.next();
    await local.driver.freeze({ ...freeze, holder: "o2/r0#1001.2" });
    expect(await local.driver.apply(former(), watchProgress(), "o2/r1#1001.1")).toMatchObject({ outcome: "done" });
    expect(await local.driver.move(back(0), watchProgress())).toMatchObject({ outcome: "done" });
    const before = await notes();
    expect(before).toMatchObject({ "cellwright.io/enrolled": "0" });
    // A write that is on its way, a try that begins only now, and one that had begun.
    expect(await held.release()).toBe(422);
    expect(await local.driver.freeze(freeze)).toMatchObject({ outcome: "done", changed: false });
    expect(await swallowed).toMatchObject({ type: "Superseded" });
    expect(await notes()).toEqual(before);
    expect(await local.driver.move(back(1, 2), watchProgress())).toMatchObject({ outcome: "done" });
    expect(await images()).toBe("1111");
  });

  test("a patch of the forward run that is held over the way back is refused", async () => {
    await local.driver.apply(inPlace(), watchProgress(), "o2/t0#1.1");
    const holding = proxy.hold(changesPod("cart-cell-a-1"));
    const move = late.driver.move(forward(inPlace(), 0, 1), watchProgress()).catch((error: unknown) => error);
    const held = await holding.next();
    await until("the other one has moved", async () => (await images()) === "2111");
    await goBack();
    expect(await local.driver.move(back(0, 1), watchProgress())).toMatchObject({ outcome: "done" });
    expect(await held.release()).toBe(422);
    expect(await move).toMatchObject({ type: expect.stringMatching(/Fenced|Superseded/) });
    expect(await images()).toBe("1111");
    const accepted = imagePatches(bench.auditLog, bench.namespace).filter(({ status }) => status === 200);
    expect(accepted.map(({ pod, image }) => `${pod} ${image}`)).toEqual([
      "cart-cell-a-0 shop/cart:2",
      "cart-cell-a-0 shop/cart:1",
    ]);
  });

  test("an eviction of the forward run that is held over the way back is refused", async () => {
    await local.driver.apply(recreating(), watchProgress(), "o2/t0#1.1");
    const holding = proxy.hold(evictsPod("cart-cell-a-1"));
    const move = late.driver.move(forward(recreating(), 0, 1), watchProgress()).catch((error: unknown) => error);
    const held = await holding.next();
    await until("the other one has moved", async () => (await images()) === "2111");
    await goBack();
    expect(await local.driver.move(back(0, 1), watchProgress())).toMatchObject({ outcome: "done" });
    expect(await held.release()).toBe(409);
    expect(await move).toMatchObject({ type: expect.stringMatching(/Fenced|Superseded/) });
    expect(await images()).toBe("1111");
    expect(evicted()).toEqual(podNames("cell-a", 0, 0));
    expect((await bench.set()).spec.updateStrategy?.type).toBe("RollingUpdate");
  });

  test("a template of the forward run that is held over the way back is refused, though nothing had been applied", async () => {
    const holding = proxy.hold(writesTemplate);
    const apply = late.driver.apply(inPlace(), watchProgress(), "o2/t0#1.1").catch((error: unknown) => error);
    const held = await holding.next();
    await goBack();
    expect(await held.release()).toBe(409);
    expect(await apply).toMatchObject({ type: expect.stringMatching(/Fenced|Superseded/) });
    expect(await notes()).toMatchObject({ "cellwright.io/order": "o2", "cellwright.io/revision": "1" });
  });

  test("a freeze fences a workload that still has another order's template, if its own order may act", async () => {
    const holding = proxy.hold(writesTemplate);
    const apply = late.driver.apply(inPlace(), watchProgress(), "o2/t0#1.1").catch((error: unknown) => error);
    const held = await holding.next();
    const { placement } = former();
    const freeze = { placement, order: "o2", holder: "o2/r0#1001.1", earlierRuns: true };
    await local.driver.freeze({ ...freeze, mayAct: async () => "it may not" });
    expect((await notes())["cellwright.io/epoch-taker"]).not.toContain("freeze");
    expect(await local.driver.freeze({ ...freeze, mayAct: async () => undefined })).toMatchObject({ outcome: "done" });
    expect(await held.release()).toBe(409);
    expect(await apply).toMatchObject({ type: "Fenced" });
    expect(await notes()).toMatchObject({
      "cellwright.io/order": "o1",
      "cellwright.io/enrolled": "0-3",
      "cellwright.io/epoch-holder": "",
    });
  });

  test("a workload that is made late belongs to nobody, and a template that comes after its removal makes nothing", async () => {
    const fresh = { ...bench.desired({ order: "o2", revision: 2, tag: "2", cell: "cell-b" }) };
    const { placement } = fresh;
    const removal = {
      placement,
      order: "o2",
      holder: "o2/r1#1001.1",
      startedAt: Date.now(),
      progressDeadlineSeconds: 5,
    };
    // Two writes: it is made, then made the order's own.
    const holding = proxy.hold(writesTemplate, 2);
    let isOver = false;
    const right = { ...watchProgress(), mayAct: async () => (isOver ? "a later run has begun" : undefined) };
    const apply = late.driver.apply(fresh, right, "o2/t0#1.1").catch((error: unknown) => error);
    const making = await holding.next();
    expect(await local.driver.remove(removal, watchProgress())).toMatchObject({ outcome: "done", changed: false });
    expect(await making.release()).toBe(201);
    const claiming = await holding.next();
    const seen = await local.driver.observe({ namespace: bench.namespace, placements: [placement] });
    expect(seen.workloads[0]).toEqual({ service: "cart", cell: "cell-b", nodes: 2, pods: [] });
    expect(await local.driver.remove(removal, watchProgress())).toMatchObject({ outcome: "done" });
    isOver = true;
    expect(await claiming.release()).toBe(409);
    expect(await apply).toMatchObject({ ...REFUSED, message: expect.stringContaining("a later run has begun") });
    await expect(bench.set("cell-b")).rejects.toMatchObject({ type: "NotFound" });
  });
});
