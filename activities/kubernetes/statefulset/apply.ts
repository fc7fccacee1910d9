/**
 * Puts a revision's template in place. Moves no pod: the partition is above every ordinal.
 *
 * A call may come late: its worker or its connection can stand still for any time, while its order ends and another one
 * begins. No clock decides who is late. Every write to a workload or its Service is a compare-and-swap (its resource
 * version), and between reading what it replaces and sending it, `mayAct` has seen, in Postgres, the order running and
 * holding the service's lock. A newer order writes only after it has taken that lock, so after ours was released, so
 * after our check, so after our read. Then either our write comes first, and the newer order's swap conflicts and starts
 * over from it; or the newer order's comes first, has changed the resource version, and ours conflicts. A conflict is
 * followed by another read and another check, which refuses. Each order writes the Service once even if nothing differs
 * (its digest names the order), so that this holds for the Service's removal too. A workload or Service that is missing
 * has no version: a late creation conflicts with what exists, and else makes a workload without pods, which the next
 * order replaces.
 */
import { createHash } from "node:crypto";
import { CellwrightFailure } from "../../../domain/failures.ts";
import { formatOrdinals } from "../../../domain/workload/ordinals.ts";
import { stableJson } from "../../../domain/json.ts";
import {
  LABELS,
  MANAGED_BY,
  renderService,
  renderStatefulSet,
  shapeOf,
  workloadName,
} from "../../../domain/workload/render.ts";
import { paths } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { ServiceObject, SetObject } from "../objects.ts";
import type { Desired, Outcome, Permitted, Placement, Progress } from "../port.ts";
import {
  applyObject,
  CREATE_ONLY,
  findSet,
  insist,
  listPods,
  MANAGER,
  nonce,
  type Cluster,
  type WorkloadKey,
} from "./cluster.ts";
import { attemptOf, fenced, formatTaker, parseTaker, takeEpoch } from "./epoch.ts";
import { isFrozenFor, isOurs, readNotes, targetHash, writeNotes, type Notes } from "./metadata.ts";

/** Annotation of the Service: digest of its rendering, and of the order that wrote it last. */
const SERVICE_DIGEST = "cellwright.io/rendering";

export async function applyDesired(
  cluster: Cluster,
  desired: Desired,
  progress: Permitted,
  holder: string,
): Promise<Outcome> {
  const key = keyOf(desired.placement);
  const call: Call = { who: `${desired.order} ${nonce()}`, attempt: attemptOf(holder), firstEpoch: undefined };
  const outcome = await insist(cluster, () => applyOnce(cluster, key, desired, call, progress), progress.signal);
  if (outcome.outcome === "failed") return outcome;
  await untilObserved(cluster, key, progress);
  return outcome;
}

/** One call of `apply` over its tries. */
type Call = { who: string; attempt: number; firstEpoch: number | undefined };

/** One try, from what is there; Conflict and passing failures are for another try. */
async function applyOnce(
  cluster: Cluster,
  key: WorkloadKey,
  desired: Desired,
  call: Call,
  progress: Permitted,
): Promise<Outcome> {
  const where = `${key.namespace}/${key.name}`;
  const found = await findSet(cluster, key);
  const refusal = found === undefined ? undefined : await refusalOf(cluster, found, desired);
  if (refusal !== undefined) return { outcome: "failed", reason: refusal, changed: false };
  const foreign = await ensureService(cluster, desired, progress);
  if (foreign !== undefined) return { outcome: "failed", reason: foreign, changed: false };

  const shape = digest(shapeOf(desired));
  if (found === undefined) {
    const notes: Notes = {
      epoch: 0,
      holder: "",
      taker: "",
      enrolled: new Set(),
      order: desired.order,
      revision: desired.revision,
      shape,
      previous: null,
      frozenUpTo: 0,
    };
    await insistOnRight(key, desired.order, progress);
    await applyTemplate(cluster, desired, notes, 0, CREATE_ONLY);
    return {
      outcome: "done",
      summary: `${where} created for revision ${desired.revision}, without pods`,
      changed: false,
    };
  }

  const before = readNotes(found);
  if (before.order === desired.order && before.revision === desired.revision) {
    if (isFrozenFor(before, call.attempt))
      throw new CellwrightFailure(
        "Superseded",
        `${where} was frozen; order ${desired.order} does not change it any more`,
      );
    return {
      outcome: "done",
      summary: `${where} has the template of revision ${desired.revision} already`,
      changed: false,
    };
  }
  refuseIfOvertaken(key, before, call);
  const { set, notes } =
    before.holder === "" ? { set: found, notes: before } : await fence(cluster, key, desired, call, progress);
  const next: Notes = {
    epoch: notes.epoch + 1,
    holder: "",
    taker: formatTaker({ role: "apply", who: call.who, startedAt: Date.now() }),
    enrolled: new Set(),
    order: desired.order,
    revision: desired.revision,
    shape,
    previous: {
      revision: notes.revision,
      order: notes.order,
      enrolled: formatOrdinals(notes.enrolled),
      shape: notes.shape,
    },
    frozenUpTo: 0,
  };
  await insistOnRight(key, desired.order, progress);
  await applyTemplate(cluster, desired, next, set.spec.replicas ?? 1, set.metadata.resourceVersion);
  return { outcome: "done", summary: `${where} has the template of revision ${desired.revision}`, changed: false };
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

/** Throws Superseded when the order may not write any more. To be called between the read and the swap of it. */
export async function insistOnRight(key: WorkloadKey, order: string, { mayAct }: Permitted): Promise<void> {
  const refusal = await mayAct();
  if (refusal !== undefined)
    throw new CellwrightFailure(
      "Superseded",
      `${key.namespace}/${key.name} is left alone by order ${order}: ${refusal}`,
    );
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
    async check(set) {
      if (!isOurs(set, desired.placement))
        throw new CellwrightFailure("Conflict", `${key.namespace}/${key.name} changed hands`);
      await insistOnRight(key, desired.order, progress);
    },
    onStamped: () => undefined,
    signal: progress.signal,
  });
}

