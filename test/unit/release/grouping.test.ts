import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutGroups } from "../../../domain/release/grouping.ts";
import type { CellPods, Group, Grouping } from "../../../domain/release/grouping.ts";

/** `A` with five pods: A1 to A5. */
function cell(name: string, pods: number): CellPods {
  return { cell: name, pods: Array.from({ length: pods }, (_, index) => `${name}${index + 1}`) };
}

const ten = [cell("A", 5), cell("B", 5)];
const cut = (cells: CellPods[], policy: Partial<Grouping>): string[] =>
  cutGroups(cells, { strategy: "BY_CELL", minGroups: 3, beta: true, pause: "ALL", ...policy }).map(
    (group) => `${group.id}: ${group.pods.map(({ pod }) => pod).join(" ")}`,
  );

describe("the worked examples", () => {
  test.each([
    ["BY_CELL with beta", ten, {}, ["beta: A1 B1", "1: A2 A3 A4 A5", "2: B2 B3 B4 B5"]],
    [
      "BY_CELL, five groups, beta counted",
      ten,
      { minGroups: 5 },
      ["beta: A1 B1", "1: A2 A3", "2: A4 A5", "3: B2 B3", "4: B4 B5"],
    ],
    ["QUICK with beta", ten, { strategy: "QUICK" }, ["beta: A1 B1", "1: A2 B2 A3 B3", "2: A4 B4 A5 B5"]],
    ["BY_CELL without beta", ten, { beta: false, minGroups: 2 }, ["1: A1 A2 A3 A4 A5", "2: B1 B2 B3 B4 B5"]],
    [
      "QUICK without beta",
      ten,
      { strategy: "QUICK", beta: false, minGroups: 3 },
      ["1: A1 B1 A2 B2", "2: A3 B3 A4 B4", "3: A5 B5"],
    ],
    [
      "QUICK over cells of different sizes, in proportion",
      [cell("A", 2), cell("B", 4)],
      { strategy: "QUICK", beta: false, minGroups: 2 },
      ["1: B1 A1 B2", "2: B3 A2 B4"],
    ],
    ["as many groups as pods", [cell("A", 3)], { beta: false, minGroups: 3 }, ["1: A1", "2: A2", "3: A3"]],
    ["more groups wanted than pods", [cell("A", 2)], { beta: false, minGroups: 9 }, ["1: A1", "2: A2"]],
    [
      "one group wanted, and that is beta",
      ten,
      { minGroups: 1, strategy: "QUICK" },
      ["beta: A1 B1", "1: A2 B2 A3 B3 A4 B4 A5 B5"],
    ],
    [
      "BY_CELL, a cell that does not fill a group",
      [cell("A", 5), cell("B", 3)],
      { beta: false },
      ["1: A1 A2 A3", "2: A4 A5", "3: B1 B2 B3"],
    ],
    [
      "cells in order of their names",
      [cell("B", 1), cell("A", 2)],
      { beta: false, minGroups: 1 },
      ["1: A1 A2", "2: B1"],
    ],
    ["no pods", [cell("A", 0)], {}, []],
  ] satisfies [string, CellPods[], Partial<Grouping>, string[]][])("%s", (_name, cells, policy, groups) => {
    expect(cut(cells, policy)).toEqual(groups);
  });

  test.each([
    ["every cell has one pod", [cell("A", 1), cell("B", 1)], ["1: A1 B1"]],
    ["no cell has more than one pod", [cell("A", 1), cell("B", 0)], ["1: A1"]],
  ])("beta has no effect when %s", (_name, cells, groups) => {
    expect(cut(cells, { strategy: "QUICK", minGroups: 1 })).toEqual(groups);
  });

  test("beta takes one pod of each cell, also of one that has no other", () => {
    expect(cut([cell("A", 2), cell("B", 1)], { strategy: "QUICK" })[0]).toBe("beta: A1 B1");
  });
});

