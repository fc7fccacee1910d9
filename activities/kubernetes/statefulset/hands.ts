/**
 * Puts enrolled pods right: whatever is meant to be at the template's revision and is not gets patched or, where a patch
 * cannot bring it there, evicted. Used by the mover
 * and by the reconciler, each under its own epoch.
 */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { LABELS } from "../../../domain/workload/render.ts";
import type { PodObject } from "../objects.ts";
import { isNewer } from "../objects.ts";
import type { NamespaceView } from "../view.ts";
import { eachAtOnce, findPod, type Cluster } from "./cluster.ts";
import { confirmHeld, swapHeld } from "./epoch.ts";
import { evictPod, type EvictResult } from "./evict.ts";
import { adopt, fenced, type Held } from "./held.ts";
import { epochOf, isWindowOpen, mustBeRecreated, targetHash, templateImages } from "./metadata.ts";
import { patchPod, type PatchResult } from "./patch.ts";
import { areOthersAwaited, duePods, isAlive, isWindowNeeded } from "./window.ts";

/** How long disruption budgets are left in peace after a refusal, ms. */
const BUDGET_PAUSE_MS = 500;

/** How long a window waits for pods that are not meant to be at the template's revision and are just coming back, ms. */
const OTHERS_MS = 10_000;

/** What has been done under one epoch, and what of it is not settled. */
export type Hands = {
  /** Pods (uid → name) with a change whose outcome is not known. While there is one, the epoch must stay open. */
  unknown: Map<string, string>;
  /** Uids of pods whose eviction was accepted. */
  evicted: Set<string>;
  /** Pod → what a disruption budget said that does not let it go, and since when (ms since epoch). */
  budgets: Map<string, { message: string; since: number }>;
  /** Since when a window has been waited for (`performance.now()`). */
  windowSince: number | undefined;
  /** No eviction before this time (`performance.now()`). */
  noEvictionBefore: number;
  /** Pod → what the cluster answered to the last change that it refused. */
  refusals: Map<string, string>;
  /** The identity lacks a right, and has lacked it for so long that trying on is of no use. */
  forbidden: string | undefined;
  /** Since when (`performance.now()`). */
  forbiddenSince: number | undefined;
  /** No change before this time (`performance.now()`). */
  notBefore: number;
  /** Names of pods that were changed. */
  moved: Set<string>;
};

export function newHands(): Hands {
  return {
    unknown: new Map(),
    evicted: new Set(),
    budgets: new Map(),
    windowSince: undefined,
    noEvictionBefore: 0,
    refusals: new Map(),
    forbidden: undefined,
    forbiddenSince: undefined,
    notBefore: 0,
    moved: new Set(),
  };
}

/** Takes in what the view knows newer of the workload. Throws Fenced, or NotFound when it is gone. */
export function catchUp(held: Held, view: NamespaceView): void {
  const seen = view.set(held.key.name);
  if (seen !== undefined && seen.metadata.uid !== held.set.metadata.uid) {
    throw new CellwrightFailure("Fenced", `${held.key.namespace}/${held.key.name} was deleted and made anew`);
  }
  if (seen !== undefined && isNewer(seen.metadata, held.set.metadata)) adopt(held, seen);
}

/**
 * One round over all pods that are due. Returns when every request of it has been answered or has run into its bound.
 * Opens a window of recreation when pods have to be recreated, and closes it once they are born. Throws Fenced.
 */
export async function putRight(
  cluster: Cluster,
  held: Held,
  view: NamespaceView,
  hands: Hands,
  signal?: AbortSignal,
): Promise<void> {
  catchUp(held, view);
  const pods = view.pods(held.key.name);
  const target = targetHash(held.set);
  settleByView(hands, pods, target);
  if (target === undefined) return;
  const window = isWindowNeeded(held.set, held.notes, pods);
  if (window !== isWindowOpen(held.set)) {
    if (window && areOthersAwaited(held.set, held.notes.enrolled, pods)) {
      hands.windowSince ??= performance.now();
      if (performance.now() - hands.windowSince < OTHERS_MS) return;
    }
    hands.windowSince = undefined;
    await swapHeld(cluster, held, (notes) => notes, { window });
    view.absorbSet(held.set);
    // Pods are made as the controller knows the set: it has to see the window before any pod goes.
    if (window) return;
  }
  const due = duePods(held.set, held.notes.enrolled, pods);
  if (due.length === 0 || performance.now() < hands.notBefore) return;
  if (due.some((pod) => (epochOf(pod) ?? 0) > held.epoch)) throw fenced(held.key);
  if (due.some((pod) => !held.vetted.has(pod.metadata.uid)))
    await confirmHeld(
      cluster,
      held,
      pods.map((pod) => pod.metadata.uid),
    );

  const images = templateImages(held.set);
  await eachAtOnce(due, cluster.bounds.concurrency, async (pod) => {
    if (signal?.aborted === true || hands.forbidden !== undefined || performance.now() < hands.notBefore) return;
    if (mustBeRecreated(held.notes, pod)) {
      if (hands.evicted.has(pod.metadata.uid) || performance.now() < hands.noEvictionBefore) return;
      noteEviction(cluster, held, view, hands, pod, await evictPod(cluster, pod));
    } else {
      const change = { namespace: held.key.namespace, epoch: held.epoch, hash: target, images, now: new Date() };
      notePatch(cluster, held, view, hands, pod, await patchPod(cluster, pod, change));
    }
  });
}

