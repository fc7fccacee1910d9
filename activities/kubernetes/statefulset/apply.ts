/**
 * Puts a revision's template in place. Moves no pod: the partition is above every ordinal.
 *
 * A call may come late: its worker or its connection can stand still for any time, while its order ends and another one
 * begins. No clock decides who is late. Every write to a workload or its Service is a compare-and-swap (by its resource
 * version, or `swapProgress`), and between reading what it replaces and sending it, `mayAct` has seen, in Postgres, the
 * order running and holding the service's lock. A newer order writes only after it has taken that lock, so after ours was
 * released, so after our check, so after our read. Then either our write comes first, and the newer order's swap conflicts
 * and starts over from it; or the newer order's comes first, has changed version and epoch, and ours conflicts. A
 * conflict is followed by another read and another check, which refuses. Each order writes the Service once even if
 * nothing differs (its digest names the order), so that this holds for the Service's removal too. What is written over
 * carries its uid too, since an apply would make anew what was removed meanwhile.
 *
 * A workload or Service that is missing has no version: a late creation conflicts with what exists. Else it makes a
 * workload without pods that belongs to no order (`isUnclaimed`): nobody moves pods there, and the next order makes it its
 * own or removes it. Making it one's own is a second write, and a compare-and-swap like every other.
 *
 * Within one order, a rollback follows a forward run. A call of an earlier run finds itself made void, by the workload's
 * notes (`insistOnRun`) in the state that it would swap, and by `mayAct`, which sees in Postgres that a later run of the
 * app's pipeline has begun.
 */
import { once } from "node:events";
import { CellwrightFailure } from "../../../domain/failures.ts";
import { formatOrdinals } from "../../../domain/workload/ordinals.ts";
import { renderStatefulSet } from "../../../domain/workload/render.ts";
import { paths } from "../client.ts";
import type { PodObject, SetObject } from "../objects.ts";
import type { Desired, Outcome, Permitted } from "../port.ts";
import type { NamespaceView } from "../view.ts";
import {
  applyObject,
  CREATE_ONLY,
  deleteExactly,
  exactly,
  findSet,
  insist,
  MANAGER,
  nonce,
  swapProgress,
  type Cluster,
  type WorkloadKey,
} from "./cluster.ts";
import { fixedDigest, shapeDigest } from "./digest.ts";
import { takeEpoch } from "./epoch.ts";
import { fenced } from "./held.ts";
import { isOurs, isUnclaimed, POD, readNotes, targetHash, writeNotes, type Notes, type Recreate } from "./metadata.ts";
import { untilObserved } from "./observed.ts";
import { insistOnRight, insistOnRun, keyOf } from "./right.ts";
import { ensureServices } from "./services.ts";
import { attemptOf, formatTaker, lastAttemptBefore, parseTaker } from "./taker.ts";

export async function applyDesired(
  cluster: Cluster,
  desired: Desired,
  progress: Permitted,
  holder: string,
): Promise<Outcome> {
  const key = keyOf(desired.placement);
  const call: Call = { who: `${desired.order} ${nonce()}`, attempt: attemptOf(holder), firstEpoch: undefined };
  const { view, release } = cluster.views.acquire(key.namespace);
  // For the move that follows, which acts on no old view.
  const renewal = view.refreshIfOlder(cluster.bounds.staleMs).catch(() => undefined);
  const seen = async (): Promise<void> => {
    if (view.ageMs() <= BLIND_MS) return;
    await renewal;
    await view.refreshIfOlder(BLIND_MS);
  };
  try {
    const outcome = await insist(
      cluster,
      () => applyOnce(cluster, { view, seen }, desired, call, progress),
      progress.signal,
    );
    if (outcome.outcome === "done") {
      await untilObserved(cluster, key, progress);
      await Promise.race([renewal, untilAborted(progress.signal)]);
    }
    return outcome;
  } finally {
    release();
  }
}

/** A view of this age has lost its watch, ms: they are renewed every 20 s. */
const BLIND_MS = 30_000;

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

/** One call of `apply` over its tries. */
type Call = { who: string; attempt: number; firstEpoch: number | undefined };

