/** The bench of releases runs to its end and measures what it says; how fast things are is not judged here. */
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { benchRelease } from "../../bench/release.ts";
import { createRest } from "../../local/rest.ts";
import { startProduct, type Product } from "../support/product.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

test("one quick round gives every figure", { timeout: 300_000 }, async () => {
  const { url, adminToken, temporal, kubernetes } = product;
  const results: Record<string, unknown>[] = [];
  await benchRelease(
    {
      rest: createRest(url, adminToken),
      temporal,
      // The floor's workflow is none of the product's, whose histories are replayed at the end.
      temporalServer: inject("stack").temporal,
      kubernetes,
    },
    (result) => results.push({ ...result }),
    { quick: true },
  );
  const timed = [
    "in-place-vs-deployment",
    "in-place-vs-script",
    "recreate-vs-deployment",
    "recreate-vs-script",
    "confirm-to-first-pod-change-p50",
    "confirm-to-first-pod-change-p90",
  ];
  expect(results.map(({ bench }) => bench)).toEqual([...timed, "writes-per-pod"]);
  const wrong = results.slice(0, timed.length).filter(({ ours_s: ours, floor_s: floor, ratio }) => {
    return !(Number(ours) > 0 && Number(floor) > 0 && Math.abs(Number(ratio) - Number(ours) / Number(floor)) < 0.1);
  });
  expect(wrong).toEqual([]);
  expect(results.at(-1)).toMatchObject({ work: { pods: 12, groups: 4 }, per_pod: 1 });
});
