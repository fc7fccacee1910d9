import { describe, expect, test } from "vitest";
import { overdue, sight, type Seen, type Sightings } from "../../../domain/workload/patience.ts";
import type { PodEvent } from "../../../domain/workload/reason.ts";
import { diagnose, explain, type Look } from "../../../domain/workload/stuck.ts";
import type { Stuck, StuckKind } from "../../../domain/workload/stuck-kinds.ts";
import type { ContainerFacts, Judgement, PodFacts } from "../../../domain/workload/updated.ts";

const now = 1_000_000;
const moved = now - 60_000;

function pod(change: Partial<PodFacts> = {}, container: Partial<ContainerFacts> = {}): PodFacts {
  return {
    name: "cart-cell-a-0",
    ordinal: 0,
    uid: "u",
    hash: "new",
    leaving: false,
    phase: "Running",
    containers: [{ name: "main", image: "cart:2", id: "c2", ...container }],
    ready: false,
    createdAt: moved,
    node: "node-1",
    ...change,
  };
}

const unstarted = (): PodFacts => ({
  ...pod(),
  containers: [{ name: "main", image: "cart:2", waiting: { reason: "ContainerCreating" } }],
});
const waiting = (reason: string, message?: string, more: Partial<ContainerFacts> = {}): PodFacts =>
  pod({}, { waiting: { reason, ...(message === undefined ? {} : { message }) }, ...more });
const event = (reason: string, message: string, at = now - 1000, count = 1): PodEvent => ({
  type: "Warning",
  reason,
  message,
  count,
  at,
});
const look = (facts: PodFacts | undefined, more: Partial<Look> = {}): Look => ({
  pod: facts,
  judgement: facts === undefined ? { kind: "missing" } : facts.leaving ? { kind: "leaving" } : { kind: "changing" },
  events: [],
  name: "cart-cell-a-0",
  now,
  ...more,
});

