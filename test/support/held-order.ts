import type { ReleaseOrder } from "./client.ts";
import type { HoldProxy } from "./hold-proxy.ts";
import type { Product } from "./product.ts";
import type { Shop } from "./shop.ts";

/**
 * Starts an order over one service and leaves it paused with the template in place and no pod moved: the proxy, by which
 * the shop's cluster is registered, holds the write of the template until the order has been paused.
 */
export async function releaseUpToTemplate(
  product: Product,
  shop: Shop,
  proxy: HoldProxy,
  service: string,
): Promise<ReleaseOrder> {
  const { client } = product;
  const sets = `/apis/apps/v1/namespaces/${shop.namespace}/statefulsets`;
  const held = proxy.hold(({ method, url }) => method === "PATCH" && url.startsWith(sets));
  const order = await client.release(shop.body([service]));
  const write = await held.next();
  await client.act(order.id, "pause");
  await write.release();
  return client.waitFor(order.id, (now) =>
    now.tasks.some((task) => task.id.includes(`.${service}.apply.`) && task.state === "SUCCEEDED"),
  );
}
