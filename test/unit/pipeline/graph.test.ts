import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findCycle } from "../../../domain/pipeline/graph.ts";

type Graph = Map<string, string[]>;

const graphs = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 14 }).map((edges): Graph => {
  const graph: Graph = new Map();
  for (const [from, to] of edges) graph.set(`n${from}`, [...(graph.get(`n${from}`) ?? []), `n${to}`]);
  return graph;
});

/** Takes away what needs nothing that is left, until nothing more goes; a cycle is what stays. */
function hasCycle(graph: Graph): boolean {
  const left = new Map(graph);
  for (let before = -1; before !== left.size;) {
    before = left.size;
    for (const [node, needs] of left) if (!needs.some((need) => left.has(need))) left.delete(node);
  }
  return left.size > 0;
}

describe("cycles", () => {
  test("are found exactly where there are some, and each step of what is named is an edge", () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const cycle = findCycle(graph);
        expect(cycle !== undefined).toBe(hasCycle(graph));
        if (!cycle) return;
        expect(cycle.length).toBeGreaterThan(1);
        expect(cycle[0]).toBe(cycle.at(-1));
        expect(new Set(cycle).size).toBe(cycle.length - 1);
        for (const [index, node] of cycle.slice(0, -1).entries()) expect(graph.get(node)).toContain(cycle[index + 1]);
      }),
      { seed: 1, numRuns: 2_000 },
    );
  });

  test.each([
    [{ a: ["a"] }, ["a", "a"]],
    [{ a: ["b"], b: ["c"], c: ["b"] }, ["b", "c", "b"]],
    [{ a: ["b", "c"], b: ["d"], c: ["d"] }, undefined],
    [{}, undefined],
  ])("of %j: %j", (needs: Record<string, string[]>, cycle) => {
    expect(findCycle(new Map(Object.entries(needs)))).toEqual(cycle);
  });

  test("a long chain is no trouble", () => {
    const chain: Graph = new Map(Array.from({ length: 50_000 }, (_, index) => [`n${index}`, [`n${index + 1}`]]));
    expect(findCycle(chain)).toBeUndefined();
  });
});