describe("a stuck pod", () => {
  type Row = [title: string, Look, { kind: StuckKind; what: RegExp; remedy: RegExp; patience?: number }];
  test.each<Row>([
    [
      "image does not exist",
      look(waiting("ErrImagePull", "cart:2: not found")),
      { kind: "image", what: /ErrImagePull: cart:2: not found/, remedy: /tag exist/, patience: 60 },
    ],
    [
      "image, backing off",
      look(waiting("ImagePullBackOff")),
      { kind: "image", what: /ImagePullBackOff/, remedy: /registry/, patience: 60 },
    ],
    [
      "no image name",
      look(waiting("InvalidImageName", "couldn't parse image")),
      { kind: "image", what: /parse/, remedy: /valid image name/, patience: 10 },
    ],
    [
      "image may not be pulled",
      look(waiting("ErrImageNeverPull")),
      { kind: "image", what: /ErrImageNeverPull/, remedy: /nodes/, patience: 10 },
    ],
    [
      "no ConfigMap",
      look(waiting("CreateContainerConfigError", 'configmap "settings" not found')),
      { kind: "container", what: /settings/, remedy: /create ConfigMap settings/, patience: 30 },
    ],
    [
      "no key in a Secret",
      look(waiting("CreateContainerConfigError", "couldn't find key password in Secret shop/db")),
      { kind: "container", what: /password/, remedy: /create key password of Secret shop\/db/, patience: 30 },
    ],
    [
      "no such command",
      look(waiting("RunContainerError", 'exec: "srv": executable file not found')),
      { kind: "container", what: /srv/, remedy: /command/, patience: 60 },
    ],
    [
      "crashing",
      look(
        waiting("CrashLoopBackOff", "back-off 10s", { terminated: { reason: "Error", exitCode: 3, message: "no db" } }),
      ),
      { kind: "crash-loop", what: /Error, exit code 3: no db/, remedy: /previous=true/, patience: 60 },
    ],
    [
      "ended, and not started again yet",
      look(pod({ previousContainers: { main: "c1" } }, { terminated: { reason: "Error", exitCode: 2 } }), {
        events: [event("Unhealthy", "Readiness probe failed")],
      }),
      { kind: "crash-loop", what: /Error, exit code 2/, remedy: /log/, patience: 60 },
    ],
    [
      "the old container has ended, and the new image cannot be pulled: a kubelet calls that a crash loop",
      look(
        pod(
          { previousContainers: { main: "c2" } },
          {
            waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" },
            terminated: { reason: "Completed", exitCode: 0 },
          },
        ),
        {
          events: [
            event("Failed", 'Failed to pull image "cart:2": not found'),
            event("BackOff", "Back-off restarting"),
          ],
        },
      ),
      { kind: "image", what: /cart:2\): ErrImagePull: Failed to pull/, remedy: /tag exist/, patience: 60 },
    ],
    [
      "out of memory",
      look(waiting("CrashLoopBackOff", "back-off", { terminated: { reason: "OOMKilled", exitCode: 137 } })),
      { kind: "crash-loop", what: /OOMKilled, exit code 137/, remedy: /memory limit/, patience: 60 },
    ],
    [
      "an init container fails",
      look(pod({ initContainers: [{ name: "migrate", image: "m:1", waiting: { reason: "CrashLoopBackOff" } }] })),
      { kind: "crash-loop", what: /container migrate \(m:1\)/, remedy: /log/, patience: 60 },
    ],
    [
      "no node",
      look(pod({ unschedulable: "0/4 nodes are available: 4 Insufficient cpu." })),
      { kind: "unschedulable", what: /no node takes it: 0\/4 nodes.*Insufficient cpu/, remedy: /room/ },
    ],
    [
      "probe",
      look(pod(), { events: [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500")] }),
      { kind: "probe", what: /Unhealthy: Readiness probe failed.*500/, remedy: /readiness probe's path/ },
    ],
    [
      "volume of a missing Secret",
      look(unstarted(), {
        events: [event("FailedMount", 'MountVolume.SetUp failed for volume "tls" : secret "tls" not found', now, 4)],
      }),
      { kind: "volume", what: /FailedMount.*4 times/, remedy: /create Secret tls/, patience: 90 },
    ],
    [
      "volume elsewhere",
      look(unstarted(), { events: [event("FailedAttachVolume", "Multi-Attach error")] }),
      { kind: "volume", what: /Multi-Attach/, remedy: /claim/, patience: 90 },
    ],
    [
      "no sandbox",
      look(unstarted(), { events: [event("FailedCreatePodSandBox", "plugin type bridge failed")] }),
      { kind: "sandbox", what: /bridge failed/, remedy: /network/, patience: 90 },
    ],
    [
      "node away",
      look(pod(), { events: [event("NodeNotReady", "Node is not ready")] }),
      { kind: "node", what: /node node-1 is not ready/, remedy: /node/, patience: 120 },
    ],
    [
      "finalizer",
      look(pod({ leaving: true, deletionDue: now - 1000, finalizers: ["example.com/hold"] })),
      { kind: "finalizer", what: /kept by example\.com\/hold/, remedy: /finalizer/, patience: 60 },
    ],
    [
      "does not end",
      look(pod({ leaving: true, deletionDue: now - 1000 })),
      { kind: "terminating", what: /grace period ended.*still there on node node-1/, remedy: /--force/, patience: 60 },
    ],
    [
      "quota",
      look(undefined, {
        events: [
          event(
            "FailedCreate",
            'create Pod cart-cell-a-0 in StatefulSet cart-cell-a failed error: pods "cart-cell-a-0" is forbidden: exceeded quota: small',
          ),
        ],
      }),
      {
        kind: "refused",
        what: /cannot be created.*exceeded quota: small/,
        remedy: /raise the namespace's quota/,
        patience: 30,
      },
    ],
    [
      "admission refuses the change",
      look(pod(), { judgement: { kind: "old", available: true }, refusal: 'admission webhook "w" denied the request' }),
      { kind: "refused", what: /webhook/, remedy: /admission policy/, patience: 30 },
    ],
  ])("%s", (_title, given, { kind, what, remedy, patience }) => {
    const found = diagnose(given);
    expect(found?.kind).toBe(kind);
    expect(found?.what).toMatch(what);
    expect(found?.remedy).toMatch(remedy);
    expect(found?.patience).toBe(patience);
    expect(explain(found!)).toBe(`${found?.what}. To do: ${found?.remedy}`);
  });

  const settled: Judgement[] = [
    { kind: "updated", since: 0 },
    { kind: "settling", at: now + 1 },
    { kind: "old", available: true },
  ];
  test.each<[string, Look]>([
    ...settled.map((judgement): [string, Look] => [judgement.kind, look(waiting("CrashLoopBackOff"), { judgement })]),
    ["starting", look(unstarted())],
    ["waiting for init containers", look(waiting("PodInitializing"))],
    ["running, not ready yet, nobody complains", look(pod())],
    [
      "its old container has ended, the new one is not there yet",
      look(pod({ previousContainers: { main: "c2" } }, { terminated: { reason: "Error", exitCode: 143 } }), {
        events: [event("Unhealthy", "Readiness probe failed")],
      }),
    ],
    [
      "its old container has ended, and a kubelet waits before it starts the new one",
      look(
        pod(
          { previousContainers: { main: "c2" } },
          { waiting: { reason: "CrashLoopBackOff" }, terminated: { reason: "Completed", exitCode: 0 } },
        ),
      ),
    ],
    ["within its grace period", look(pod({ leaving: true, deletionDue: now + 1 }))],
    ["ended, to be replaced", look(pod({ phase: "Failed" }), { judgement: { kind: "leaving" } })],
    ["missing, and nobody says why", look(undefined)],
    [
      "another pod could not be created",
      look(undefined, { events: [event("FailedCreate", "create Pod cart-cell-a-01 failed")] }),
    ],
    [
      "could not be created long ago",
      look(undefined, { events: [event("FailedCreate", "create Pod cart-cell-a-0", 1)] }),
    ],
    [
      "a probe failed before it was changed",
      look(pod({ movedAt: moved }), { events: [event("Unhealthy", "x", moved - 9000)] }),
    ],
    [
      "the volume came late, and the image is being pulled",
      look(unstarted(), { events: [event("FailedMount", "x", now - 9000), event("Pulling", "x", now - 1000)] }),
    ],
    [
      "the node is back",
      look(pod(), { events: [event("NodeNotReady", "x", now - 9000), event("Started", "x", now - 1000)] }),
    ],
  ])("is not one that is: %s", (_title, given) => expect(diagnose(given)).toBeUndefined());

  test("long words of the cluster are cut, the remedy is not", () => {
    const found = diagnose(look(waiting("ErrImagePull", "x".repeat(5000))))!;
    expect(found.what.length).toBeLessThanOrEqual(300);
    expect(explain(found)).toMatch(/To do: check that/);
  });
});

describe("patience", () => {
  const trouble = (kind: StuckKind, more: Partial<Stuck> = {}): Stuck => ({ kind, what: "w", remedy: "r", ...more });
  const seen = (stuck: Stuck | undefined, more: Partial<Seen> = {}): Seen => ({
    pod: "p",
    identity: "u new",
    judgement: "changing",
    stuck,
    ...more,
  });
  /** At which second waiting is over, given what is seen at each; deadline 100 s. */
  function ends(at: (second: number) => Seen, deadline = 100): number | undefined {
    let sightings: Sightings = [];
    for (let second = 0; second <= 300; second++) {
      const looks = [at(second)];
      sightings = sight(sightings, looks, second * 1000);
      if (overdue(sightings, looks, second * 1000, deadline).length > 0) return second;
    }
    return undefined;
  }
  const image = trouble("image", { patience: 60 });
  const crash = (restarts: number): Stuck => trouble("crash-loop", { patience: 60, restarts });

  test.each<[string, number | undefined, (second: number) => Seen, number?]>([
    ["ends with its kind's bound", 60, () => seen(image)],
    ["is never longer than the policy's deadline", 5, () => seen(image), 5],
    ["is the policy's deadline where the kind has none", 100, () => seen(trouble("unschedulable"))],
    ["begins when the trouble begins", 80, (second) => seen(second < 20 ? undefined : image)],
    ["begins anew after a recovery", 111, (second) => seen(second === 50 ? undefined : image)],
    ["begins anew with another pod of that name", 110, (second) => seen(image, { identity: second < 50 ? "u" : "v" })],
    [
      "begins anew with another kind",
      80,
      (second) => seen(second < 50 ? image : trouble("container", { patience: 30 })),
    ],
    ["of a crash outlasts the moments in which it runs", 60, (second) => seen(second % 10 < 5 ? crash(1) : undefined)],
    ["of a crash outlasts other trouble", 60, (second) => seen(second % 10 < 5 ? crash(1) : trouble("probe"))],
    [
      "of a crash outlasts seeming ready",
      60,
      (second) => (second % 10 < 5 ? seen(crash(1)) : seen(undefined, { judgement: "settling" })),
    ],
    ["of a crash ends with the third", 40, (second) => seen(crash(second < 10 ? 7 : second < 40 ? 8 : 9))],
    [
      "of a crash ends with a recovery",
      111,
      (second) => (second === 50 ? seen(undefined, { judgement: "updated" }) : seen(crash(1))),
    ],
    ["has no end where there is no trouble", undefined, () => seen(undefined)],
  ])("%s", (_title, second, at, deadline) => {
    expect(ends(at, deadline)).toBe(second);
  });
});
