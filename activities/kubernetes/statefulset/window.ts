/** Which pods are due, and whether a window of recreation has to be open for them. Pure. */
import { LABELS, ordinalOf } from "../../../domain/workload/render.ts";
import type { PodObject, SetObject } from "../objects.ts";
import { isWindowOpen, mustBeRecreated, targetHash, type Notes } from "./metadata.ts";

/** Enrolled pods that exist and are not at the template's revision. */
export function duePods(set: SetObject, enrolled: ReadonlySet<number>, pods: readonly PodObject[]): PodObject[] {
  const target = targetHash(set);
  if (target === undefined) return [];
  return pods.filter((pod) => {
    const ordinal = ordinalOf(set.metadata.name, pod.metadata.name);
    return (
      ordinal !== undefined && enrolled.has(ordinal) && pod.metadata.labels?.[LABELS.hash] !== target && isAlive(pod)
    );
  });
}

/** Not leaving and not at its end: those the controller replaces by itself. */
export function isAlive({ metadata, status }: PodObject): boolean {
  return metadata.deletionTimestamp === undefined && status?.phase !== "Failed" && status?.phase !== "Succeeded";
}

/**
 * Whether pods that die have to come back at the template's revision now: while some are to be recreated, and until the
 * last of them is born. Without the window they would come back at the promoted revision, and be recreated once more.
 */
export function isWindowNeeded(
  set: SetObject,
  notes: Pick<Notes, "enrolled" | "recreate" | "shape">,
  pods: readonly PodObject[],
): boolean {
  const target = targetHash(set);
  // Not known just now: as it is.
  if (target === undefined) return isWindowOpen(set);
  if (set.status?.currentRevision === target) return false;
  if (duePods(set, notes.enrolled, pods).some((pod) => mustBeRecreated(notes, pod))) return true;
  if (notes.recreate === "" && !isWindowOpen(set)) return false;
  return areAwaited(set, notes.enrolled, pods);
}

/** Whether any of these ordinals has no pod, or one that is going. */
export function areAwaited(set: SetObject, ordinals: Iterable<number>, pods: readonly PodObject[]): boolean {
  const alive = new Set(pods.filter(isAlive).map((pod) => ordinalOf(set.metadata.name, pod.metadata.name)));
  return [...ordinals].some((ordinal) => !alive.has(ordinal));
}

/** Whether a window would give pods the template's revision that are not meant to have it: they are just coming back. */
export function areOthersAwaited(set: SetObject, enrolled: ReadonlySet<number>, pods: readonly PodObject[]): boolean {
  const others = [...Array(set.spec.replicas ?? 1).keys()].filter((ordinal) => !enrolled.has(ordinal));
  return areAwaited(set, others, pods);
}
