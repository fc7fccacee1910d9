/**
 * The port of workload drivers: how Cellwright reads and moves the pods of app services in one cluster. Verbs are
 * idempotent, may be repeated after any crash, and return the observed world. Expected outcomes are values; only
 * failures of `domain/failures.ts` (and bugs) are thrown.
 *
 * Fencing (design §3): every change of pods runs under an *epoch* of the workload, taken by compare-and-swap on the
 * workload and closed when nothing of it can be in flight any more. Whoever finds an epoch open takes the next one and
 * stamps it on the pods that the former holder may still be patching, before acting.
 */
import type { RevisionSpec } from "../../domain/catalogue/revision.ts";
import type { OperationOutcome } from "../../domain/pipeline/operation.ts";
import type { Placement } from "../../domain/workload/placement.ts";
import type { PodState } from "../../domain/workload/pod-state.ts";

export type { Placement } from "../../domain/workload/placement.ts";

/** What a workload shall be: placement + immutable revision. `order` is the id of the order that wants it. */
export type Desired = { placement: Placement; revision: number; spec: RevisionSpec; order: string };

/** A pod of a group as last observed. `reason`: for a person, why it is not there yet (waiting reason, events). */
export type PodProgress = { cell: string; name: string; state: PodState; reason?: string };

/** One workload as observed, for planning and preview. */
export type WorkloadObservation = {
  cell: string;
  /** Nodes of the cluster that match the cell's node selector. */
  nodes: number;
  /** Absent when the workload does not exist yet. */
  workload?: {
    replicas: number;
    /** Revision number that the live template was rendered from. */
    revision: number;
    /** Digest of the pod template without images, as the live template was rendered. */
    shape: string;
    /** Digest of what can never be changed on this StatefulSet; see `fixedDigest`. */
    fixed: string;
    /** True when every pod is meant to be, and labelled, at the template's revision. */
    promoted: boolean;
  };
  /** Existing pods, by ordinal. */
  pods: ObservedPod[];
};

/**
 * A pod as observed. `shape`: digest of the pod template that it was born from, without images; absent when it was not
 * born from one of ours. A pod whose shape is the target's can be changed in place; any other must be recreated.
 */
export type ObservedPod = { name: string; ready: boolean; images: Record<string, string>; shape?: string };

/** Something that a person must mend before an order on these workloads makes sense. */
export type ObservationFault = { cell?: string; message: string };

/** `workloads` in the order of the placements that were asked for. */
export type Observation = { workloads: (WorkloadObservation & { service: string })[]; faults: ObservationFault[] };

/**
 * `done`: as wanted. `failed`: a person must decide. `blocked`: something outside does not let it go on for now; `reason`
 * says what, and who can lift it; trying again may help. `changed`: whether any pod was changed by this verb (false = the
 * world is as before).
 */
export type Outcome = OperationOutcome;

/** What a long verb gets from its caller. */
export type Progress = {
  /** Aborted when the activity was cancelled or its worker shuts down: stop acting, settle requests in flight, return. */
  signal: AbortSignal;
  /** Called with every pod of the group whenever any state changed. Must not throw, returns at once. */
  report: (pods: PodProgress[]) => void;
};

/**
 * What a verb that writes templates gets besides. `mayAct` says why the order must not write to the workload, or
 * undefined if it may: it has not ended and holds the service's lock. Asked before every write, after what the write
 * replaces has been read, and again before another try.
 */
export type Permitted = Progress & { mayAct: () => Promise<string | undefined> };

export type GroupPart = { desired: Desired; pods: string[] };

export interface WorkloadDriver {
  /** Reads workloads, pods, nodes and rights; acts on nothing. Faults: namespace missing or forbidden, foreign workload of that name, cell without nodes, … */
  observe(input: { namespace: string; placements: Placement[] }): Promise<Observation>;

  /**
   * Ensures the Services and the workload's template; moves no pod (partition). A missing workload is created with 0
   * replicas; replicas are never lowered (see `trim`). Refuses (`failed`) a change of what Kubernetes never lets one change
   * on a StatefulSet, and a workload that is not ours. Remembers what was there before, for `restore`. `holder` ends in
   * `#<attempt>.<try>`; an attempt that a freeze or a later run of its pipeline has overtaken is refused, and so is a call
   * whose order may not act any more: both throw Superseded. The same order may put another revision here (a rollback).
   * Waits until the controller has observed the template.
   */
  apply(desired: Desired, progress: Permitted, holder?: string): Promise<Outcome>;

  /**
   * Undo of `apply` while no pod has moved: the template goes back to what was there before, or the workload, if `apply`
   * created it, goes. `previous` renders the former revision. Throws Superseded when the order may not act any more.
   */
  restore(desired: Desired, previous: (revision: number) => Promise<Desired>, progress: Permitted): Promise<Outcome>;

  /**
   * Moves the pods of one group (one part per cell) to the target and watches until each has been *updated* (design §3)
   * for `readySeconds`. A pod that differs from the target in images only is changed in place, unless the revision's policy
   * is RECREATE; any other is evicted and comes back at the target. `blocked` when a disruption budget has refused an
   * eviction for long. Missing pods are created by raising replicas. Fails the group when nothing has progressed for
   * `progressDeadlineSeconds` counted from `startedAt` (ms since epoch; the person's click, stable over attempts) or the
   * last progress. Resumes from observation. Throws Fenced when another epoch took over.
   */
  move(
    input: { parts: GroupPart[]; holder: string; startedAt: number },
    progress: Progress,
  ): Promise<Outcome & { pods: PodProgress[] }>;

  /**
   * Stops what may be in flight and freezes the workload as it is: takes a fenced epoch, closes a window of recreation that
   * was left open; pods that have not moved yet are no longer meant to. No attempt of this run of the pipeline acts on it
   * again; with `earlierRuns`, only those of earlier runs are made void, and the caller's own run goes on (a rollback).
   */
  freeze(input: {
    placement: Placement;
    order: string;
    holder: string;
    earlierRuns?: boolean;
    /** With it, a workload that still has another order's template is fenced too, and otherwise left as it is. */
    mayAct?: Permitted["mayAct"];
  }): Promise<Outcome & { moved: number; total: number }>;

  /**
   * Brings replicas down to what the revision wants and waits until the surplus pods are gone; removes Services of this app
   * service that the revision no longer wants. Throws Superseded like `apply`, and when the workload is not at the revision.
   */
  trim(input: { desired: Desired; holder: string; startedAt: number }, progress: Permitted): Promise<Outcome>;

  /**
   * Takes a cell's workload away: scales to 0 under a fenced epoch, waits until the pods are gone, deletes the StatefulSet,
   * and with the last workload of the app service its Services. Claims stay. A workload that is missing is done. Throws
   * Superseded like `apply`.
   */
  remove(
    input: { placement: Placement; order: string; holder: string; startedAt: number; progressDeadlineSeconds: number },
    progress: Permitted,
  ): Promise<Outcome>;

  /**
   * Success is more than our own report: every pod updated, as many as the revision wants, no window of recreation open,
   * and the workload has promoted itself. Waits, bounded like `move`.
   */
  verify(
    input: { desired: Desired[]; startedAt: number },
    progress: Progress,
  ): Promise<Outcome & { pods: PodProgress[] }>;
}
