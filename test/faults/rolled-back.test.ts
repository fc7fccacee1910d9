/**
 * A worker stands still in the middle of a forward group (SIGSTOP), or one of its requests is held on its way. Meanwhile
 * the order is rolled back by another worker. Then the first is let go: no pod may go forward again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BOUNDS } from "../../activities/kubernetes/statefulset/cluster.ts";
import { imagePatches, readAuditLog } from "../support/audit-log.ts";
import type { ReleaseOrder } from "../support/client.ts";
import { changesPod, evictsPod } from "../support/hold-proxy.ts";
import { beginTrial, openStage, stopInTheMiddle, workerAt, type Stage } from "../support/trial.ts";
import { until } from "../support/workloads.ts";

/** The polls of a stopped worker go on swallowing tasks until each has been missed, ms. */
const LONG = 240_000;
/** More than a worker patches at once, so that there are some that it has not sent. */
const PODS = BOUNDS.concurrency + 8;
/** How long a worker that wakes up is watched, ms: its requests run into their bounds, and its heartbeat is answered. */
const AWAKE = 8000;
const release = { strategy: "QUICK", minGroups: 1, beta: false, pause: "OFF", readySeconds: 0 } as const;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(
    { workers: { clusters: 2 } },
    { services: { cart: PODS }, cells: { "cell-a": { cell: "cell-a" } } },
  );
}, LONG);
afterAll(() => stage?.close());

/** As a person would: asks, and asks again when a look or a call was swallowed by the worker that is stopped. */
async function rollBack(id: string): Promise<ReleaseOrder> {
  const { client } = stage.product;
  await client.act(id, "rollback", { reason: "it stands still" });
  for (;;) {
    const now = await client.waitFor(
      id,
      ({ state }) => state === "AWAITING_ROLLBACK_CONFIRM" || state === "ROLLBACK_FAILED",
      LONG,
    );
    if (now.state === "AWAITING_ROLLBACK_CONFIRM") break;
    await client.tryAct(id, "retry");
  }
  await client.act(id, "confirm-rollback");
  return client.waitFor(id, "ROLLED_BACK");
}

function patches(tag: string, since: number) {
  const { product, shop } = stage;
  return imagePatches(product.auditLog, shop.namespace).filter(
    ({ image, at }) => at >= since && image === `shop/cart:${tag}`,
  );
}

async function expectAllBack(): Promise<void> {
  expect(new Set(Object.values(await stage.shop.tags()))).toEqual(new Set(["1"]));
}

test(
  "a stopped worker wakes up after the rollback",
  async () => {
    const { trial, stopped } = await stopInTheMiddle(stage, "cart", { tag: "2", release });
    const before = patches("2", trial.since);
    expect(before.length).toBeLessThan(PODS);

    await rollBack(trial.preview.id);
    await expectAllBack();
    await stopped.kill("SIGCONT");
    await sleep(AWAKE);
    const late = patches("2", trial.since).slice(before.length);
    expect(late.filter(({ status }) => status < 300)).toEqual([]);
    await expectAllBack();
    // Every pod that went forward was led back once, and no other was touched.
    const back = patches("1", trial.since).filter(({ status }) => status < 300);
    expect(back.map(({ pod }) => pod).toSorted()).toEqual(before.map(({ pod }) => pod).toSorted());
    console.log(`${before.length} pods forward and back, ${late.length} late patches, all refused`);
  },
  LONG,
);

test(
  "a worker is killed on the way forward, and one on the way back",
  async () => {
    const { product, proxy } = stage;
    const { client } = product;
    proxy.delay(changesPod(), 400);
    const trial = await beginTrial(stage, ["cart"], { tag: "5", release });
    await until("the first patches have arrived", async () => patches("5", trial.since).length > 0);
    const forward = await workerAt(product, `${trial.preview.workflowId}/cart`, "movePods");
    await forward.kill("SIGKILL");
    const gone = client.act(trial.preview.id, "rollback", { reason: "its worker is dead" });
    await forward.start();
    await gone;
    await until("the first have been led back", async () => patches("1", trial.since).length > 0, LONG);
    const back = await workerAt(product, `${trial.preview.workflowId}/cart`, "movePods");
    await back.kill("SIGKILL");
    await back.start();
    proxy.clear();
    await client.waitFor(trial.preview.id, "AWAITING_ROLLBACK_CONFIRM", LONG);
    await client.act(trial.preview.id, "confirm-rollback");
    await expectAllBack();
    const accepted = (tag: string) => patches(tag, trial.since).filter(({ status }) => status < 300);
    const turned = Math.min(...accepted("1").map(({ at }) => at));
    expect(accepted("5").filter(({ at }) => at > turned)).toEqual([]);
    for (const tag of ["1", "5"]) {
      const pods = accepted(tag).map(({ pod }) => pod);
      expect(pods.length, `changes to ${tag}`).toBe(new Set(pods).size);
    }
  },
  LONG,
);

test(
  "a patch that was held arrives after the rollback",
  async () => {
    const { proxy } = stage;
    const pod = "cart-cell-a-7";
    const holding = proxy.hold(changesPod(pod));
    const trial = await beginTrial(stage, ["cart"], { tag: "3", release });
    const held = await holding.next();
    await rollBack(trial.preview.id);
    expect([409, 422]).toContain(await held.release());
    await sleep(1000);
    expect(patches("3", trial.since).filter((one) => one.pod === pod && one.status < 300)).toEqual([]);
    await expectAllBack();
  },
  LONG,
);

test(
  "an eviction that was held arrives after the rollback",
  async () => {
    const { product, proxy, shop } = stage;
    const pod = "cart-cell-a-3";
    const holding = proxy.hold(evictsPod(pod));
    // Another variable: pods are recreated.
    await shop.revision("cart", { tag: "1", level: "2", release });
    const since = Date.now();
    const order = await product.client.release(shop.body(["cart"]));
    const held = await holding.next();
    await rollBack(order.id);
    const before = (await shop.pods()).map(({ metadata }) => [metadata.name, metadata.uid]);
    expect([404, 409]).toContain(await held.release());
    await sleep(3000);
    expect((await shop.pods()).map(({ metadata }) => [metadata.name, metadata.uid])).toEqual(before);
    const evicted = readAuditLog(product.auditLog, { namespace: shop.namespace, resource: "pods", name: pod }).filter(
      ({ subresource, status, receivedAt }) => subresource === "eviction" && status < 300 && receivedAt >= since,
    );
    expect(evicted).toEqual([]);
    const sets = await product.kube.request<{ items: { spec: { updateStrategy: { type: string } } }[] }>({
      method: "GET",
      path: `/apis/apps/v1/namespaces/${shop.namespace}/statefulsets`,
    });
    expect(sets.items.map((set) => set.spec.updateStrategy.type)).toEqual(["RollingUpdate"]);
  },
  LONG,
);
