import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Judgement } from "../../../domain/workload/updated.ts";
import { nextWave, type Standing } from "../../../domain/workload/wave.ts";

const updated: Judgement = { kind: "updated", since: 0 };
const changing: Judgement = { kind: "changing" };

/** Pods by letter: o old and up, x old and down, m missing; when enrolled: U updated, C changing. */
function pods(group: string, earlier = "", outside = ""): Standing[] {
  const make = (letters: string, name: string, inGroup: boolean, held: boolean): Standing[] =>
    letters.split("").map((letter, index) => {
      const enrolled = letter === "U" || letter === "C";
      const available = letter === "o" || letter === "U";
      const old: Judgement = letter === "m" ? { kind: "missing" } : { kind: "old", available };
      const judgement = letter === "U" ? updated : letter === "C" ? changing : old;
      return { name: `${name}${index}`, inGroup, held, enrolled, judgement, available };
    });
  return [...make(group, "g", true, true), ...make(earlier, "e", false, true), ...make(outside, "o", false, false)];
}

describe("the next wave", () => {
  test.each<[string, string, string, string, string]>([
    ["nothing unavailable: the whole group at once", "ooo", "UU", "ooo", "g0 g1 g2"],
    ["one down elsewhere: one fewer", "ooo", "", "xoo", "g0 g1"],
    ["more down elsewhere than the group has: one", "ooo", "", "xxxxx", "g0"],
    ["and only when the former is back", "Coo", "", "xxxxx", ""],
    ["then the next", "Uoo", "", "xxxxx", "g1"],
    ["pods that are down already go first and count", "oxo", "", "x", "g1 g0"],
    ["missing pods cost nothing", "mmm", "", "xxxxx", "g0 g1 g2"],
    ["all enrolled", "CCU", "", "", ""],
    ["an old pod that is down in the held workload counts too", "oo", "xo", "", "g0"],
    ["once the group has started, it does not wait for earlier pods", "Uo", "C", "", "g1"],
  ])("%s", (_title, group, earlier, outside, expected) => {
    expect(nextWave(pods(group, earlier, outside))).toEqual({
      kind: "enrol",
      pods: expected === "" ? [] : expected.split(" "),
    });
  });

  test("nothing of a group starts before the pods of earlier groups are back", () => {
    expect(nextWave(pods("oo", "UC", ""))).toEqual({ kind: "wait-for-earlier", pods: ["e1"] });
  });

  test("never more down at once than the group has pods, and there is always a way on", () => {
    const letters = fc.string({ unit: fc.constantFrom("o", "x", "m", "U", "C"), maxLength: 12 });
    fc.assert(
      fc.property(letters, fc.string({ unit: fc.constantFrom("o", "x"), maxLength: 12 }), (group, outside) => {
        const all = pods(group, "", outside);
        const wave = nextWave(all);
        if (wave.kind !== "enrol") return;
        const mine = all.filter((pod) => pod.inGroup);
        const taken = mine.filter((pod) => wave.pods.includes(pod.name) && pod.available).length;
        const down = mine.filter((pod) => !pod.available).length;
        const elsewhere = all.filter((pod) => !pod.inGroup && !pod.available).length;
        const isWithin = taken === 0 || taken + down <= Math.max(1, mine.length - elsewhere);
        const goesOn = down > 0 || wave.pods.length > 0 || mine.every((pod) => pod.enrolled);
        expect({ isWithin, goesOn }).toEqual({ isWithin: true, goesOn: true });
      }),
    );
  });
});