/** One try, from what is there; Conflict and passing failures are for another try. */
async function applyOnce(
  cluster: Cluster,
  { view, seen }: { view: NamespaceView; seen: () => Promise<void> },
  desired: Desired,
  call: Call,
  progress: Permitted,
): Promise<Outcome> {
  const key = keyOf(desired.placement);
  const where = `${key.namespace}/${key.name}`;
  const { order, revision } = desired;
  const failed = (reason: string): Outcome => ({ outcome: "failed", reason, changed: false });
  const found = await findSet(cluster, key);
  const refusal = found === undefined ? undefined : refusalOf(found, desired);
  if (refusal !== undefined) return failed(refusal);
  if (found !== undefined) insistOnRun(key, readNotes(found), order, call.attempt);
  const foreign = await ensureServices(cluster, desired, progress);
  if (foreign !== undefined) return failed(foreign);
  await seen();

  const current = found ?? (await create(cluster, key, desired, progress));
  const before = readNotes(current);
  if (isUnclaimed(before) && before.fixed !== fixedDigest(desired)) {
    await insistOnRight(key, order, progress);
    await deleteExactly(cluster, paths.set(key.namespace, key.name), current);
    throw new CellwrightFailure("Conflict", `${where} was made for another revision, and is made anew`);
  }
  const frozenUpTo = Math.max(before.order === order ? before.frozenUpTo : 0, lastAttemptBefore(call.attempt));
  const isThere = before.order === order && before.revision === revision;
  const done = (summary: string): Outcome => ({ outcome: "done", summary, changed: false });
  if (isThere && before.frozenUpTo === frozenUpTo)
    return done(`${where} has the template of revision ${revision} already`);
  refuseIfOvertaken(key, before, call);
  const { set, notes } =
    before.holder === "" ? { set: current, notes: before } : await fence(cluster, key, desired, call, progress);
  const taken = {
    epoch: notes.epoch + 1,
    holder: "",
    taker: formatTaker({ role: "apply", who: call.who, startedAt: Date.now() }),
    frozenUpTo,
  };
  const replicas = set.spec.replicas ?? 1;
  if (isThere) {
    await insistOnRight(key, order, progress);
    await swapProgress(cluster, set, { ...notes, ...taken }, replicas, false);
    return done(`${where} has the template of revision ${revision}, now for a later run`);
  }
  const next: Notes = {
    ...taken,
    enrolled: new Set(),
    order,
    revision,
    shape: shapeDigest(desired),
    fixed: fixedDigest(desired),
    recreate: recreationFor(set, view.pods(key.name), notes, desired),
    previous: isUnclaimed(notes)
      ? null
      : {
          revision: notes.revision,
          order: notes.order,
          enrolled: formatOrdinals(notes.enrolled),
          recreate: notes.recreate,
        },
  };
  await insistOnRight(key, order, progress);
  view.absorbSet(await applyTemplate(cluster, desired, next, replicas, exactly(set)));
  return done(
    `${where} ${found === undefined ? "was created with" : "has"} the template of revision ${revision}${replicas === 0 ? ", without pods" : ""}`,
  );
}

/** A workload without pods, which no order has made its own. */
async function create(cluster: Cluster, key: WorkloadKey, desired: Desired, progress: Permitted): Promise<SetObject> {
  const notes: Notes = {
    epoch: 0,
    holder: "",
    taker: "",
    enrolled: new Set(),
    order: "",
    revision: 0,
    shape: shapeDigest(desired),
    fixed: fixedDigest(desired),
    recreate: "",
    previous: null,
    frozenUpTo: 0,
  };
  await insistOnRight(key, desired.order, progress);
  return applyTemplate(cluster, desired, notes, 0, { resourceVersion: CREATE_ONLY });
}

/**
 * Which of the pods that exist, or are about to come back, the template cannot be given in place. What decides is
 * committed: pods are all of the noted shape if none had to be recreated for it, or once all of them are promoted; pods
 * made since are like those. `pods`, which may be as old as a view, only tell of those that somebody else has changed.
 */
