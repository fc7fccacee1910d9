import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatOrdinals, parseOrdinals } from "../../../domain/workload/ordinals.ts";

describe("ordinals as text", () => {
  test.each([
    [[], ""],
    [[0], "0"],
    [[3, 1, 2, 0, 7], "0-3,7"],
    [[1, 3, 5], "1,3,5"],
    [[2, 2, 1], "1-2"],
  ])("%j is %j", (ordinals, text) => expect(formatOrdinals(ordinals)).toBe(text));

  test("what was written is read again, and a run costs no more than its ends", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(2000)), (ordinals) => {
        const text = formatOrdinals(ordinals);
        expect(parseOrdinals(text)).toEqual(new Set(ordinals));
        expect(formatOrdinals(parseOrdinals(text))).toBe(text);
      }),
    );
    expect(formatOrdinals(Array(1000).keys())).toBe("0-999");
  });

  test.each(["a", "1-", "3-1", "1,,2", "-1", "0-99999999"])("%j is refused", (text) =>
    expect(() => parseOrdinals(text)).toThrow(RangeError),
  );
});