/** Writes template, notes and replicas in one compare-and-swap. */
export async function applyTemplate(
  cluster: Cluster,
  desired: Desired,
  notes: Notes,
  replicas: number,
  resourceVersion: string,
): Promise<SetObject> {
  const { apiVersion, kind, metadata, spec } = renderStatefulSet(desired);
  return applyObject<SetObject>(cluster, paths.set(metadata.namespace, metadata.name), MANAGER.template, {
    apiVersion,
    kind,
    metadata: { ...metadata, resourceVersion, annotations: writeNotes(notes) },
    // Always stated: a field that this manager once set and then left out would fall back to its default of one pod.
    spec: { ...spec, replicas },
  });
}

/** Why this revision cannot be put here, for a person. */
async function refusalOf(cluster: Cluster, set: SetObject, desired: Desired): Promise<string | undefined> {
  const { placement, revision, spec } = desired;
  const where = `StatefulSet ${placement.namespace}/${set.metadata.name}`;
  if (!isOurs(set, placement))
    return `${where} exists and is not Cellwright's (of this workspace group, service and cell). Rename it or the app service.`;
  if (set.metadata.deletionTimestamp !== undefined)
    return `${where} is being deleted. Wait until it is gone, then retry.`;
  const notes = readNotes(set);
  const replicas = set.spec.replicas ?? 1;
  const wanted = spec.cells[placement.cell]?.replicas ?? 0;
  if (wanted < replicas)
    return `Revision ${revision} wants ${wanted} pods in cell ${placement.cell}, ${replicas} exist. Taking pods away is not supported yet.`;
  if (notes.shape === digest(shapeOf(desired))) return undefined;
  // Without pods there is nothing that would have to be recreated.
  if (replicas === 0 && (await listPods(cluster, set)).length === 0) return undefined;
  return `Revision ${revision} differs from revision ${notes.revision} of ${where} in more than images. That needs recreated pods, which is not supported yet: make a revision that changes only images.`;
}

/** Creates or corrects the headless Service. Returns why it cannot. */
async function ensureService(cluster: Cluster, desired: Desired, progress: Permitted): Promise<string | undefined> {
  const { placement } = desired;
  const manifest = renderService(desired);
  const wanted = digest(`${desired.order}\n${stableJson(manifest)}`);
  const path = paths.service(placement.namespace, placement.service);
  const found = await findService(cluster, placement);
  const labels = found?.metadata.labels ?? {};
  const isForeign =
    labels[LABELS.managedBy] !== MANAGED_BY || labels[LABELS.workspaceGroup] !== placement.workspaceGroup;
  if (found !== undefined && isForeign) {
    return `Service ${placement.namespace}/${placement.service} exists and is not Cellwright's. Rename it or the app service.`;
  }
  if (found?.metadata.annotations?.[SERVICE_DIGEST] === wanted) return undefined;
  await insistOnRight(keyOf(placement), desired.order, progress);
  await applyObject(cluster, path, MANAGER.template, {
    ...manifest,
    metadata: {
      ...manifest.metadata,
      resourceVersion: found?.metadata.resourceVersion ?? CREATE_ONLY,
      annotations: { [SERVICE_DIGEST]: wanted },
    },
  });
  return undefined;
}

export async function findService(
  { client }: Cluster,
  { namespace, service }: Placement,
): Promise<ServiceObject | undefined> {
  try {
    return await client.request<ServiceObject>({ method: "GET", path: paths.service(namespace, service) });
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

/** Waits until the controller has made a revision of the template. Throws ClusterUnreachable when it does not. */
export async function untilObserved(
  cluster: Cluster,
  key: WorkloadKey,
  progress: Pick<Progress, "signal">,
): Promise<void> {
  const { view, release } = cluster.views.acquire(key.namespace);
  try {
    const committed = await insist(cluster, () => findSet(cluster, key), progress.signal);
    if (committed === undefined || targetHash(committed) !== undefined) return;
    const wanted = committed.metadata.generation ?? 0;
    await insist(cluster, () => view.ready(), progress.signal);
    await new Promise<void>((resolve, reject) => {
      const isSeen = () => (view.set(key.name)?.status?.observedGeneration ?? 0) >= wanted;
      const end = (error?: CellwrightFailure) => {
        stop();
        clearTimeout(timer);
        progress.signal.removeEventListener("abort", aborted);
        if (error === undefined) resolve();
        else reject(error);
      };
      const aborted = () => end();
      const stop = view.onChange(key.name, () => isSeen() && end());
      const timer = setTimeout(() => {
        const text = `The StatefulSet controller of cluster ${cluster.client.cluster} has not noticed the change of ${key.namespace}/${key.name}; is kube-controller-manager running?`;
        end(new CellwrightFailure("ClusterUnreachable", text));
      }, cluster.bounds.observedMs);
      progress.signal.addEventListener("abort", aborted);
      if (isSeen() || progress.signal.aborted) end();
    });
  } finally {
    release();
  }
}

export function keyOf(placement: Placement): WorkloadKey {
  return { namespace: placement.namespace, name: workloadName(placement.service, placement.cell) };
}

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
