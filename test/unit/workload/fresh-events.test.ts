/** Which events still tell why a pod does not come: from the API server's objects to what is quoted. */
import { describe, expect, test } from "vitest";
import type { ContainerStatus, EventObject, PodObject } from "../../../activities/kubernetes/objects.ts";
import { toPodEvent } from "../../../activities/kubernetes/statefulset/events.ts";
import { podFacts } from "../../../activities/kubernetes/statefulset/facts.ts";
import { POD } from "../../../activities/kubernetes/statefulset/metadata.ts";
import { freshEvents, whyNot } from "../../../domain/workload/reason.ts";
import { diagnose } from "../../../domain/workload/stuck.ts";

/** Seconds after the pod was made. */
const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();

const run = (id: string, startedAt: number) => ({
  exitCode: 1,
  reason: "Error",
  containerID: id,
  startedAt: at(startedAt),
});
const running = (id: string, startedAt: number, last?: ReturnType<typeof run>): Partial<ContainerStatus> => ({
  containerID: id,
  state: { running: { startedAt: at(startedAt) } },
  ...(last !== undefined && { lastState: { terminated: last } }),
});

/** A pod that was made at second 0; `movedAt`: when its image was changed, `previous`: what was there until then. */
function facts(status: Partial<ContainerStatus>, change?: { movedAt: number; previous: string }) {
  const pod: PodObject = {
    metadata: {
      name: "cart-cell-a-0",
      namespace: "shop",
      uid: "u",
      resourceVersion: "1",
      creationTimestamp: at(0),
      ...(change !== undefined && {
        annotations: {
          [POD.movedAt]: at(change.movedAt),
          [POD.previousContainers]: JSON.stringify({ main: change.previous }),
        },
      }),
    },
    spec: { containers: [{ name: "main", image: "cart:2" }] },
    status: { phase: "Running", containerStatuses: [{ name: "main", ...status }] },
  };
  return podFacts("cart-cell-a", pod)!;
}

const event = (
  reason: string,
  second: number,
  fieldPath: string | undefined = "spec.containers{main}",
): EventObject => ({
  type: "Warning",
  reason,
  message: `${reason} happened`,
  lastTimestamp: at(second),
  ...(fieldPath !== "" && { involvedObject: { fieldPath } }),
});

const changed = { movedAt: 100, previous: "c1" };

describe("an event of a container", () => {
  type Row = [title: string, pod: ReturnType<typeof facts>, event: EventObject, isFresh: boolean];
  test.each<Row>([
    ["before the change", facts(running("c2", 105, run("c1", 1)), changed), event("Unhealthy", 50), false],
    [
      "after the change, of the old container as it ended",
      facts(running("c2", 105, run("c1", 1)), changed),
      event("Unhealthy", 103),
      false,
    ],
    ["of the new container", facts(running("c2", 105, run("c1", 1)), changed), event("Unhealthy", 107), true],
    ["in the second of its start", facts(running("c2", 105, run("c1", 1)), changed), event("Unhealthy", 105), true],
    [
      "of the new container's last run: it tells why there is another",
      facts(running("c3", 140, run("c2", 105)), changed),
      event("Unhealthy", 135),
      true,
    ],
    [
      "after the change, when the new container has been restarted since: nobody knows whose it is",
      facts(running("c3", 140, run("c2", 115)), changed),
      event("Unhealthy", 103),
      true,
    ],
    [
      "before the change, when the new container has been restarted since",
      facts(running("c3", 140, run("c2", 115)), changed),
      event("Unhealthy", 50),
      false,
    ],
    [
      "of a container in whose place none had been reported",
      facts(running("c1", 105), { ...changed, previous: "" }),
      event("Unhealthy", 107),
      true,
    ],
    ["of the old container, which still runs", facts(running("c1", 1), changed), event("Unhealthy", 103), false],
    [
      "of the old container, which runs again",
      facts(running("c1", 20, run("c0", 1)), changed),
      event("Unhealthy", 103),
      false,
    ],
    ["that hinders the change", facts(running("c1", 1), changed), event("FailedPreStopHook", 103), true],
    [
      "that hinders the start of the new container",
      facts({ containerID: "c1", state: { terminated: run("c1", 1) } }, changed),
      event("Failed", 103),
      true,
    ],
    ["of a first start that came late", facts(running("c1", 20)), event("Failed", 10), false],
    [
      "of a container that never started",
      facts({ state: { waiting: { reason: "ErrImagePull" } } }),
      event("Failed", 10),
      true,
    ],
    ["of another container", facts(running("c1", 20)), event("Unhealthy", 10, "spec.containers{proxy}"), true],
    ["of the whole pod", facts(running("c1", 20)), event("NodeNotReady", 10, ""), true],
  ])("%s", (_title, pod, given, isFresh) => {
    expect(freshEvents(pod, [toPodEvent(given)])).toHaveLength(isFresh ? 1 : 0);
  });

  test("that is not fresh is neither a reason nor quoted", () => {
    const pod = facts(running("c2", 105, run("c1", 1)), changed);
    const look = { pod, judgement: { kind: "changing" }, name: pod.name, now: Date.parse(at(120)) } as const;
    const [old, own] = [toPodEvent(event("Unhealthy", 103)), toPodEvent(event("Unhealthy", 110))];
    expect(diagnose({ ...look, events: [old] })).toBeUndefined();
    expect(diagnose({ ...look, events: [old, own] })).toMatchObject({ kind: "probe" });
    expect(whyNot(pod, look.judgement, freshEvents(pod, [old]))).toBe("not ready");
  });
});

test("an event names the container that it is about", () => {
  expect(toPodEvent(event("BackOff", 1)).container).toBe("main");
  expect(toPodEvent(event("BackOff", 1, "spec.initContainers{migrate}")).container).toBe("migrate");
  expect(toPodEvent(event("Scheduled", 1, "")).container).toBeUndefined();
});
