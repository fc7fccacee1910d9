/**
 * How long stuck pods are waited for: each kind of trouble has its own bound, counted from when it was first seen
 * without interruption. Pure.
 */
import type { Stuck, StuckKind } from "./stuck-kinds.ts";
import type { Judgement } from "./updated.ts";

/** A pod's trouble, since when it has been seen. */
type Sighting = {
  pod: string;
  /** Uid and revision: another pod of that name, or another change of it, begins anew. */
  identity: string;
  kind: StuckKind;
  since: number;
  /** Restarts at that time. */
  restarts: number;
};

export type Sightings = readonly Sighting[];

/** A pod as it is seen now. `stuck`: what `diagnose` found. */
export type Seen = {
  pod: string;
  identity: string;
  judgement: Judgement["kind"];
  stuck: Stuck | undefined;
};

/** The container was seen crashing after its first restart: two more make three. */
const MORE_CRASHES = 2;

/** What is known after this look. */
export function sight(before: Sightings, looks: readonly Seen[], now: number): Sightings {
  return looks.flatMap(({ pod, identity, judgement, stuck }) => {
    const known = before.filter((one) => one.pod === pod && one.identity === identity);
    // Between two crashes a container runs, and even seems ready: only time tells that it has recovered.
    const crashing = known.filter(
      (one) => one.kind === "crash-loop" && stuck?.kind !== "crash-loop" && judgement !== "updated",
    );
    if (stuck === undefined) return crashing;
    const same = known.find((one) => one.kind === stuck.kind);
    return [...crashing, same ?? { pod, identity, kind: stuck.kind, since: now, restarts: stuck.restarts ?? 0 }];
  });
}

/** Pods whose trouble has lasted as long as it may. `deadlineSeconds`: the policy's, an upper bound for all kinds. */
export function overdue(
  sightings: Sightings,
  looks: readonly Seen[],
  now: number,
  deadlineSeconds: number,
): { pod: string; stuck: Stuck; seconds: number }[] {
  return looks.flatMap(({ pod, stuck }) => {
    const sighting = sightings.find((one) => one.pod === pod && one.kind === stuck?.kind);
    if (stuck === undefined || sighting === undefined) return [];
    const lasted = (now - sighting.since) / 1000;
    const bound = Math.min(stuck.patience ?? deadlineSeconds, deadlineSeconds);
    // Counted from what was seen first: a person who tries again after mending what it needs is not told of the past.
    const crashes = (stuck.restarts ?? 0) - sighting.restarts;
    return lasted >= bound || crashes >= MORE_CRASHES ? [{ pod, stuck, seconds: Math.round(lasted) }] : [];
  });
}
