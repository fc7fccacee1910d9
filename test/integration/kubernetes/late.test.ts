import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConnectedCluster } from "../../../activities/kubernetes/connect.ts";
import { takeEpoch } from "../../../activities/kubernetes/statefulset/epoch.ts";
import { readAuditLog } from "../../support/audit-log.ts";
import { changesSet, openHoldProxy, type HoldProxy, type SeenRequest } from "../../support/hold-proxy.ts";
import { deploy, openBench, watchProgress, type Bench } from "../../support/workloads.ts";

const ENDED = "the order has ended (CANCELLED)";
const removesService = ({ method, url }: SeenRequest) => method === "DELETE" && url.includes("/services/");

/** A right to act that is there for so many checks, then gone; `asked` counts them. */
function rightFor(checks: number) {
  const right = { ...watchProgress(), asked: 0, mayAct: async () => (right.asked++ < checks ? undefined : ENDED) };
  return right;
}

describe("a call that comes late, after its order", () => {
  let bench: Bench;
  let local: ConnectedCluster;
  let proxy: HoldProxy;
  let late: ConnectedCluster;
  beforeEach(async () => {
    bench = await openBench();
    local = await bench.connect();
    proxy = await openHoldProxy();
    late = await bench.connect({ kubeconfig: proxy.kubeconfig });
  });
  afterEach(async () => {
    bench.close();
    await proxy.close();
  });

  const o1 = () => bench.desired({ order: "o1", revision: 1, tag: "1" });
  const o2 = () => bench.desired({ order: "o2", revision: 2, tag: "2" });
  const o3 = () => bench.desired({ order: "o3", revision: 3, tag: "3" });
  const former = async () => o1();
  /** Status of every write to workloads and Services, oldest first. */
  const writes = () =>
    readAuditLog(bench.auditLog, { namespace: bench.namespace })
      .filter(({ verb, resource }) => verb !== "get" && verb !== "list" && verb !== "watch" && resource !== "pods")
      .filter(({ user, subresource, resource }) => {
        const isOurObject = resource === "statefulsets" || resource === "services";
        return isOurObject && subresource === undefined && !user.startsWith("system:");
      })
      .map(({ resource, name, status }) => `${resource}/${name} ${status}`);
  const template = async () => {
    const { metadata, spec } = await bench.set();
    return [metadata.annotations?.["cellwright.io/order"], spec.template.spec.containers[0]?.image];
  };

  test("writes nothing when it is told so: apply, restore, over an open epoch too", async () => {
    await deploy(local, o1());
    await local.driver.apply(o2(), watchProgress());
    const { namespace } = bench;
    // A mover of the order has the epoch, and has not closed it.
    const { holder } = await takeEpoch(local.cluster, {
      key: { namespace, name: "cart-cell-a" },
      taker: { role: "move", who: "o2/t1#1.1", startedAt: Date.now() },
      check: () => undefined,
      onStamped: () => undefined,
    });
    const before = writes();
    const refused = { type: "Superseded", message: expect.stringContaining(ENDED) };
    await expect(local.driver.restore(o2(), former, rightFor(0))).rejects.toMatchObject(refused);
    await expect(local.driver.apply(o3(), rightFor(0))).rejects.toMatchObject(refused);
    expect(writes().slice(before.length)).toEqual([]);
    // One check, that for the Service, is passed; the next one comes before the epoch would be taken.
    await expect(local.driver.apply(o3(), rightFor(1))).rejects.toMatchObject(refused);
    const fresh = bench.desired({ order: "o3", revision: 3, tag: "3", cell: "cell-b" });
    await expect(local.driver.apply(fresh, rightFor(0))).rejects.toMatchObject(refused);
    expect(writes().slice(before.length)).toEqual(["services/cart 200"]);
    expect((await bench.set()).metadata.annotations?.["cellwright.io/epoch-holder"]).toBe(holder);
    expect(await template()).toEqual(["o2", "shop/cart:2"]);
  });

  test("does not put its template over a newer order's, though its swap was ready before", async () => {
    await deploy(local, o1());
    const holding = proxy.hold(changesSet());
    // Checked for the Service and for the template; what the swap replaces had been read before.
    const right = rightFor(2);
    const settled = late.driver.apply(o2(), right).catch((error: unknown) => error);
    const held = await holding.next();
    expect(right.asked).toBe(2);
    await local.driver.apply(o3(), watchProgress());
    expect(await held.release()).toBe(409);
    expect(await settled).toMatchObject({ type: "Superseded", message: expect.stringContaining(ENDED) });
    expect(await template()).toEqual(["o3", "shop/cart:3"]);
    expect(writes().at(-1)).toBe("statefulsets/cart-cell-a 409");
  });

  test("does not take back a newer order's template, though its swap was ready before", async () => {
    await deploy(local, o1());
    await local.driver.apply(o2(), watchProgress());
    const holding = proxy.hold(changesSet());
    const restore = late.driver.restore(o2(), former, rightFor(2));
    const held = await holding.next();
    await local.driver.apply(o3(), watchProgress());
    expect(await held.release()).toBe(409);
    expect(await restore).toMatchObject({ outcome: "done", summary: expect.stringContaining("does not have") });
    expect(await template()).toEqual(["o3", "shop/cart:3"]);
  });

  test("does not remove the Service that a newer order found there", async () => {
    await local.driver.apply(o1(), watchProgress());
    const holding = proxy.hold(removesService);
    const restore = late.driver.restore(o1(), former, rightFor(2));
    const held = await holding.next();
    await local.driver.apply({ ...o1(), order: "o2" }, watchProgress());
    expect(await held.release()).toBe(409);
    await restore;
    await bench.admin.request({ method: "GET", path: `/api/v1/namespaces/${bench.namespace}/services/cart` });
    expect(await template()).toEqual(["o2", "shop/cart:1"]);
  });

  test("observing several services reads the rights in the namespace once", async () => {
    const reviews: string[] = [];
    proxy.onRequest(({ url }) => url.includes("selfsubjectaccessreviews") && reviews.push(url));
    const { placement } = o1();
    const placements = ["cart", "stock", "mail"].map((service) => ({ ...placement, service }));
    const alone = await late.driver.observe({ namespace: bench.namespace, placements: placements.slice(0, 1) });
    const once = reviews.length;
    const seen = await late.driver.observe({ namespace: bench.namespace, placements });
    expect(reviews.length).toBe(2 * once);
    expect(alone.workloads).toEqual([{ service: "cart", cell: "cell-a", nodes: 2, pods: [] }]);
    expect(seen.workloads.map((one) => one.service)).toEqual(["cart", "stock", "mail"]);
  });
});
