/** See the port: nothing in flight can take effect any more, and nothing that has not moved is meant to. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { lastAttemptOfRun } from "../../../domain/pipeline/attempts.ts";
import { LABELS, ordinalOf } from "../../../domain/workload/render.ts";
import type { PodObject, SetObject } from "../objects.ts";
import type { Outcome, Permitted, Placement } from "../port.ts";
import { findSet, insist, listPods, type Cluster } from "./cluster.ts";
import { closeEpoch, takeEpoch } from "./epoch.ts";
import { isFrozenFor, isOurs, readNotes, targetHash } from "./metadata.ts";
import { insistOnRight, keyOf } from "./right.ts";
import { attemptOf, lastAttemptBefore } from "./taker.ts";

export type FreezeInput = {
  placement: Placement;
  order: string;
  holder: string;
  earlierRuns?: boolean;
  mayAct?: Permitted["mayAct"];
};

export async function freezeWorkload(
  cluster: Cluster,
  { placement, order, holder, earlierRuns = false, mayAct }: FreezeInput,
): Promise<Outcome & { moved: number; total: number }> {
  const key = keyOf(placement);
  const where = `${key.namespace}/${key.name}`;
  const done = (summary: string, moved = 0, total = 0) =>
    ({ outcome: "done", summary, changed: false, moved, total }) as const;
  const attempt = attemptOf(holder);
  // Not the whole order: a run of its pipeline that a person starts later, knowing of this, may go on.
  const upTo = earlierRuns ? lastAttemptBefore(attempt) : lastAttemptOfRun(attempt);
  const found = await insist(cluster, () => findSet(cluster, key));
  if (found === undefined) return done(`${where} does not exist`);
  if (!isOurs(found, placement)) return done(`${where} is not Cellwright's for this service and cell`);
  const { order: owner, frozenUpTo } = readNotes(found);
  const isForeign = owner !== order;
  if (isForeign && (mayAct === undefined || (await mayAct()) !== undefined))
    return done(`${where} does not belong to order ${order}`);
  if (!isForeign && isFrozenFor({ frozenUpTo }, upTo)) {
    // By this call, by a try of it or by a later run: whoever goes on after that must not be disturbed.
    const pods = await insist(cluster, () => listPods(cluster, found.metadata));
    return done(`${where} is frozen already`, movedOf(found, pods).length, found.spec.replicas ?? 1);
  }

  const held = await takeEpoch(cluster, {
    key,
    taker: { role: "freeze", who: holder, startedAt: Date.now() },
    onStamped: () => undefined,
    async check(set, notes) {
      if (!isOurs(set, placement) || notes.order !== owner)
        throw new CellwrightFailure("Superseded", `${where} belongs to order ${notes.order} now`);
      if (!isForeign && isFrozenFor(notes, upTo))
        throw new CellwrightFailure("Superseded", `${where} has been frozen meanwhile, perhaps by a later call or run`);
      if (isForeign && mayAct !== undefined) await insistOnRight(key, order, { mayAct });
    },
  });
  if (isForeign) {
    // A call of this order that has not written yet finds another version, and looks again whether it may.
    await closeEpoch(cluster, held);
    return done(`${where} does not have a template of order ${order}; what may be under way there is void`);
  }
  // Fenced: from here on the pods' revisions stand still, except for pods that are born.
  const pods = await insist(cluster, () => listPods(cluster, held.set.metadata));
  const moved = movedOf(held.set, pods);
  await closeEpoch(cluster, held, (notes) => ({
    ...notes,
    enrolled: new Set(moved),
    frozenUpTo: Math.max(notes.frozenUpTo, upTo),
  }));
  const total = held.set.spec.replicas ?? 1;
  return done(
    `${where} is frozen: ${moved.length} of ${total} pods at revision ${held.notes.revision}`,
    moved.length,
    total,
  );
}

/** Ordinals that are meant to be at the template's revision, and are. */
function movedOf(set: SetObject, pods: readonly PodObject[]): number[] {
  const { enrolled } = readNotes(set);
  const target = targetHash(set);
  return pods.flatMap((pod) => {
    const ordinal = ordinalOf(set.metadata.name, pod.metadata.name);
    const hasMoved =
      ordinal !== undefined &&
      enrolled.has(ordinal) &&
      target !== undefined &&
      pod.metadata.labels?.[LABELS.hash] === target;
    return hasMoved ? [ordinal] : [];
  });
}
