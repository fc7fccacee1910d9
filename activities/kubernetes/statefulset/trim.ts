/** Takes away what a revision does not want any more: pods, Services, whole workloads. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { paths } from "../client.ts";
import type { SetObject } from "../objects.ts";
import type { Desired, Outcome, Permitted, Placement } from "../port.ts";
import { deleteExactly, findSet, insist, listPods, type Cluster, type WorkloadKey } from "./cluster.ts";
import { closeEpoch, takeEpoch } from "./epoch.ts";
import { untilGone } from "./gone.ts";
import { isOurs, isWindowOpen, readNotes, type Notes } from "./metadata.ts";
import { insistOnRight, insistOnRun, keyOf } from "./right.ts";
import { removeServices, removeServicesIfUnused, serviceNames } from "./services.ts";
import { attemptOf, lastAttemptBefore } from "./taker.ts";

type TrimInput = { desired: Desired; holder: string; startedAt: number };
type RemoveInput = {
  placement: Placement;
  order: string;
  holder: string;
  startedAt: number;
  progressDeadlineSeconds: number;
};

export async function trimWorkload(
  cluster: Cluster,
  { desired, holder, startedAt }: TrimInput,
  progress: Permitted,
): Promise<Outcome> {
  const { placement, order, revision, spec } = desired;
  const key = keyOf(placement);
  const where = `${key.namespace}/${key.name}`;
  const wanted = spec.cells[placement.cell]?.replicas ?? 0;
  const check = async (set: SetObject, notes: Notes) => {
    if (!isOurs(set, placement) || notes.order !== order || notes.revision !== revision)
      throw new CellwrightFailure(
        "Superseded",
        `${where} is at revision ${notes.revision} of order ${notes.order} now, not at revision ${revision} of order ${order}`,
      );
    insistOnRun(key, notes, order, attemptOf(holder));
    await insistOnRight(key, order, progress);
  };
  const found = await insist(cluster, () => findSet(cluster, key), progress.signal);
  if (found === undefined)
    return { outcome: "failed", reason: `${where} does not exist; apply the revision first`, changed: false };
  await check(found, readNotes(found));
  const surplus = Math.max(0, (found.spec.replicas ?? 1) - wanted);
  if (surplus > 0) await scaleDown(cluster, key, { check, holder, order, replicas: wanted, progress });
  const late = await untilGone(
    cluster,
    {
      key,
      isSurplus: (ordinal) => ordinal >= wanted,
      startedAt,
      deadlineSeconds: spec.release.progressDeadlineSeconds,
    },
    progress,
  );
  if (late !== undefined) return { outcome: "failed", reason: late, changed: surplus > 0 };
  const removed = await insist(
    cluster,
    async () => {
      const now = await findSet(cluster, key);
      if (now !== undefined) await check(now, readNotes(now));
      return removeServices(cluster, placement, serviceNames(desired), order, progress);
    },
    progress.signal,
  );
  const services = removed.length === 0 ? "" : `; removed Services ${removed.join(", ")}`;
  return {
    outcome: "done",
    summary: `${where} has ${wanted} pods${surplus === 0 ? "" : `, ${surplus} fewer`}${services}`,
    changed: surplus > 0 || removed.length > 0,
  };
}

/** See the port. */
export async function removeWorkload(cluster: Cluster, input: RemoveInput, progress: Permitted): Promise<Outcome> {
  const { placement, order, holder, startedAt, progressDeadlineSeconds } = input;
  const key = keyOf(placement);
  const where = `${key.namespace}/${key.name}`;
  const attempt = attemptOf(holder);
  const check = async (set: SetObject, notes: Notes) => {
    if (!isOurs(set, placement))
      throw new CellwrightFailure("Superseded", `${where} is not Cellwright's for this service and cell any more`);
    insistOnRun(key, notes, order, attempt);
    await insistOnRight(key, order, progress);
  };
  const found = await insist(cluster, () => findSet(cluster, key), progress.signal);
  if (found !== undefined && !isOurs(found, placement))
    return { outcome: "done", summary: `${where} is not Cellwright's and was left alone`, changed: false };

  if (found !== undefined) {
    const notes = readNotes(found);
    const isQuiet = found.spec.replicas === 0 && notes.holder === "" && notes.enrolled.size === 0;
    if (!isQuiet || isWindowOpen(found)) {
      await check(found, notes);
      await scaleDown(cluster, key, { check, holder, order, replicas: 0, progress });
    }
    const wait = { key, isSurplus: () => true, startedAt, deadlineSeconds: progressDeadlineSeconds };
    const late = await untilGone(cluster, wait, progress);
    if (late !== undefined) return { outcome: "failed", reason: late, changed: true };
    await insist(cluster, () => deleteEmpty(cluster, key, check), progress.signal);
  }
  const services = await insist(
    cluster,
    () => removeServicesIfUnused(cluster, placement, order, progress),
    progress.signal,
  );
  const claims = (found?.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name);
  const parts = [
    found === undefined ? `${where} does not exist` : `${where} was removed`,
    ...(services.length === 0 ? [] : [`Services ${services.join(", ")} were removed`]),
    ...(claims.length === 0 ? [] : [`its volume claims (${claims.join(", ")}) were kept`]),
  ];
  return { outcome: "done", summary: parts.join("; "), changed: found !== undefined || services.length > 0 };
}

type ScaleDown = {
  check: (set: SetObject, notes: Notes) => Promise<void>;
  holder: string;
  order: string;
  replicas: number;
  progress: Permitted;
};

/** Under an epoch of its own, so that nothing that was under way brings the pods back. */
async function scaleDown(
  cluster: Cluster,
  key: WorkloadKey,
  { check, holder, order, replicas, progress }: ScaleDown,
): Promise<void> {
  const held = await takeEpoch(cluster, {
    key,
    taker: { role: replicas === 0 ? "remove" : "trim", who: holder, startedAt: Date.now() },
    check,
    onStamped: () => undefined,
    signal: progress.signal,
  });
  const change = (notes: Notes): Notes => ({
    ...notes,
    enrolled: new Set([...notes.enrolled].filter((ordinal) => ordinal < replicas)),
    ...(notes.order === order && {
      frozenUpTo: Math.max(notes.frozenUpTo, lastAttemptBefore(attemptOf(holder))),
    }),
  });
  await closeEpoch(cluster, held, change, replicas);
}

/** Throws Fenced when somebody has brought pods back, Conflict when it has changed since it was read. */
async function deleteEmpty(cluster: Cluster, key: WorkloadKey, check: ScaleDown["check"]): Promise<void> {
  const set = await findSet(cluster, key);
  if (set === undefined || set.metadata.deletionTimestamp !== undefined) return;
  if ((set.spec.replicas ?? 1) > 0 || (await listPods(cluster, set.metadata)).length > 0)
    throw new CellwrightFailure("Fenced", `${key.namespace}/${key.name} has been given pods again; it was not removed`);
  await check(set, readNotes(set));
  await deleteExactly(cluster, paths.set(key.namespace, key.name), set);
}
