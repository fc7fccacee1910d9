import { describe, expect, test } from "vitest";
import { summarise, whyNot } from "../../../domain/workload/reason.ts";
import { judgePod, type ContainerFacts, type PodFacts } from "../../../domain/workload/updated.ts";

const target = { hash: "new", images: { main: "cart:2" }, readySeconds: 10 };
const now = 1_000_000;

function pod(change: Partial<PodFacts> = {}, container: Partial<ContainerFacts> = {}): PodFacts {
  return {
    name: "cart-cell-a-0",
    ordinal: 0,
    uid: "u",
    hash: "new",
    leaving: false,
    phase: "Running",
    generation: 2,
    observedGeneration: 2,
    containers: [{ name: "main", image: "cart:2", reportedImage: "cart:2", id: "c2", ...container }],
    ready: true,
    readySince: now - 10_000,
    previousContainers: { main: "c1" },
    createdAt: 0,
    ...change,
  };
}

function without(facts: PodFacts, ...keys: string[]): PodFacts {
  return Object.fromEntries(Object.entries(facts).filter(([key]) => !keys.includes(key))) as PodFacts;
}

describe("updated", () => {
  const born = without(pod(), "previousContainers");
  const unseen = without(pod({ previousContainers: { main: "" } }), "observedGeneration");
  const rows: [string, PodFacts | undefined, string][] = [
    ["everything there", pod(), "updated"],
    ["born at the target: no record needed", born, "updated"],
    ["no pod", undefined, "missing"],
    ["being deleted", pod({ leaving: true }), "leaving"],
    ["evicted by its node", pod({ phase: "Failed" }), "leaving"],
    ["another hash", pod({ hash: "old" }), "old"],
    ["label without the image", pod({}, { image: "cart:1" }), "changing"],
    ["the old container is still ready", pod({}, { id: "c1" }), "changing"],
    ["the node speaks of an earlier spec", pod({ observedGeneration: 1 }), "changing"],
    ["the node does not report generations", without(pod(), "observedGeneration"), "updated"],
    ["two tags of one image: the runtime names the other", pod({}, { reportedImage: "cart:1" }), "updated"],
    ["no container yet", { ...pod(), containers: [{ name: "main", image: "cart:2" }] }, "changing"],
    ["not ready", pod({ ready: false }), "changing"],
    ["ready for a moment", pod({ readySince: now - 9999 }), "settling"],
    [
      "nothing known before, and the node is silent about what it runs",
      { ...unseen, containers: [{ name: "main", image: "cart:2", reportedImage: "cart:1", id: "x" }] },
      "changing",
    ],
    ["nothing known before, the node names the new image", unseen, "updated"],
    ["nothing known before, the node has seen the new spec", pod({ previousContainers: { main: "" } }), "updated"],
    [
      "another container was not changed",
      { ...pod(), containers: [...pod().containers, { name: "side", image: "s:1", id: "s1" }] },
      "updated",
    ],
  ];
  test.each(rows)("%s", (_title, facts, kind) => expect(judgePod(facts, target, now).kind).toBe(kind));

  test("a settling pod says when it will be updated", () => {
    expect(judgePod(pod({ readySince: now - 4000 }), target, now)).toEqual({ kind: "settling", at: now + 6000 });
  });
});

describe("why a pod is not there", () => {
  const changing = { kind: "changing" } as const;
  test.each<[string, PodFacts | undefined, string]>([
    [
      "a container waits",
      pod({ ready: false }, { waiting: { reason: "ImagePullBackOff", message: "not found" } }),
      "container main (cart:2): ImagePullBackOff: not found",
    ],
    [
      "it ended before",
      pod(
        { ready: false },
        { waiting: { reason: "CrashLoopBackOff" }, terminated: { reason: "OOMKilled", exitCode: 137 } },
      ),
      "container main (cart:2): CrashLoopBackOff (ended before: OOMKilled, exit code 137)",
    ],
    [
      "no node",
      pod({ ready: false, unschedulable: "0/4 nodes are available" }),
      "no node takes it: 0/4 nodes are available",
    ],
    [
      "a condition",
      pod({ ready: false, notReady: "containers with unready status: [main]" }),
      "not ready: containers with unready status: [main]",
    ],
    ["the old one runs", pod(), "the node has not replaced the old container yet"],
  ])("%s", (_title, facts, text) => expect(whyNot(facts, changing)).toBe(text));

  test("the last warning is added, long texts are cut", () => {
    const event = (reason: string, at: number, count = 1) => ({
      type: "Warning",
      reason,
      message: "m".repeat(20),
      count,
      at,
    });
    expect(whyNot(undefined, { kind: "missing" }, [event("Old", 1), event("FailedCreate", 2, 3)])).toBe(
      "the pod does not exist at the moment; event FailedCreate: mmmmmmmmmmmmmmmmmmmm (3 times)",
    );
    expect(whyNot(pod({ ready: false, notReady: "x".repeat(1000) }), changing).length).toBeLessThanOrEqual(300);
  });

  test("what a kubelet says of every pod is left out", () => {
    const uid = "08cb360a-1d62-4fb9-b21f-1b78fdf7e4ab";
    const message = `back-off 10s restarting failed container=main pod=cart-cell-a-0_shop(${uid})`;
    const warn = (reason: string, text: string, at: number) => ({
      type: "Warning",
      reason,
      message: text,
      count: 1,
      at,
    });
    const events = [
      warn("BackOff", `Back-off restarting failed container main in pod cart-cell-a-0_shop(${uid})`, 1),
      warn("MissingClusterDNS", `pod: "cart-cell-a-0_shop(${uid})". kubelet does not have ClusterDNS IP`, 2),
    ];
    expect(whyNot(pod({ ready: false }, { waiting: { reason: "CrashLoopBackOff", message } }), changing, events)).toBe(
      "container main (cart:2): CrashLoopBackOff: back-off 10s restarting failed container=main; " +
        "event BackOff: Back-off restarting failed container main",
    );
  });

  test("three are named, the rest is counted", () => {
    const pods = ["a", "b", "c", "d", "e"].map((name) => ({ name, reason: "r" }));
    expect(summarise(pods)).toBe("a: r · b: r · c: r · 2 more");
    expect(summarise(pods.slice(0, 2))).toBe("a: r · b: r");
  });
});
