/**
 * Puts enrolled pods right: whatever is meant to be at the template's revision and is not gets patched. Used by the mover
 * and by the reconciler, each under its own epoch.
 */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { LABELS, ordinalOf } from "../../../domain/workload/render.ts";
import type { PodObject, SetObject } from "../objects.ts";
import { isNewer } from "../objects.ts";
import type { NamespaceView } from "../view.ts";
import { eachAtOnce, findPod, type Cluster } from "./cluster.ts";
import { adopt, confirmHeld, fenced, type Held } from "./epoch.ts";
import { epochOf, targetHash, templateImages } from "./metadata.ts";
import { patchPod } from "./patch.ts";

/** What has been done under one epoch, and what of it is not settled. */
export type Hands = {
  /** Pods (uid → name) with a patch whose outcome is not known. While there is one, the epoch must stay open. */
  unknown: Map<string, string>;
  /** Pod → what the cluster answered to the last change that it refused. */
  refusals: Map<string, string>;
  /** The identity lacks a right, and has lacked it for so long that trying on is of no use. */
  forbidden: string | undefined;
  /** Since when (`performance.now()`). */
  forbiddenSince: number | undefined;
  /** No patch before this time (`performance.now()`). */
  notBefore: number;
  /** Names of pods that were changed. */
  moved: Set<string>;
};

export function newHands(): Hands {
  return {
    unknown: new Map(),
    refusals: new Map(),
    forbidden: undefined,
    forbiddenSince: undefined,
    notBefore: 0,
    moved: new Set(),
  };
}

/** Enrolled pods that exist and are not at the template's revision. */
export function duePods(set: SetObject, enrolled: ReadonlySet<number>, pods: readonly PodObject[]): PodObject[] {
  const target = targetHash(set);
  if (target === undefined) return [];
  return pods.filter((pod) => {
    const ordinal = ordinalOf(set.metadata.name, pod.metadata.name);
    return (
      ordinal !== undefined &&
      enrolled.has(ordinal) &&
      pod.metadata.labels?.[LABELS.hash] !== target &&
      pod.metadata.deletionTimestamp === undefined &&
      pod.status?.phase !== "Failed" &&
      pod.status?.phase !== "Succeeded"
    );
  });
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
 * Throws Fenced.
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
  if (target === undefined || performance.now() < hands.notBefore) return;
  const due = duePods(held.set, held.notes.enrolled, pods);
  if (due.length === 0) return;
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
    const { name, uid } = pod.metadata;
    const change = { namespace: held.key.namespace, epoch: held.epoch, hash: target, images, now: new Date() };
    const result = await patchPod(cluster, pod, change);
    switch (result.kind) {
      case "done":
        hands.unknown.delete(uid);
        hands.refusals.delete(name);
        hands.moved.add(name);
        hands.forbiddenSince = undefined;
        view.absorbPod(result.pod);
        return;
      case "outdated":
        // If an earlier try of ours was of unknown outcome: this pod fails its tests now, or never existed any longer.
        if (result.pod?.metadata.uid !== uid || result.pod.metadata.labels?.[LABELS.hash] === target) {
          if (hands.unknown.delete(uid) && result.pod?.metadata.uid === uid) hands.moved.add(name);
        }
        if (result.pod !== undefined) view.absorbPod(result.pod);
        if (result.pod !== undefined && (epochOf(result.pod) ?? 0) > held.epoch) throw fenced(held.key);
        return;
      case "refused":
        hands.refusals.set(name, result.message);
        postpone(hands, 1000);
        if (!result.forbidden) return;
        hands.forbiddenSince ??= performance.now();
        if (performance.now() - hands.forbiddenSince >= cluster.bounds.forbiddenMs) hands.forbidden = result.message;
        return;
      case "later":
        postpone(hands, result.delayMs);
        cluster.log.info({ workload: held.key.name, pod: name, err: result.error.message }, "patch postponed");
        return;
      case "unknown":
        hands.unknown.set(uid, name);
        postpone(hands, 200);
        cluster.log.warn(
          { workload: held.key.name, pod: name, err: result.error.message },
          "outcome of a patch is unknown",
        );
    }
  });
}

function postpone(hands: Hands, ms: number): void {
  hands.notBefore = Math.max(hands.notBefore, performance.now() + ms);
}

/** Looks at the pods with an unsettled patch. Returns whether the epoch may be closed. */
export async function settle(cluster: Cluster, held: Held, hands: Hands): Promise<boolean> {
  for (const [uid, name] of hands.unknown) {
    const pod = await findPod(cluster, held.key.namespace, name);
    if (pod?.metadata.uid !== uid || pod.metadata.labels?.[LABELS.hash] === targetHash(held.set))
      hands.unknown.delete(uid);
  }
  return hands.unknown.size === 0;
}

/** A patch of unknown outcome is settled when its pod is at the target (its test of the old hash fails now) or gone. */
function settleByView(hands: Hands, pods: readonly PodObject[], target: string | undefined): void {
  for (const [uid, name] of hands.unknown) {
    const pod = pods.find((one) => one.metadata.uid === uid);
    if (pod === undefined) continue;
    if (pod.metadata.labels?.[LABELS.hash] === target) {
      hands.unknown.delete(uid);
      hands.moved.add(name);
    }
  }
}
