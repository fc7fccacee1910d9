/** What the cluster says about the pods of an order, asked for through the API. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { paths } from "../../activities/kubernetes/client.ts";
import { podReports } from "../../db/schema/index.ts";
import type { Refusal } from "../support/client.ts";
import { hasRealNodes, nodeKinds } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop } from "../support/shop.ts";
import { until } from "../support/workloads.ts";

type Events = { exists: boolean; events: { type: string; reason: string; message: string; about: string }[] };
type Log = { container: string; containers: string[]; text: string; truncated: boolean };

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const of = (order: string, pod: string, what: string): string => `/api/v1/release-orders/${order}/pods/${pod}/${what}`;

test.for(nodeKinds)("events of a pod on %s nodes; nothing stays behind", { timeout: 180_000 }, async (nodes) => {
  const { client, viewer, database } = product;
  const shop = await createShop(product, { nodes, services: { cart: 1 } });
  const { id } = await shop.deploy();
  const before = await viewer.get<Events>(of(id, "cart-cell-a-0", "events"));
  expect(before.exists).toBe(true);
  expect(before.events).toContainEqual(expect.objectContaining({ reason: "Scheduled", about: "pod" }));
  expect(before.events).toContainEqual(
    expect.objectContaining({
      reason: "SuccessfulCreate",
      about: "workload",
      message: expect.stringContaining("cart-cell-a-0"),
    }),
  );

  const wrong = async (path: string): Promise<Refusal & { status: number }> => {
    const { status, body } = await client.call("GET", path);
    return { ...body, status };
  };
  expect(await wrong(of(id, "web-cell-a-0", "events"))).toMatchObject({
    status: 404,
    detail: expect.stringContaining("has no pod web-cell-a-0 in its plan"),
  });
  expect(await wrong(of("nosuch", "cart-cell-a-0", "events"))).toMatchObject({ status: 404 });
  expect(await wrong(`${of(id, "cart-cell-a-0", "logs")}?tailLines=2001`)).toMatchObject({
    status: 400,
    errors: [{ field: "query:tailLines" }],
  });
  expect(await wrong(`${of(id, "cart-cell-a-0", "logs")}?container=side`)).toMatchObject({
    status: 422,
    detail: expect.stringContaining("it has main"),
  });

  // Where nothing runs there is no log, and to ask again does not help.
  const { status, detail } = await wrong(of(id, "cart-cell-a-0", "logs"));
  const simulated = expect.stringMatching(
    /no such log of container main of cart-cell-a-0: its node \S+ is a simulated one.* runs no containers.* no logs\.$/,
  );
  expect([status, detail]).toEqual(nodes === "kwok" ? [409, simulated] : [200, undefined]);

  // Gone for good: its events are still told, its log is not.
  const { namespace } = shop;
  await product.kube.request({ method: "DELETE", path: paths.set(namespace, "cart-cell-b") });
  const pod = { method: "GET" as const, path: paths.pod(namespace, "cart-cell-b-0") };
  await until(
    "the pod is gone",
    () =>
      product.kube.request(pod).then(
        () => false,
        () => true,
      ),
    60_000,
  );
  expect(await client.get<Events>(of(id, "cart-cell-b-0", "events"))).toMatchObject({ exists: false });
  expect(await wrong(of(id, "cart-cell-b-0", "logs"))).toMatchObject({
    status: 404,
    detail: expect.stringMatching(/no pod cart-cell-b-0 now; the last that was noted about it is of 20/),
  });
  expect(await database.db.select().from(podReports)).toEqual([]);
});

test.skipIf(!hasRealNodes)("the log of a container, and of its last run", { timeout: 180_000 }, async () => {
  const { client, viewer, temporal } = product;
  const shop = await createShop(product, { nodes: "real", services: { pay: 1 } });
  const { id } = await shop.deploy();
  const log = await viewer.get<Log>(`${of(id, "pay-cell-a-0", "logs")}?tailLines=10&sinceSeconds=3600`);
  expect(log).toMatchObject({ container: "main", containers: ["main"], truncated: false });
  expect(log.text).toContain("listens on :8080");
  expect(await client.call("GET", `${of(id, "pay-cell-a-0", "logs")}?previous=true`)).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining("previous terminated container") },
  });

  await shop.revision("pay", { tag: "bad-2", release: { progressDeadlineSeconds: 20 } });
  const bad = await client.release(shop.body(["pay"]));
  const failed = await client.waitFor(bad.id, "FAILED");
  expect(failed.reason).toMatch(/CrashLoopBackOff.*To do: read the log of the container's last run/);
  const [pod] = failed.apps[0]?.groups.flatMap((group) => group.pods).filter((one) => one.state === "FAILED") ?? [];
  const last = await client.get<Log>(`${of(bad.id, pod?.name ?? "", "logs")}?previous=true`);
  expect(last.text).toContain("as it was told to (SHOP_CRASH)");

  // Logs may hold secrets: what was read is in no history.
  for await (const { workflowId, type } of temporal.workflow.list()) {
    if (type !== "podReport") continue;
    const history = JSON.stringify(await temporal.workflow.getHandle(workflowId).fetchHistory());
    for (const secret of ["listens on :8080", "as it was told to (SHOP_CRASH)"]) {
      expect(history).not.toContain(secret);
      expect(history).not.toContain(Buffer.from(secret).toString("base64").slice(0, -4));
    }
  }
});

test("a cluster that nobody serves is said to be so, in time", { timeout: 180_000 }, async () => {
  const { client, processes } = product;
  const shop = await createShop(product, { services: { cart: 1 } });
  const { id } = await shop.deploy();
  await processes["cluster"]!.kill();
  const begin = Date.now();
  const { status, body } = await client.call("GET", of(id, "cart-cell-a-0", "events"));
  expect(Date.now() - begin).toBeLessThan(16_000);
  expect({ ...body, status }).toMatchObject({
    status: 503,
    detail: expect.stringMatching(/could not be asked about cart-cell-a-0: no worker took the work.*cluster-local/),
  });
  await processes["cluster"]!.start();
  expect(await client.get<Events>(of(id, "cart-cell-a-0", "events"))).toMatchObject({ exists: true });
});