function notePatch(
  cluster: Cluster,
  held: Held,
  view: NamespaceView,
  hands: Hands,
  pod: PodObject,
  result: PatchResult,
): void {
  const { name, uid } = pod.metadata;
  switch (result.kind) {
    case "done":
      hands.unknown.delete(uid);
      noteSuccess(hands, name);
      view.absorbPod(result.pod);
      return;
    case "outdated":
      // If an earlier try of ours was of unknown outcome: this pod fails its tests now, or never existed any longer.
      if (result.pod?.metadata.uid !== uid || result.pod.metadata.labels?.[LABELS.hash] === targetHash(held.set)) {
        if (hands.unknown.delete(uid) && result.pod?.metadata.uid === uid) hands.moved.add(name);
      }
      noteOutdated(held, view, result.pod);
      return;
    default:
      noteHindrance(cluster, held, hands, pod, result);
  }
}

function noteEviction(
  cluster: Cluster,
  held: Held,
  view: NamespaceView,
  hands: Hands,
  pod: PodObject,
  result: EvictResult,
): void {
  const { name, uid } = pod.metadata;
  switch (result.kind) {
    case "done":
      hands.unknown.delete(uid);
      hands.evicted.add(uid);
      hands.budgets.delete(name);
      noteSuccess(hands, name);
      return;
    case "outdated":
      if (result.pod?.metadata.uid !== uid || !isAlive(result.pod)) {
        if (hands.unknown.delete(uid)) hands.moved.add(name);
        hands.budgets.delete(name);
      }
      noteOutdated(held, view, result.pod);
      return;
    case "budget":
      hands.budgets.set(name, { message: result.message, since: hands.budgets.get(name)?.since ?? Date.now() });
      hands.noEvictionBefore = performance.now() + BUDGET_PAUSE_MS;
      return;
    default:
      noteHindrance(cluster, held, hands, pod, result);
  }
}

function noteSuccess(hands: Hands, name: string): void {
  hands.refusals.delete(name);
  hands.moved.add(name);
  hands.forbiddenSince = undefined;
}

function noteOutdated(held: Held, view: NamespaceView, now: PodObject | undefined): void {
  if (now === undefined) return;
  view.absorbPod(now);
  if ((epochOf(now) ?? 0) > held.epoch) throw fenced(held.key);
}

function noteHindrance(
  cluster: Cluster,
  held: Held,
  hands: Hands,
  { metadata: { name, uid } }: PodObject,
  result: Extract<PatchResult | EvictResult, { kind: "refused" | "later" | "unknown" }>,
): void {
  switch (result.kind) {
    case "refused":
      hands.refusals.set(name, result.message);
      postpone(hands, 1000);
      if (!result.forbidden) return;
      hands.forbiddenSince ??= performance.now();
      if (performance.now() - hands.forbiddenSince >= cluster.bounds.forbiddenMs) hands.forbidden = result.message;
      return;
    case "later":
      postpone(hands, result.delayMs);
      cluster.log.info({ workload: held.key.name, pod: name, err: result.error.message }, "change postponed");
      return;
    case "unknown":
      hands.unknown.set(uid, name);
      postpone(hands, 200);
      cluster.log.warn(
        { workload: held.key.name, pod: name, err: result.error.message },
        "outcome of a change is unknown",
      );
  }
}

function postpone(hands: Hands, ms: number): void {
  hands.notBefore = Math.max(hands.notBefore, performance.now() + ms);
}

/** Looks at the pods with an unsettled change. Returns whether the epoch may be closed. */
export async function settle(cluster: Cluster, held: Held, hands: Hands): Promise<boolean> {
  for (const [uid, name] of hands.unknown) {
    const pod = await findPod(cluster, held.key.namespace, name);
    if (pod === undefined || isSettled(pod, uid, targetHash(held.set))) hands.unknown.delete(uid);
  }
  return hands.unknown.size === 0;
}

/**
 * A change of unknown outcome is settled when its pod is at the target (a patch's test of the old hash fails now, and an
 * eviction's precondition), is leaving, or is gone.
 */
function isSettled(pod: PodObject, uid: string, target: string | undefined): boolean {
  const { metadata } = pod;
  return (
    metadata.uid !== uid ||
    metadata.deletionTimestamp !== undefined ||
    (target !== undefined && metadata.labels?.[LABELS.hash] === target)
  );
}

function settleByView(hands: Hands, pods: readonly PodObject[], target: string | undefined): void {
  for (const [uid, name] of hands.unknown) {
    const pod = pods.find((one) => one.metadata.uid === uid);
    if (pod === undefined || !isSettled(pod, uid, target)) continue;
    hands.unknown.delete(uid);
    hands.moved.add(name);
  }
}
