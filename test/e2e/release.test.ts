/** A release from the POST to the last pod, judged by the API server's audit log. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PodObject } from "../../activities/kubernetes/objects.ts";
import { readAuditLog } from "../support/audit-log.ts";
import type { ReleaseOrder } from "../support/client.ts";
import { nodeKinds } from "../support/node-kinds.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createShop, straight, type Shop } from "../support/shop.ts";
import { innocent, judge, lastImages, podChanges, type Case } from "../support/witness.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

/** Pod → what must not change when it is changed in place. */
function identities(pods: readonly PodObject[]): Record<string, unknown> {
  return Object.fromEntries(
    pods.map((pod) => [pod.metadata.name, [pod.metadata.uid, (pod.status as { podIP?: string }).podIP]]),
  );
}

function groupsOf(order: ReleaseOrder, service: string): Record<string, string[]> {
  const app = order.apps.find((one) => one.service === service);
  return Object.fromEntries((app?.groups ?? []).map(({ id, pods }) => [id, pods.map((pod) => pod.name)]));
}

/** Ids of the tasks that wait for a person. */
function awaiting(order: ReleaseOrder): string[] {
  return order.tasks
    .filter((task) => task.kind === "confirm" && task.state === "AWAITING_CONFIRM")
    .map((task) => task.id);
}

function caseOf(shop: Shop, preview: ReleaseOrder, targets: Case["targets"], since: number): Case {
  const { auditLog, database } = product;
  return { auditLog, namespace: shop.namespace, preview, targets, pool: database.pool, since };
}

