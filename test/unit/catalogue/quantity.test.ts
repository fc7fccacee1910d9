import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseQuantity } from "../../../domain/catalogue/quantity.ts";

const UNIT = 1_000_000_000n;

describe("quantities, in billionths", () => {
  test.each([
    ["0", 0n],
    ["1", UNIT],
    ["+1", UNIT],
    ["0.5", UNIT / 2n],
    [".5", UNIT / 2n],
    ["5.", 5n * UNIT],
    ["500m", UNIT / 2n],
    ["1n", 1n],
    ["1u", 1000n],
    ["1k", 1000n * UNIT],
    ["1e3", 1000n * UNIT],
    ["1E3", 1000n * UNIT],
    ["12e-1", (12n * UNIT) / 10n],
    ["1E", 10n ** 18n * UNIT],
    ["1Ki", 1024n * UNIT],
    ["1.5Gi", (3n * 1024n ** 3n * UNIT) / 2n],
    ["7Ei", 7n * 1024n ** 6n * UNIT],
    ["-0", 0n],
  ])("%s", (text, amount) => {
    expect(parseQuantity(text)).toBe(amount);
  });

  test.each([
    "",
    " 1",
    "1 ",
    "m",
    ".",
    "1.2.3",
    "1mi",
    "1K",
    "1KI",
    "one",
    "-1",
    "-500m",
    "0.5n",
    "8Ei",
    "1e30",
    "1e999",
    "0x10",
    "1,5",
    "Infinity",
    "NaN",
  ])("%j is none", (text) => {
    expect(parseQuantity(text)).toBeUndefined();
  });

  test("milli, plain and exponent spellings agree", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), (amount) => {
        expect(parseQuantity(`${amount}`)).toBe(parseQuantity(`${amount * 1000}m`));
        expect(parseQuantity(`${amount}k`)).toBe(parseQuantity(`${amount}e3`));
      }),
    );
  });
});
