import { describe, expect, test } from "vitest";
import type { PodObject, SetObject } from "../../../activities/kubernetes/objects.ts";
import { duePods, areOthersAwaited, isWindowNeeded } from "../../../activities/kubernetes/statefulset/window.ts";

type PodState = { ordinal: number; hash?: string; shape?: string; leaving?: boolean; phase?: string };

const meta = { namespace: "shop", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
const set = ({ open = false, current = "old", observed = true, replicas = 4 } = {}): SetObject => ({
  metadata: { ...meta, name: "cart-a", uid: "s", generation: 2 },
  spec: {
    replicas,
    updateStrategy: { type: open ? "OnDelete" : "RollingUpdate" },
    template: { spec: { containers: [] } },
  },
  status: { observedGeneration: observed ? 2 : 1, currentRevision: current, updateRevision: "new" },
});
const pods = (...states: PodState[]): PodObject[] =>
  states.map(({ ordinal, hash = "old", shape = "A", leaving = false, phase = "Running" }) => ({
    metadata: {
      ...meta,
      name: `cart-a-${ordinal}`,
      uid: `p${ordinal}`,
      labels: { "controller-revision-hash": hash },
      annotations: { "cellwright.io/template-shape": shape },
      ...(leaving && { deletionTimestamp: "2026-01-01T00:00:30Z" }),
    },
    spec: { containers: [] },
    status: { phase },
  }));
const four = (...changed: PodState[]): PodObject[] =>
  pods(...[0, 1, 2, 3].map((ordinal) => changed.find((one) => one.ordinal === ordinal) ?? { ordinal }));
const notes = (enrolled: number[], more: { recreate?: "" | "different" | "all"; shape?: string } = {}) => ({
  enrolled: new Set(enrolled),
  recreate: more.recreate ?? "different",
  shape: more.shape ?? "B",
});

describe("a window of recreation", () => {
  test.each<[string, boolean, SetObject, ReturnType<typeof notes>, PodObject[]]>([
    ["nobody is enrolled", false, set(), notes([]), four()],
    ["an enrolled pod has another shape", true, set(), notes([1]), four()],
    ["an enrolled pod differs in images only", false, set(), notes([1], { recreate: "", shape: "A" }), four()],
    ["the policy recreates whatever differs", true, set(), notes([1], { recreate: "all", shape: "A" }), four()],
    [
      "an enrolled pod was not born from one of our templates",
      true,
      set(),
      notes([1]),
      four({ ordinal: 1, shape: "" }),
    ],
    ["all enrolled pods are there", false, set({ open: true }), notes([1]), four({ ordinal: 1, hash: "new" })],
    ["an evicted pod is leaving", true, set({ open: true }), notes([1]), four({ ordinal: 1, leaving: true })],
    ["an evicted pod is not born yet", true, set({ open: true }), notes([3]), four().slice(0, 3)],
    ["an enrolled pod has ended", true, set({ open: true }), notes([1]), four({ ordinal: 1, phase: "Failed" })],
    ["a pod that is to be added does not exist yet", true, set(), notes([4]), four()],
    ["the same where only images differ", false, set(), notes([4], { recreate: "", shape: "A" }), four()],
    ["pods come back at the target anyway, as on the way back", false, set({ current: "new" }), notes([1]), four()],
    ["the template has not been seen: shut stays shut", false, set({ observed: false }), notes([1]), four()],
    ["the template has not been seen: open stays open", true, set({ observed: false, open: true }), notes([]), four()],
  ])("%s: %s", (_what, expected, workload, noted, there) => {
    expect(isWindowNeeded(workload, noted, there)).toBe(expected);
  });

  test("waits for pods of other groups that are just coming back", () => {
    const enrolled = new Set([1]);
    expect(areOthersAwaited(set(), enrolled, four())).toBe(false);
    expect(areOthersAwaited(set(), enrolled, four({ ordinal: 1, leaving: true }))).toBe(false);
    expect(areOthersAwaited(set(), enrolled, four({ ordinal: 2, leaving: true }))).toBe(true);
    expect(areOthersAwaited(set(), enrolled, four().slice(0, 3))).toBe(true);
  });

  test("only enrolled pods that live and are not at the target are due", () => {
    const there = four({ ordinal: 0, hash: "new" }, { ordinal: 2, leaving: true }, { ordinal: 3, phase: "Succeeded" });
    const names = (enrolled: number[]) => duePods(set(), new Set(enrolled), there).map(({ metadata }) => metadata.name);
    expect(names([0, 1, 2, 3])).toEqual(["cart-a-1"]);
    expect(names([0, 2, 3])).toEqual([]);
    expect(duePods(set({ observed: false }), new Set([1]), there)).toEqual([]);
  });
});