describe("confirmations", () => {
  const confirmed = (policy: Partial<Grouping>): string[] =>
    cutGroups(ten, { strategy: "QUICK", minGroups: 3, beta: true, pause: "ALL", ...policy })
      .filter((group) => group.confirm)
      .map((group) => group.id);

  test.each([
    ["ALL", true, ["beta", "1", "2"]],
    ["ALL", false, ["1", "2", "3"]],
    ["FIRST", true, ["beta"]],
    ["FIRST", false, ["1"]],
    ["OFF", true, ["beta"]],
    ["OFF", false, []],
  ] as const)("pause %s, beta %s: after %j", (pause, beta, after) => {
    expect(confirmed({ pause, beta })).toEqual(after);
  });

  test("OFF confirms nothing when beta has no effect", () => {
    const groups = cutGroups([cell("A", 1)], { strategy: "QUICK", minGroups: 3, beta: true, pause: "OFF" });
    expect(groups.map((group) => group.confirm)).toEqual([false]);
  });
});

describe("whatever the cells and the policy", () => {
  const cells = fc
    .array(fc.nat(12), { minLength: 1, maxLength: 4 })
    .map((sizes) => sizes.map((size, index) => cell(String.fromCodePoint(65 + index), size)));
  const policies = fc.record({
    strategy: fc.constantFrom("BY_CELL" as const, "QUICK" as const),
    minGroups: fc.integer({ min: 1, max: 8 }),
    beta: fc.boolean(),
    pause: fc.constantFrom("ALL" as const, "FIRST" as const, "OFF" as const),
  });
  const holds = (check: (groups: Group[], cells: CellPods[], policy: Grouping) => void): void =>
    fc.assert(
      fc.property(cells, policies, (given, policy) => check(cutGroups(given, policy), given, policy)),
      { seed: 2, numRuns: 1_000 },
    );
  const countOf = (given: CellPods[]): number => given.reduce((sum, one) => sum + one.pods.length, 0);

  test("every pod is in exactly one group, in its own cell, and no group is empty", () => {
    holds((groups, given) => {
      const pods = groups.flatMap((group) => group.pods.map(({ cell: of, pod }) => `${of}/${pod}`));
      const all = given.flatMap((one) => one.pods.map((pod) => `${one.cell}/${pod}`));
      expect(pods.toSorted()).toEqual(all.toSorted());
      expect(groups.every((group) => group.pods.length > 0)).toBe(true);
    });
  });

  test("ordinary groups have at most ceil(remaining / (minGroups − beta)) pods; BY_CELL never crosses cells", () => {
    holds((groups, given, policy) => {
      const hasBeta = groups[0]?.id === "beta";
      const ordinary = groups.filter((group) => group.id !== "beta");
      const remaining = countOf(given) - (hasBeta ? (groups[0]?.pods.length ?? 0) : 0);
      const most = Math.ceil(remaining / Math.max(1, policy.minGroups - (hasBeta ? 1 : 0)));
      for (const group of ordinary) {
        expect(group.pods.length).toBeLessThanOrEqual(most);
        const cellsOf = new Set(group.pods.map((pod) => pod.cell));
        expect(cellsOf.size === 1 || policy.strategy === "QUICK").toBe(true);
      }
      expect(ordinary.map((group) => group.id)).toEqual(ordinary.map((_, index) => String(index + 1)));
    });
  });

  test("the beta group is one pod of each cell that has any, and is there exactly when it has an effect", () => {
    holds((groups, given, policy) => {
      const beta = groups.find((group) => group.id === "beta");
      expect(beta !== undefined).toBe(policy.beta && given.some((one) => one.pods.length > 1));
      const firsts = given.flatMap((one) => one.pods.slice(0, 1));
      expect(beta?.pods.map(({ pod }) => pod) ?? firsts).toEqual(firsts);
    });
  });

  test("QUICK is balanced: of every cell a group has its share, but for rounding", () => {
    holds((groups, given, policy) => {
      const ordinary = groups.filter((group) => group.id !== "beta" && policy.strategy === "QUICK");
      const rest = ordinary.flatMap((group) => group.pods);
      for (const group of ordinary) {
        for (const one of given) {
          const share = rest.filter((pod) => pod.cell === one.cell).length / rest.length;
          const here = group.pods.filter((pod) => pod.cell === one.cell).length;
          // Each end of a group is rounded by half a pod in this cell, and in the others by half a pod each.
          expect(Math.abs(here - share * group.pods.length)).toBeLessThanOrEqual(1 + share * given.length);
        }
      }
    });
  });

  test("the order in which the cells are given does not matter", () => {
    holds((groups, given, policy) => {
      expect(cutGroups(given.toReversed(), policy)).toEqual(groups);
    });
  });
});