function recreationFor(set: SetObject, pods: readonly PodObject[], before: Notes, desired: Desired): Recreate {
  if (desired.spec.release.upgrade === "RECREATE") return "all";
  const shape = shapeDigest(desired);
  const target = targetHash(set);
  // Pods that are missing come back at the promoted revision, whose shape is only known if it is the template's.
  const { currentRevision, updatedReplicas = 0, replicas = 0 } = set.status ?? {};
  const isPromoted = target !== undefined && currentRevision === target && updatedReplicas === replicas;
  if (before.shape !== shape || (!isPromoted && before.recreate !== "")) return "different";
  return pods.some((pod) => pod.metadata.annotations?.[POD.shape] !== shape) ? "different" : "";
}

/**
 * Between the tries of one call, somebody else has put another template here or taken ours back: this call comes late,
 * also within its own order. (Against other orders, see above.)
 */
function refuseIfOvertaken(key: WorkloadKey, notes: Notes, call: Call): void {
  call.firstEpoch ??= notes.epoch;
  const last = parseTaker(notes.taker);
  if (notes.epoch === call.firstEpoch || last === undefined || last.who === call.who) return;
  if (last.role !== "move" && last.role !== "reconcile") throw fenced(key, notes);
}

/** Takes the epoch of a workload that somebody left open, so that nothing of it can arrive under the new template. */
async function fence(
  cluster: Cluster,
  key: WorkloadKey,
  desired: Desired,
  call: Call,
  progress: Permitted,
): Promise<{ set: SetObject; notes: Notes }> {
  return takeEpoch(cluster, {
    key,
    taker: { role: "apply", who: call.who, startedAt: Date.now() },
    async check(set, notes) {
      if (!isOurs(set, desired.placement))
        throw new CellwrightFailure("Conflict", `${key.namespace}/${key.name} changed hands`);
      insistOnRun(key, notes, desired.order, call.attempt);
      await insistOnRight(key, desired.order, progress);
    },
    onStamped: () => undefined,
    signal: progress.signal,
  });
}

/**
 * Writes template, notes and replicas in one compare-and-swap; closes a window of recreation. `target`: what is replaced,
 * or that nothing is.
 */
export async function applyTemplate(
  cluster: Cluster,
  desired: Desired,
  notes: Notes,
  replicas: number,
  target: { resourceVersion: string; uid?: string },
): Promise<SetObject> {
  const { apiVersion, kind, metadata, spec } = renderStatefulSet(desired);
  return applyObject<SetObject>(cluster, paths.set(metadata.namespace, metadata.name), MANAGER.template, {
    apiVersion,
    kind,
    metadata: { ...metadata, ...target, annotations: writeNotes(notes) },
    // Always stated: a field that this manager once set and then left out would fall back to its default of one pod.
    spec: { ...spec, template: withShape(spec["template"], notes.shape), replicas },
  });
}

/** So that every pod tells from which shape it was born. */
function withShape(template: unknown, shape: string): unknown {
  const { metadata, ...rest } = template as { metadata: { annotations?: Record<string, string> } };
  return { ...rest, metadata: { ...metadata, annotations: { ...metadata.annotations, [POD.shape]: shape } } };
}

/** Why this revision cannot be put here, for a person. */
function refusalOf(set: SetObject, desired: Desired): string | undefined {
  const { placement, revision, spec } = desired;
  const where = `StatefulSet ${placement.namespace}/${set.metadata.name}`;
  if (!isOurs(set, placement))
    return `${where} exists and is not Cellwright's (of this workspace group, service and cell). Rename it or the app service.`;
  if (set.metadata.deletionTimestamp !== undefined)
    return `${where} is being deleted. Wait until it is gone, then retry.`;
  const notes = readNotes(set);
  if (isUnclaimed(notes) || notes.fixed === fixedDigest(desired)) return undefined;
  const claims = (list: [name: string, size: string][]) =>
    list.length === 0 ? "none" : list.map(([name, size]) => `${name} (${size})`).join(", ");
  const live = claims(
    (set.spec.volumeClaimTemplates ?? []).map((one) => [
      one.metadata.name,
      one.spec?.resources?.requests?.storage ?? "no size",
    ]),
  );
  const wanted = claims(spec.volumeClaimTemplates.map(({ name, size }) => [name, size]));
  return `Revision ${revision} changes what Kubernetes never lets one change on ${where}, such as volume claim templates (there: ${live}; in the revision: ${wanted}), their access modes or storage class. Keep them as in revision ${notes.revision}, or release a revision without cell ${placement.cell} first and then this one.`;
}
