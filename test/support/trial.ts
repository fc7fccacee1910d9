/** Releases that are disturbed on purpose, and judged like any other: the same stage for all tests of faults. */
import { judge, type PodChange, type Verdict } from "./witness.ts";
import { imagePatches } from "./audit-log.ts";
import { changesPod, openHoldProxy, type HoldProxy } from "./hold-proxy.ts";
import { describe, type ReleaseOrder } from "./client.ts";
import { startProduct, type Product, type ProductOptions, type ProductProcess } from "./product.ts";
import { judgeRecord } from "./record-witness.ts";
import { createShop, type Shop, type ShopInput } from "./shop.ts";
import { until } from "./workloads.ts";

export type Stage = {
  product: Product;
  /** Between the product's cluster workers and the API server. */
  proxy: HoldProxy;
  shop: Shop;
  close(): Promise<void>;
};

/** A product whose cluster workers see the API server through a proxy, and a shop that is deployed. */
export async function openStage(product: ProductOptions, shop: ShopInput): Promise<Stage> {
  const proxy = await openHoldProxy();
  let started: Product | undefined;
  try {
    started = await startProduct(product);
    const opened = await createShop(started, { ...shop, kubeconfig: proxy.kubeconfig });
    await opened.deploy();
    const running = started;
    return {
      product: running,
      proxy,
      shop: opened,
      async close() {
        try {
          await running.stop();
        } finally {
          await proxy.close();
        }
      },
    };
  } catch (error) {
    await started?.stop().catch(() => undefined);
    await proxy.close();
    throw error;
  }
}

/** A release that is under way. */
export type Trial = {
  /** As it was promised. */
  preview: ReleaseOrder;
  tag: string;
  /** Before it all, ms since 1970. */
  since: number;
};

/**
 * Makes a revision of every service and starts their release. As a person would, it tries again when the look at the world
 * failed: a worker that is stopped may have taken the task.
 */
export async function beginTrial(
  { product, shop }: Stage,
  services: readonly string[],
  input: { tag: string; release: NonNullable<Parameters<Shop["revision"]>[1]["release"]>; needs?: [string, string][] },
): Promise<Trial> {
  const { client } = product;
  const since = Date.now();
  for (const service of services) await shop.revision(service, { tag: input.tag, release: input.release });
  const dependencies = (input.needs ?? []).map(([service, need]) => ({ service, needs: [need] }));
  const { id } = await client.order(shop.body(services, { title: `to ${input.tag}`, dependencies }));
  for (let tries = 0; tries < 5; tries++) {
    const preview = await client.waitFor(id, ({ state }) => state === "READY" || state === "INIT_FAILED", 60_000);
    if (preview.state === "INIT_FAILED") {
      await client.tryAct(id, "initialise");
      continue;
    }
    const { status, body } = await client.tryAct(id, "start", { body: { digest: preview.digest } });
    if (status === 200) return { preview, tag: input.tag, since };
    if (body.type.endsWith("initialisation-failed")) continue;
    throw new Error(`the order could not be started (${status}): ${JSON.stringify(body)}`);
  }
  throw new Error(`the world could not be looked at: ${describe(await client.read(id))}`);
}

/** All that the witnesses have to say against a release that has succeeded: nothing, when all is well. */
export async function judgeTrial(
  { product, shop }: Stage,
  { preview, tag, since }: Trial,
): Promise<{ faults: string[]; changes: PodChange[] }> {
  const targets = Object.fromEntries(preview.apps.map(({ service }) => [service, `shop/${service}:${tag}`]));
  const { pool } = product.database;
  const { auditLog } = product;
  const { changes, ...verdict } = await judge({ auditLog, namespace: shop.namespace, preview, targets, pool, since });
  const record = await judgeRecord(pool, product.temporal, preview.id);
  return { faults: [...Object.values(verdict satisfies Verdict).flat(), ...record], changes };
}

/**
 * Starts the release of one app, and stops (SIGSTOP) the worker that moves its first group while its patches are under
 * way. Resolves when all that it had sent has arrived.
 */
export async function stopInTheMiddle(
  stage: Stage,
  service: string,
  input: Parameters<typeof beginTrial>[2],
): Promise<{ trial: Trial; stopped: ProductProcess }> {
  const { product, proxy, shop } = stage;
  // Long enough to find the worker and to stop it meanwhile.
  proxy.delay(changesPod(), 1500);
  let sent = 0;
  const stopListening = proxy.onRequest((request) => (sent += changesPod()(request) ? 1 : 0));
  const trial = await beginTrial(stage, [service], input);
  await until("the first patches are under way", async () => sent > 0);
  const stopped = await workerAt(product, `${trial.preview.workflowId}/${service}`, "movePods");
  await stopped.kill("SIGSTOP");
  // The proxy may read what was sent a moment after its sender stands still: it listens until the last has passed on.
  const arrived = () => imagePatches(product.auditLog, shop.namespace).filter(({ at }) => at >= trial.since);
  await until("what is under way arrives", async () => arrived().length >= sent);
  stopListening();
  proxy.clear();
  return { trial, stopped };
}

/** The process that Temporal believes to be carrying out an activity of a workflow. */
export async function workerAt(product: Product, workflowId: string, activity: string): Promise<ProductProcess> {
  const { raw } = await product.temporal.workflow.getHandle(workflowId).describe();
  const identity = raw.pendingActivities?.find((one) => one.activityType?.name === activity)?.lastWorkerIdentity ?? "";
  const found = Object.values(product.processes).find(({ pid }) => identity.startsWith(`${pid}@`));
  if (found === undefined) throw new Error(`nobody is at ${activity} of ${workflowId} (${identity})`);
  return found;
}
