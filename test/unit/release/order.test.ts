import { describe, expect, test } from "vitest";
import { needsOf, validateReleaseOrder } from "../../../domain/release/order.ts";
import type { ReleaseOrderBody } from "../../../domain/release/order.ts";

function order(services: string[], dependencies?: Record<string, string[]>): ReleaseOrderBody {
  return {
    workspaceGroup: "shop",
    title: "a release",
    type: "GROUPED",
    apps: services.map((service) => ({ service })),
    ...(dependencies && {
      dependencies: Object.entries(dependencies).map(([service, needs]) => ({ service, needs })),
    }),
  };
}

describe("a release order", () => {
  test.each([
    ["one service", order(["cart"])],
    ["a chain and a diamond", order(["a", "b", "c", "d"], { d: ["b", "c"], b: ["a"], c: ["a"] })],
    [
      "an edge named twice",
      { ...order(["a", "b"]), dependencies: [1, 2].map(() => ({ service: "b", needs: ["a", "a"] })) },
    ],
  ])("%s is taken", (_name, body) => {
    expect(validateReleaseOrder(body)).toEqual([]);
  });

  test.each([
    ["a service named twice", order(["a", "b", "a"]), [["/apps/2/service", "a is named twice"]]],
    [
      "a dependency of a stranger",
      order(["a"], { x: ["a"] }),
      [["/dependencies/0/service", "x is not among the apps"]],
    ],
    [
      "a dependency on a stranger",
      order(["a"], { a: ["x"] }),
      [["/dependencies/0/needs/0", "x is not among the apps"]],
    ],
    ["a need of itself", order(["a"], { a: ["a"] }), [["/dependencies", "in a circle: a → a."]]],
    ["a circle of two", order(["a", "b"], { a: ["b"], b: ["a"] }), [["/dependencies", "in a circle: a → b → a."]]],
    [
      "a circle behind a chain, named without the chain",
      order(["a", "b", "c", "d"], { a: ["b"], b: ["c"], c: ["d"], d: ["b"] }),
      [["/dependencies", "in a circle: b → c → d → b."]],
    ],
    [
      "everything at once",
      order(["a", "b", "a"], { a: ["b", "x"], b: ["a"] }),
      [
        ["/apps/2/service", "a is named twice"],
        ["/dependencies/0/needs/1", "x is not among the apps"],
        ["/dependencies", "in a circle: a → b → a."],
      ],
    ],
  ])("%s is refused, with the place and the names", (_name, body, faults) => {
    expect(validateReleaseOrder(body)).toEqual(
      faults.map(([field, message]) => ({ field, message: expect.stringContaining(message ?? "") })),
    );
  });

  test("needs are merged, each named once, in a stable order", () => {
    const dependencies = [
      { service: "web", needs: ["pay", "cart"] },
      { service: "web", needs: ["cart", "auth"] },
    ];
    expect([...needsOf({ dependencies })]).toEqual([["web", ["auth", "cart", "pay"]]]);
    expect([...needsOf({})]).toEqual([]);
  });
});