describe.for(nodeKinds)("a release on %s nodes", { timeout: 300_000, concurrent: true }, (nodes) => {
  test("with beta and pause ALL over two cells and two services follows its preview, step by step", async () => {
    const { client } = product;
    const shop = await createShop(product, {
      nodes,
      services: { cart: 3, web: 2 },
      release: { strategy: "QUICK", minGroups: 3, beta: true, pause: "ALL", readySeconds: 1 },
    });
    await shop.deploy();
    await shop.revision("cart", { tag: "2" });
    await shop.revision("web", { tag: "2", release: { strategy: "BY_CELL" } });
    const before = identities(await shop.pods());
    const since = Date.now();
    const preview = await client.release(
      shop.body(["web", "cart"], { dependencies: [{ service: "web", needs: ["cart"] }] }),
    );
    expect(groupsOf(preview, "cart")).toEqual({
      beta: ["cart-cell-a-0", "cart-cell-b-0"],
      1: ["cart-cell-a-1", "cart-cell-b-1"],
      2: ["cart-cell-a-2", "cart-cell-b-2"],
    });
    expect(groupsOf(preview, "web")).toEqual({
      beta: ["web-cell-a-0", "web-cell-b-0"],
      1: ["web-cell-a-1"],
      2: ["web-cell-b-1"],
    });

    // Group after group: what has been changed is exactly what the preview says, and nothing more until the click.
    const expected: string[] = [];
    for (const [service, groups] of [
      ["cart", groupsOf(preview, "cart")],
      ["web", groupsOf(preview, "web")],
    ] as const) {
      for (const group of ["beta", "1", "2"]) {
        expected.push(...(groups[group] ?? []));
        const awaited = `${preview.generation}.${service}.${group}.confirm`;
        const now = await client.waitFor(preview.id, (order) => awaiting(order).includes(awaited));
        expect(awaiting(now)).toEqual([awaited]);
        const changed = podChanges(product.auditLog, shop.namespace, since).map((change) => change.pod);
        expect(changed.toSorted()).toEqual(expected.toSorted());
        expect(await client.confirm(preview.id)).toHaveLength(1);
      }
    }
    const ended = await client.waitFor(preview.id, "SUCCEEDED");

    expect(ended).toMatchObject({ digest: preview.digest, allowedActions: [], endedAt: expect.any(String) as string });
    // Not that something would have to be named for it.
    const late = await client.tryAct(preview.id, "rollback", { body: { reason: "too late" } });
    expect([late.status, late.body]).toMatchObject([409, { type: "/problems/verb-not-allowed", state: "SUCCEEDED" }]);
    expect(ended.apps.map((app) => [app.service, app.state])).toEqual([
      ["web", "SUCCEEDED"],
      ["cart", "SUCCEEDED"],
    ]);
    expect(ended.apps.flatMap((app) => app.groups.map((group) => group.state))).toEqual(Array(6).fill("SUCCEEDED"));
    expect(ended.apps.flatMap((app) => app.groups.flatMap((group) => group.pods.map((pod) => pod.state)))).toEqual(
      Array(10).fill("UPDATED"),
    );
    expect(identities(await shop.pods())).toEqual(before);
    const targets = { cart: "shop/cart:2", web: "shop/web:2" };
    const { changes, ...verdict } = await judge(caseOf(shop, preview, targets, since));
    expect(verdict).toEqual(innocent);
    expect(changes).toHaveLength(10);
    expect(changes.every((change) => change.user === "cellwright")).toBe(true);

    // The witness is worth something only if it would have noticed.
    const [webApp, cartApp] = preview.apps as [ReleaseOrder["apps"][number], ReleaseOrder["apps"][number]];
    const [beta, ...rest] = cartApp.groups as [(typeof cartApp.groups)[number]];
    const otherwise = {
      ...preview,
      dependencies: [{ service: "cart", needs: ["web"] }],
      apps: [webApp, { ...cartApp, groups: [...rest, beta] }],
    };
    const wrong = await judge(caseOf(shop, otherwise, { ...targets, cart: "shop/cart:3" }, since));
    expect(wrong.beforeConfirmation).not.toEqual([]);
    expect(wrong.dependenciesBroken).not.toEqual([]);
    expect(wrong.notAtTarget).toHaveLength(6);
    expect((await judge(caseOf(shop, preview, targets, since + 10_000_000))).changedOtherThanOnce).toHaveLength(10);
  });

  test.for([
    ["pause FIRST pauses once", { strategy: "QUICK", pause: "FIRST" }, [2, 2], ["1"]],
    ["pause FIRST with beta pauses after it", { strategy: "QUICK", pause: "FIRST", beta: true }, [2, 2], ["beta"]],
    ["pause OFF never pauses", { strategy: "QUICK", pause: "OFF" }, [2, 2], []],
    ["BY_CELL goes cell by cell", { strategy: "BY_CELL", pause: "ALL", minGroups: 2 }, [2, 2], ["1", "2"]],
    ["QUICK goes through all cells at once", { strategy: "QUICK", pause: "OFF", minGroups: 1 }, [4], []],
  ] as const)("%s", async ([_name, release, groups, confirms]) => {
    const { client } = product;
    const shop = await createShop(product, {
      nodes,
      services: { cart: 2 },
      release: { minGroups: 2 },
    });
    await shop.deploy();
    await shop.revision("cart", { tag: "2", release });
    const since = Date.now();
    const preview = await client.release(shop.body(["cart"]));
    expect(preview.apps[0]?.groups.map((group) => group.pods.length)).toEqual(groups);
    const cells = preview.apps[0]?.groups.map((group) => new Set(group.pods.map((pod) => pod.cell)).size) ?? [];
    expect(Math.max(...cells)).toBe(release.strategy === "BY_CELL" ? 1 : 2);
    expect(preview.tasks.filter((task) => task.kind === "confirm").map((task) => task.group)).toEqual(confirms);
    await client.drive(preview.id);
    const { changes, ...verdict } = await judge(caseOf(shop, preview, { cart: "shop/cart:2" }, since));
    expect(verdict).toEqual(innocent);
    expect(changes).toHaveLength(4);
  });

  test("first deployment creates everything, group after group, and changes nothing", async () => {
    const { client } = product;
    const shop = await createShop(product, {
      nodes,
      services: { cart: 2 },
      release: { ...straight, minGroups: 2, pause: "FIRST" },
    });
    await shop.revision("cart", { tag: "1" });
    const order = await client.release(shop.body(["cart"]));
    await client.waitFor(order.id, "AWAITING_CONFIRM");
    expect(await shop.tags()).toEqual({ "cart-cell-a-0": "1", "cart-cell-b-0": "1" });
    await client.confirm(order.id);
    await client.waitFor(order.id, "SUCCEEDED");
    expect(lastImages(product.auditLog, shop.namespace)).toEqual(
      new Map(["a-0", "b-0", "a-1", "b-1"].map((end) => [`cart-cell-${end}`, "shop/cart:1"])),
    );
    expect(podChanges(product.auditLog, shop.namespace)).toEqual([]);
    const creations = readAuditLog(product.auditLog, { namespace: shop.namespace, user: "cellwright", verb: "create" });
    expect(creations.map((record) => record.resource)).not.toContain("pods");
    const [pod] = await shop.pods();
    expect(pod?.metadata.labels).toMatchObject({ serving: "true", "cellwright.io/cell": "cell-a" });

    // The workflows have come to their ends too, and hold nothing.
    for (const id of [order.workflowId, `${order.workflowId}/cart`]) {
      // The record of an end comes before the end itself, which is waited for here.
      expect(await product.temporal.workflow.getHandle(id).result()).toMatchObject({ state: "SUCCEEDED" });
    }
    await shop.revision("cart", { tag: "2", release: straight });
    const next = await client.release(shop.body(["cart"]));
    await client.waitFor(next.id, "SUCCEEDED");
    expect(Object.values(await shop.tags())).toEqual(Array(4).fill("2"));
  });

  test("looks from outside as promised, from the preview to the end", async () => {
    const { client } = product;
    const shop = await createShop(product, {
      nodes,
      services: { cart: 1, web: 1 },
      release: { pause: "ALL" },
    });
    await shop.revision("cart", { tag: "1" });
    await shop.revision("web", { tag: "1" });
    const body = shop.body(["cart", "web"], { dependencies: [{ service: "web", needs: ["cart"] }] });
    const order = await client.order(body);
    const shape = {
      id: order.id,
      state: "READY",
      digest: expect.stringMatching(/^[0-9a-f]+$/) as string,
      apps: [
        {
          service: "cart",
          state: "READY",
          groups: [
            {
              id: "1",
              state: "WAITING",
              pods: [
                { name: "cart-cell-a-0", cell: "cell-a", state: "NOT_UPDATED" },
                { name: "cart-cell-b-0", cell: "cell-b", state: "NOT_UPDATED" },
              ],
            },
          ],
        },
        { service: "web", state: "READY" },
      ],
      allowedActions: ["start", "initialise", "cancel"],
    };
    expect(order).toMatchObject(shape);
    expect(await client.read(order.id)).toMatchObject(shape);
    const g = order.generation;
    const tasks = order.tasks.map(({ id, kind, state, dependsOn }) => ({ id, kind, state, dependsOn }));
    expect(tasks).toEqual([
      { id: `${g}.cart`, kind: "pipeline", state: "WAITING", dependsOn: [] },
      { id: `${g}.web.needs.cart`, kind: "gate", state: "WAITING", dependsOn: [`${g}.cart`] },
      { id: `${g}.web`, kind: "pipeline", state: "WAITING", dependsOn: [`${g}.web.needs.cart`] },
      ...["cart", "web"].flatMap((service) => [
        { id: `${g}.${service}.apply.local`, kind: "activity", state: "WAITING", dependsOn: [] },
        {
          id: `${g}.${service}.1.move.local`,
          kind: "activity",
          state: "WAITING",
          dependsOn: [`${g}.${service}.apply.local`],
        },
        {
          id: `${g}.${service}.1.confirm`,
          kind: "confirm",
          state: "WAITING",
          dependsOn: [`${g}.${service}.1.move.local`],
        },
        {
          id: `${g}.${service}.verify.local`,
          kind: "activity",
          state: "WAITING",
          dependsOn: [`${g}.${service}.1.confirm`],
        },
      ]),
    ]);

    await client.act(order.id, "start", { digest: order.digest ?? "" });
    const waiting = await client.waitFor(order.id, "AWAITING_CONFIRM");
    expect(waiting.allowedActions).toEqual(["pause", "rollback", "terminate"]);
    expect(waiting.apps).toMatchObject([
      { service: "cart", state: "AWAITING_CONFIRM", groups: [{ id: "1", state: "AWAITING_CONFIRM" }] },
      { service: "web", state: "READY", groups: [{ id: "1", state: "WAITING" }] },
    ]);
    expect(waiting.apps[0]?.groups[0]?.pods.map((pod) => pod.state)).toEqual(["UPDATED", "UPDATED"]);
    await client.drive(order.id);

    const list = await client.get<{ items: { id: string; state: string }[] }>(
      `/api/v1/release-orders?workspaceGroup=${shop.group}&state=SUCCEEDED`,
    );
    expect(list.items.map((item) => item.id)).toEqual([order.id]);
    const all = await client.get<{ items: { id: string }[] }>(`/api/v1/orders?workspaceGroup=${shop.group}`);
    expect(all.items.map((item) => item.id)).toEqual([order.id]);
  });
});
