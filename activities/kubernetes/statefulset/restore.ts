/** Undo of `apply` while no pod has moved. Why a late undo is harmless: see `apply.ts`. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { parseOrdinals } from "../../../domain/workload/ordinals.ts";
import { paths } from "../client.ts";
import type { SetObject } from "../objects.ts";
import type { Desired, Outcome, Permitted } from "../port.ts";
import { applyTemplate } from "./apply.ts";
import { deleteExactly, exactly, findSet, insist, listPods, type Cluster } from "./cluster.ts";
import { fixedDigest, shapeDigest } from "./digest.ts";
import { takeEpoch } from "./epoch.ts";
import { isOurs, isUnclaimed, readNotes, type Notes } from "./metadata.ts";
import { untilObserved } from "./observed.ts";
import { insistOnRight, keyOf } from "./right.ts";
import { ensureServices, removeServices, removeServicesIfUnused, serviceNames } from "./services.ts";
import { formatTaker } from "./taker.ts";

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
    await removeServicesIfUnused(cluster, desired.placement, desired.order, progress);
    return done(`${where} does not exist`);
  }
  let notes = readNotes(set);
  const isIts = notes.order === desired.order && notes.revision === desired.revision;
  if (!isOurs(set, desired.placement) || !(isIts || isUnclaimed(notes))) {
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
    if ((set.spec.replicas ?? 1) > 0 || (await listPods(cluster, set.metadata)).length > 0)
      return failed(`${where} has pods; it is not removed`);
    await insistOnRight(key, desired.order, progress);
    await deleteExactly(cluster, paths.set(key.namespace, key.name), set);
    await removeServicesIfUnused(cluster, desired.placement, desired.order, progress);
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
    shape: shapeDigest(former),
    fixed: fixedDigest(former),
    recreate: before.recreate,
    previous: undefined,
    frozenUpTo: before.order === desired.order ? notes.frozenUpTo : 0,
  };
  const foreign = await ensureServices(cluster, former, progress);
  if (foreign !== undefined) return failed(foreign);
  await removeServices(cluster, desired.placement, serviceNames(former), desired.order, progress);
  await insistOnRight(key, desired.order, progress);
  await applyTemplate(cluster, former, next, set.spec.replicas ?? 1, exactly(set));
  return done(`${where} has the template of revision ${before.revision} again`);
}
