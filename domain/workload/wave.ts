/**
 * How many pods of a group may be taken down now. Pure.
 *
 * A pod is *enrolled* when it is meant to be at the target: from then on anybody may patch it at once (its mover, or the
 * reconciler after an eviction). So pacing is done by enrolling in waves. With nothing unavailable elsewhere, the first
 * wave is the whole group.
 */
import type { Judgement } from "./updated.ts";

export type Standing = {
  /** Unique over the workloads of the group. */
  name: string;
  /** Belongs to the group that is being moved. */
  inGroup: boolean;
  /** Belongs to a workload that this group's mover holds (other cells of the service are only counted). */
  held: boolean;
  enrolled: boolean;
  judgement: Judgement;
  /** Ready now, whatever it runs. */
  available: boolean;
};

export type Wave =
  /** Pods of earlier groups have not come back; nothing of this group starts before. */
  | { kind: "wait-for-earlier"; pods: string[] }
  /** Pods to enrol now; may be none while the running wave is under way. */
  | { kind: "enrol"; pods: string[] };

export function nextWave(standings: readonly Standing[]): Wave {
  const group = standings.filter((pod) => pod.inGroup);
  const outside = standings.filter((pod) => !pod.inGroup);
  const waiting = group.filter((pod) => !pod.enrolled);
  if (waiting.length === 0) return { kind: "enrol", pods: [] };

  // Only before the group's first pod: once it has started, holding it back half-way helps nobody.
  const earlier = outside.filter((pod) => pod.held && pod.enrolled && !isBack(pod));
  if (earlier.length > 0 && waiting.length === group.length) {
    return { kind: "wait-for-earlier", pods: earlier.map((pod) => pod.name) };
  }

  const unavailableElsewhere = outside.filter((pod) => !pod.available).length;
  const limit = Math.max(1, group.length - unavailableElsewhere);
  // What is down already costs nothing more when it is changed, but it does count.
  const free = waiting.filter((pod) => !pod.available);
  const down = group.filter((pod) => (pod.enrolled ? !isBack(pod) : !pod.available)).length;
  const taken = waiting.filter((pod) => pod.available).slice(0, Math.max(0, limit - down));
  return { kind: "enrol", pods: [...free, ...taken].map((pod) => pod.name) };
}

/** An enrolled pod costs availability until it has been ready at the target for long enough. */
function isBack(pod: Standing): boolean {
  return pod.judgement.kind === "updated";
}
