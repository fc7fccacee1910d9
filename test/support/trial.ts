/** Releases that are disturbed on purpose, and judged like any other: the same stage for all tests of faults. */
import { judge, type PodChange, type Verdict } from "./witness.ts";
import { openHoldProxy, type HoldProxy } from "./hold-proxy.ts";
import type { ReleaseOrder } from "./client.ts";
import { startProduct, type Product, type ProductOptions } from "./product.ts";
import { judgeRecord } from "./record-witness.ts";
import { createShop, type Shop, type ShopInput } from "./shop.ts";

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

/** Makes a revision of every service and starts their release. */
export async function beginTrial(
  { product, shop }: Stage,
  services: readonly string[],
  input: { tag: string; release: NonNullable<Parameters<Shop["revision"]>[1]["release"]>; needs?: [string, string][] },
): Promise<Trial> {
  const since = Date.now();
  for (const service of services) await shop.revision(service, { tag: input.tag, release: input.release });
  const dependencies = (input.needs ?? []).map(([service, need]) => ({ service, needs: [need] }));
  const preview = await product.client.release(shop.body(services, { title: `to ${input.tag}`, dependencies }));
  return { preview, tag: input.tag, since };
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
