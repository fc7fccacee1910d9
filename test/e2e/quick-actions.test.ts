/** Small edits that release themselves, and the end of a service: on real clusters, judged by what runs there. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { List } from "../../activities/kubernetes/objects.ts";
import type { RevisionView } from "../../domain/revision/types.ts";
import { readAuditLog } from "../support/audit-log.ts";
import type { Refusal, ReleaseOrder } from "../support/client.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

const serviceOf = (shop: Shop, service: string): string =>
  `/api/v1/workspace-groups/${shop.group}/app-services/${service}`;

const quick = (shop: Shop, service: string, action: string, body: object, key?: string) =>
  product.client.call<ReleaseOrder>("POST", `${serviceOf(shop, service)}/actions/${action}`, {
    body,
    ...(key !== undefined && { key }),
  });

const revisionsOf = async (shop: Shop, service: string): Promise<RevisionView[]> =>
  (await product.client.get<{ items: RevisionView[] }>(`${serviceOf(shop, service)}/revisions`)).items;

describe.concurrent("quick actions", { timeout: 300_000 }, () => {
  test("change an image: one call, one revision, one order, started", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 } });
    await shop.deploy();
    const body = { image: "shop/cart:2", start: true };
    const answers = await Promise.all(["k", "k", "k"].map((key) => quick(shop, "cart", "change-image", body, key)));
    expect(answers.map((each) => each.status)).toEqual([201, 201, 201]);
    expect(new Set(answers.map((each) => each.body.id)).size).toBe(1);
    const order = answers[0]!.body;
    expect(order).toMatchObject({ title: "cart → shop/cart:2", apps: [{ service: "cart", revision: 2 }] });
    await client.drive(order.id);
    expect(Object.values(await shop.tags("cart"))).toEqual(["2", "2"]);
    const again = await quick(shop, "cart", "change-image", body, "k");
    expect([again.status, again.body.id, again.body.state]).toEqual([201, order.id, "SUCCEEDED"]);
    const revisions = await revisionsOf(shop, "cart");
    expect(revisions.map(({ number, state, current }) => [number, state, current])).toEqual([
      [2, "RELEASED", true],
      [1, "RELEASED", false],
    ]);
    expect(revisions[0]?.releasedBy).toMatchObject([{ order: order.id }]);

    const same = await quick(shop, "cart", "change-image", { image: "shop/cart:2" });
    expect([same.status, same.body]).toMatchObject([422, { errors: [{ field: "/image" }] }]);
    const malformed = await quick(shop, "cart", "change-image", { image: "Not An Image" });
    expect([malformed.status, malformed.body]).toMatchObject([422, { errors: [{ field: "/image" }] }]);
    const elsewhere = await quick(shop, "cart", "scale", { cells: { "cell-x": 1 } });
    expect([elsewhere.status, elsewhere.body]).toMatchObject([422, { errors: [{ field: "/cells/cell-x" }] }]);
    expect(await revisionsOf(shop, "cart")).toHaveLength(2);
  });

  test("that cannot be started leave the order, and say which", async () => {
    const { client } = product;
    const shop = await createShop(product, {
      services: { web: 2 },
      release: { ...straight, minGroups: 2, pause: "ALL" },
    });
    await shop.deploy();
    await shop.revision("web", { tag: "2" });
    const first = await client.release(shop.body(["web"]));
    await client.waitFor(first.id, "AWAITING_CONFIRM");
    const scale = { cells: { "cell-a": 3 }, baseRevision: 1, start: true };
    const refused = await client.call<Refusal & { orderId: string }>(
      "POST",
      `${serviceOf(shop, "web")}/actions/scale`,
      {
        body: scale,
        key: "s",
      },
    );
    expect(refused.body).toMatchObject({ status: 409, type: "/problems/locked", orderId: expect.any(String) });
    expect(refused.body.detail).toContain(`web is held by order ${first.id}`);
    const made = refused.body.orderId;
    expect((await client.read(made)).state).toBe("READY");
    await client.drive(first.id);
    await client.act(made, "cancel");
    // What runs now is the base: only the numbers are new.
    const scaled = await quick(shop, "web", "scale", { cells: { "cell-a": 3 } });
    expect(scaled.body).toMatchObject({ state: "READY", title: "web: scale cell-a 3" });
    await client.act(scaled.body.id, "start", { digest: scaled.body.digest ?? "" });
    await client.drive(scaled.body.id);
    expect(Object.values(await shop.tags("web"))).toEqual(Array(5).fill("2"));
  });

  test("take a service away, which can be deleted then, and made anew", async () => {
    const { client, kube } = product;
    const shop = await createShop(product, { services: { cart: 1 } });
    await shop.deploy();
    const url = serviceOf(shop, "cart");
    const runs = await client.call("DELETE", `${url}?confirm=cart`);
    expect(runs.body).toMatchObject({ status: 409, detail: expect.stringContaining(`${url}/actions/undeploy`) });
    expect((await quick(shop, "cart", "undeploy", { confirm: "web" })).status).toBe(422);
    const order = await quick(shop, "cart", "undeploy", { confirm: "cart", start: true });
    expect(order.status).toBe(201);
    const open = await client.call("DELETE", `${url}?confirm=cart`);
    expect(open.status).toBe(409);
    await client.drive(order.body.id);
    expect(await shop.pods()).toEqual([]);
    const left = async (kind: string, api: string) =>
      (
        await kube.request<List<{ metadata: { name: string } }>>({
          method: "GET",
          path: `${api}/namespaces/${shop.namespace}/${kind}`,
        })
      ).items;
    expect(await left("statefulsets", "/apis/apps/v1")).toEqual([]);
    expect(await left("services", "/api/v1")).toEqual([]);
    const nowhere = await quick(shop, "cart", "change-image", { image: "shop/cart:2" });
    expect(nowhere.body).toMatchObject({ status: 409, detail: expect.stringContaining("runs nowhere") });
    expect((await client.call("DELETE", `${url}?confirm=cart`)).status).toBe(204);
    // The records of its orders stay readable.
    expect(await client.read(order.body.id)).toMatchObject({ state: "SUCCEEDED" });

    await client.put(url, { application: "shop", namespace: shop.namespace });
    expect(await shop.revision("cart", { tag: "3" })).toBe(3);
    const anew = await client.release(shop.body(["cart"]));
    await client.drive(anew.id);
    expect(await shop.tags("cart")).toEqual({ "cart-cell-a-0": "3", "cart-cell-b-0": "3" });
    expect(await shop.pods().then((pods) => pods.length)).toBe(2);
  });

  test("that are rolled back leave what ran before as what runs, and nothing where nothing ran", async () => {
    const { client } = product;
    const shop = await createShop(product, {
      services: { cart: 2 },
      release: { ...straight, minGroups: 2, pause: "ALL" },
    });
    await shop.deploy();
    const rollBack = async (id: string, more: object = {}) => {
      await client.waitFor(id, "AWAITING_CONFIRM");
      const { status } = await client.tryAct(id, "rollback", { body: { reason: "not that one", ...more } });
      expect(status).toBe(200);
      await client.waitFor(id, "AWAITING_ROLLBACK_CONFIRM", 90_000);
      await client.act(id, "confirm-rollback");
      await client.waitFor(id, "ROLLED_BACK");
    };
    // The deployment was made without pauses; its successor has them.
    const paused = await shop.revision("cart", { tag: "1" });
    const changed = await quick(shop, "cart", "change-image", {
      image: "shop/cart:2",
      baseRevision: paused,
      start: true,
    });
    expect(changed.status).toBe(201);
    await rollBack(changed.body.id);
    expect((await revisionsOf(shop, "cart")).map(({ number, state, current }) => [number, state, current])).toEqual([
      [3, "SUBMITTED", false],
      [2, "SUBMITTED", false],
      [1, "RELEASED", true],
    ]);

    const url = serviceOf(shop, "new");
    await client.put(url, { application: "shop", namespace: shop.namespace });
    await shop.revision("new", { tag: "1", replicas: 2 });
    const first = await client.release(shop.body(["new"]));
    await rollBack(first.id, { remove: ["new"] });
    expect(await revisionsOf(shop, "new")).toMatchObject([{ number: 1, state: "SUBMITTED", current: false }]);
    expect((await client.call("DELETE", `${url}?confirm=new`)).status).toBe(204);
    expect(await shop.pods("new")).toEqual([]);
  });

  test("a revision without cells where nothing runs: an order with nothing to do says so, and succeeds", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { web: 1 } });
    const url = serviceOf(shop, "idle");
    await client.put(url, { application: "shop", namespace: shop.namespace });
    await shop.revision("idle", { tag: "1", replicas: {} });
    await shop.revision("web", { tag: "1" });
    const alone = await client.release(shop.body(["idle"]));
    expect(alone).toMatchObject({ apps: [{ groups: [] }] });
    expect(alone.tasks).toMatchObject([
      { kind: "pipeline", service: "idle" },
      { kind: "gate", title: "nothing to do: idle runs nowhere, and its revision 1 wants no cell" },
    ]);
    expect((await client.drive(alone.id)).apps).toMatchObject([{ service: "idle", state: "SUCCEEDED", groups: [] }]);
    expect(await revisionsOf(shop, "idle")).toMatchObject([{ number: 1, state: "RELEASED" }]);

    // Nor does it hinder others that need it.
    const dependencies = [{ service: "web", needs: ["idle"] }];
    const both = await client.release(shop.body(["idle", "web"], { dependencies }));
    await client.drive(both.id);
    expect(await shop.tags()).toEqual({ "web-cell-a-0": "1", "web-cell-b-0": "1" });
    const touched = readAuditLog(product.auditLog, { namespace: shop.namespace }).filter(({ name }) =>
      name.startsWith("idle"),
    );
    expect(touched).toEqual([]);

    const undeploy = await quick(shop, "idle", "undeploy", { confirm: "idle" });
    expect(undeploy).toMatchObject({ status: 409 });
    expect((await client.call("DELETE", `${url}?confirm=idle`)).status).toBe(204);
  });

  test("an order and a deletion at the same moment: one of them finds the other done", async () => {
    const { client } = product;
    const shop = await createShop(product, { services: { cart: 1 } });
    const url = serviceOf(shop, "cart");
    for (let round = 0; round < 6; round++) {
      await client.put(url, { application: "shop", namespace: shop.namespace });
      await shop.revision("cart", { tag: "1" });
      const body = { type: "GROUPED", ...shop.body(["cart"], { title: `round ${round}` }) };
      const [made, gone] = await Promise.all([
        client.call<ReleaseOrder>("POST", "/api/v1/release-orders", { body }),
        client.call("DELETE", `${url}?confirm=cart`),
      ]);
      expect([
        [201, 409],
        [422, 204],
      ]).toContainEqual([made.status, gone.status]);
      if (made.status !== 201) continue;
      expect(gone.body.detail).toContain(`release order ${made.body.id}`);
      await client.act(made.body.id, "cancel");
      expect((await client.call("DELETE", `${url}?confirm=cart`)).status).toBe(204);
    }
  });
});
