import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { schemaFaults } from "../../domain/catalogue/faults.ts";
import { ChangeImageBody } from "../../api/routes/quick-actions.ts";
import { checkRevision } from "../../domain/catalogue/validate.ts";
import { type Call, readCalls } from "../../local/example-calls.ts";
import { tags } from "../../local/image/shop.ts";
import { projectRoot } from "../../local/paths.ts";

const folder = join(projectRoot, "examples");
const calls = readCalls(join(folder, "shop"), { CLUSTER_KUBECONFIG: "the kubeconfig" });

const pathOf = (call: Call): string => ("put" in call ? call.put : call.post);
const revisions = calls.flatMap((call) => {
  const service = /app-services\/([^/]+)\/revisions$/.exec(pathOf(call))?.[1];
  return service === undefined ? [] : [{ service, body: call.body }];
});
const lastCall = calls[calls.length - 1] as Call;
const readTry = (name: string): unknown => JSON.parse(readFileSync(join(folder, "try", name), "utf8"));

describe("the example", () => {
  test("is in the order in which things depend on each other", () => {
    const kinds = calls.map((call) =>
      pathOf(call)
        .split("/")
        .at("put" in call ? -2 : -1),
    );
    expect([...new Set(kinds)]).toEqual([
      "clusters",
      "workspace-groups",
      "workspaces",
      "cells",
      "applications",
      "app-services",
      "revisions",
      "release-orders",
    ]);
  });

  test("registers the cluster with the kubeconfig that is put in", () => {
    expect(calls[0]?.body).toEqual({ access: "kubeconfig", kubeconfig: "the kubeconfig" });
  });

  test.each(revisions)("has a valid revision of $service", ({ service, body }) => {
    expect(checkRevision(service, body)).toMatchObject({ ok: true });
  });

  test("releases every service that has a revision, and no other", () => {
    const { apps, dependencies } = lastCall.body as {
      apps: { service: string }[];
      dependencies: { service: string; needs: string[] }[];
    };
    const released = apps.map(({ service }) => service);
    expect(released.toSorted()).toEqual(revisions.map(({ service }) => service).toSorted());
    expect(released).toEqual(expect.arrayContaining(dependencies.flatMap(({ service, needs }) => [service, ...needs])));
  });

  test("offers a next cart that differs in its image only", () => {
    const first = JSON.stringify(revisions.find(({ service }) => service === "cart")?.body);
    const second = readTry("cart-1.1.0.json");
    expect(second).toEqual(JSON.parse(first.replace("shop/cart:1.0.0", "shop/cart:1.1.0")));
    expect(checkRevision("cart", second)).toMatchObject({ ok: true });
  });

  test("offers a quick change of the cart's image", () => {
    const body = readTry("image-cart.json");
    expect(schemaFaults(ChangeImageBody, body)).toEqual([]);
    // Real nodes pull nothing.
    expect(tags.map((tag) => `shop/cart:${tag}`)).toContain((body as { image: string }).image);
  });
});
