/** Temporal's part of a release does not grow with its pods: one activity moves a group, however large it is. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { measureRelease, type Cost } from "../../bench/cost.ts";
import { createRest } from "../../local/rest.ts";
import { startProduct, type Product } from "../support/product.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

/** What was called, and how often; records are stored as they come. */
function steps({ calls: { appendEvents: _records, ...calls } }: Cost): Record<string, number> {
  return calls;
}

test("20 and 60 pods in four groups cost the same", { timeout: 180_000 }, async () => {
  const { url, adminToken, temporal, kubernetes } = product;
  const installation = { rest: createRest(url, adminToken), temporal, kubernetes };
  const few = await measureRelease(installation, { pods: 20, groups: 4 });
  const many = await measureRelease(installation, { pods: 60, groups: 4 });
  expect(steps(many)).toEqual(steps(few));
  // How often a workflow wakes, and how many events it has stored at once, is a matter of chance, not of pods.
  expect(Math.abs(many.events.total - few.events.total)).toBeLessThan(few.events.total / 10);
  expect([few.patches, many.patches]).toEqual([20, 60]);
});
