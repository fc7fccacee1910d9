/** Undo of `apply` while no pod has moved, and the freezing of what has. Why a late undo is harmless: see `apply.ts`. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { lastAttemptOfRun } from "../../../domain/pipeline/attempts.ts";
import { parseOrdinals } from "../../../domain/workload/ordinals.ts";
import { LABELS, ordinalOf, shapeOf } from "../../../domain/workload/render.ts";
import { paths } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { List, SetObject } from "../objects.ts";
import type { Desired, Outcome, Permitted, Placement } from "../port.ts";
import { applyTemplate, digest, findService, insistOnRight, keyOf, untilObserved } from "./apply.ts";
import { findSet, insist, listPods, type Cluster } from "./cluster.ts";
import { attemptOf, formatTaker, swapHeld, takeEpoch } from "./epoch.ts";
import { isOurs, readNotes, targetHash, type Notes } from "./metadata.ts";

export async function restoreWorkload(
  cluster: Cluster,
  desired: Desired,
  previous: (revision: number) => Promise<Desired>,
  progress: Permitted,
): Promise<Outcome> {
  const outcome = await insist(cluster, () => restoreOnce(cluster, desired, previous, progress), progress.signal);
  if (outcome.outcome === "done") await untilObserved(cluster, keyOf(desired.placement), progress);
  return outcome;
}

async function restoreOnce(
  cluster: Cluster,
  desired: Desired,
  previous: (revision: number) => Promise<Desired>,
  progress: Permitted,
): Promise<Outcome> {
  const key = keyOf(desired.placement);
  const where = `${key.namespace}/${key.name}`;
  const done = (summary: string): Outcome => ({ outcome: "done", summary, changed: false });
  const failed = (reason: string): Outcome => ({ outcome: "failed", reason, changed: false });

  let set = await findSet(cluster, key);
  if (set === undefined) {
    await removeServiceIfUnused(cluster, desired, progress);
    return done(`${where} does not exist`);
  }
  let notes = readNotes(set);
  if (!isOurs(set, desired.placement) || notes.order !== desired.order || notes.revision !== desired.revision) {
    return done(`${where} does not have the template of this order's revision ${desired.revision}`);
  }
  if (notes.holder !== "") {
    const check = async (now: SetObject) => {
      const { order, revision } = readNotes(now);
      if (order !== desired.order || revision !== desired.revision)
        throw new CellwrightFailure("Conflict", `${where} changed hands`);
      await insistOnRight(key, desired.order, progress);
    };
    const taker = { role: "restore", who: desired.order, startedAt: Date.now() } as const;
    ({ set, notes } = await takeEpoch(cluster, {
      key,
      taker,
      check,
      onStamped: () => undefined,
      signal: progress.signal,
    }));
  }
  if (notes.enrolled.size > 0)
    return failed(`Pods of ${where} have moved already; going back means a rollback, not an undo`);
  const before = notes.previous;
  if (before === undefined) return failed(`It is not known what ${where} was before revision ${desired.revision}`);
  if (before === null) {
    if ((set.spec.replicas ?? 1) > 0 || (await listPods(cluster, set)).length > 0)
      return failed(`${where} has pods; it is not removed`);
    await insistOnRight(key, desired.order, progress);
    await deleteExactly(cluster, paths.set(key.namespace, key.name), set);
    await removeServiceIfUnused(cluster, desired, progress);
    return done(`${where} was removed; it had been created for revision ${desired.revision}`);
  }
  const former = await previous(before.revision);
  const next: Notes = {
    ...notes,
    epoch: notes.epoch + 1,
    holder: "",
    taker: formatTaker({ role: "restore", who: desired.order, startedAt: Date.now() }),
    enrolled: parseOrdinals(before.enrolled),
    order: before.order,
    revision: before.revision,
    shape: digest(shapeOf(former)),
    previous: undefined,
    frozenUpTo: 0,
  };
  await insistOnRight(key, desired.order, progress);
  await applyTemplate(cluster, former, next, set.spec.replicas ?? 1, set.metadata.resourceVersion);
  return done(`${where} has the template of revision ${before.revision} again`);
}

/** Deletes the object if it is still exactly this one. */
async function deleteExactly(
  { client }: Cluster,
  path: string,
  { metadata }: Pick<SetObject, "metadata">,
): Promise<void> {
  try {
    await client.request({
      method: "DELETE",
      path,
      body: {
        preconditions: { uid: metadata.uid, resourceVersion: metadata.resourceVersion },
        propagationPolicy: "Background",
      },
    });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
  }
}

/** The Service serves all cells of the app service: it goes with the last of them. */
async function removeServiceIfUnused(cluster: Cluster, desired: Desired, progress: Permitted): Promise<void> {
  const { placement } = desired;
  const service = await findService(cluster, placement);
  if (service?.metadata.labels?.[LABELS.workspaceGroup] !== placement.workspaceGroup) return;
  const sets = await cluster.client.request<List<SetObject>>({
    method: "GET",
    path: paths.sets(placement.namespace),
    query: { labelSelector: `${LABELS.service}=${placement.service}` },
  });
  if (sets.items.some((set) => set.metadata.deletionTimestamp === undefined)) return;
  await insistOnRight(keyOf(placement), desired.order, progress);
  await deleteExactly(cluster, paths.service(placement.namespace, placement.service), service);
}

/** See the port: nothing in flight can take effect any more, and nothing that has not moved is meant to. */
export async function freezeWorkload(
  cluster: Cluster,
  { placement, order, holder }: { placement: Placement; order: string; holder: string },
): Promise<Outcome & { moved: number; total: number }> {
  const key = keyOf(placement);
  const where = `${key.namespace}/${key.name}`;
  const nothing = (summary: string) => ({ outcome: "done", summary, changed: false, moved: 0, total: 0 }) as const;
  const found = await insist(cluster, () => findSet(cluster, key));
  if (found === undefined) return nothing(`${where} does not exist`);
  if (!isOurs(found, placement) || readNotes(found).order !== order)
    return nothing(`${where} does not belong to order ${order}`);

  const held = await takeEpoch(cluster, {
    key,
    taker: { role: "freeze", who: holder, startedAt: Date.now() },
    onStamped: () => undefined,
    check: (set, notes) => {
      if (!isOurs(set, placement) || notes.order !== order)
        throw new CellwrightFailure("Superseded", `${where} belongs to order ${notes.order} now`);
    },
  });
  // Fenced: from here on the pods' revisions stand still, except for pods that are born.
  const pods = await insist(cluster, () => listPods(cluster, held.set));
  const target = targetHash(held.set);
  const moved = pods.flatMap((pod) => {
    const ordinal = ordinalOf(key.name, pod.metadata.name);
    return ordinal !== undefined && held.notes.enrolled.has(ordinal) && pod.metadata.labels?.[LABELS.hash] === target
      ? [ordinal]
      : [];
  });
  // Not the whole order: a run of its pipeline that a person starts later, knowing of this, may go on.
  const frozenUpTo = lastAttemptOfRun(attemptOf(holder));
  await swapHeld(cluster, held, (notes) => ({ ...notes, enrolled: new Set(moved), frozenUpTo, holder: "" })).catch(
    (error: unknown) => {
      // Our own swap may have closed it before its answer was lost; anybody else's epoch means that there is a newer holder.
      if (!(error instanceof CellwrightFailure && error.type === "Fenced")) throw error;
    },
  );
  const total = held.set.spec.replicas ?? 1;
  const summary = `${where} is frozen: ${moved.length} of ${total} pods at revision ${held.notes.revision}`;
  return { outcome: "done", summary, changed: false, moved: moved.length, total };
}
