/** What the verbs of the StatefulSet driver share: one cluster, and the plain reads and writes on it. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { CellwrightFailure } from "../../../domain/failures.ts";
import { HELD_BACK, LABELS } from "../../../domain/workload/render.ts";
import { CONTENT, paths, type ClusterClient } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { Log } from "../log.ts";
import { controllerOf, type List, type Meta, type PodObject, type SetObject } from "../objects.ts";
import type { Views } from "../view.ts";
import { annotationPath, storedNotes, writeProgress, type ProgressNotes } from "./metadata.ts";

/** Field managers of server-side apply: one for what a revision decides, one for what changes while pods move. */
export const MANAGER = { template: "cellwright", progress: "cellwright-progress" } as const;

export type Bounds = {
  /** How long the API server may be silent before a verb gives up with ClusterUnreachable, ms. */
  unreachableMs: number;
  /**
   * The same for a look that a person waits for, ms. Two requests that wait for their own bounds, and this, must fit into
   * one try of the operation: it must come to say that the cluster does not answer.
   */
  lookMs: number;
  /** Oldest view on which a mover acts without reading anew, ms. */
  staleMs: number;
  /** Changes of pods under way at once, per workload. */
  concurrency: number;
  /**
   * How long the API server may refuse our identity before that is taken for its answer, ms: one that has just been
   * started refuses what it will allow once it has read its roles (measured on 1.34).
   */
  forbiddenMs: number;
  /** How long the StatefulSet controller may take to see a template, ms. */
  observedMs: number;
  /** How long disruption budgets are asked again before that is something for a person, ms. */
  budgetMs: number;
};

export const BOUNDS: Bounds = {
  unreachableMs: 30_000,
  lookMs: 3_000,
  staleMs: 5000,
  concurrency: 32,
  observedMs: 60_000,
  budgetMs: 15_000,
  forbiddenMs: 10_000,
};

export type Cluster = {
  client: ClusterClient;
  views: Views;
  log: Log;
  bounds: Bounds;
  /** `namespace/name` of the workloads that a mover of this process holds. */
  busy: Set<string>;
};

/** Which workload. */
export type WorkloadKey = { namespace: string; name: string };

/** Committed state, not a cache's. Throws NotFound. */
export async function getSet({ client }: Cluster, { namespace, name }: WorkloadKey): Promise<SetObject> {
  return client.request<SetObject>({ method: "GET", path: paths.set(namespace, name) });
}

export async function findSet(cluster: Cluster, key: WorkloadKey): Promise<SetObject | undefined> {
  return orMissing(getSet(cluster, key));
}

export async function findPod({ client }: Cluster, namespace: string, name: string): Promise<PodObject | undefined> {
  return orMissing(client.request<PodObject>({ method: "GET", path: paths.pod(namespace, name) }));
}

/** The committed pods of a set, read after this call. */
export async function listPods(
  { client }: Cluster,
  { namespace, name, labels = {} }: Pick<Meta, "namespace" | "name" | "labels">,
): Promise<PodObject[]> {
  const own = [LABELS.managedBy, LABELS.service, LABELS.cell].map((key) => `${key}=${labels[key] ?? ""}`);
  const list = await client.request<List<PodObject>>({
    method: "GET",
    path: paths.pods(namespace),
    query: { labelSelector: own.join(",") },
    timeoutMs: 20_000,
  });
  return list.items.filter((pod) => controllerOf(pod) === name);
}

/**
 * Server-side apply. `resourceVersion` and `uid` (see `exactly`) make it a compare-and-swap: Conflict when the object is
 * not exactly that one. Without the uid an apply makes what is missing.
 */
export async function applyObject<T>(
  { client }: Cluster,
  path: string,
  manager: string,
  body: { metadata: { resourceVersion: string; [field: string]: unknown }; [field: string]: unknown },
): Promise<T> {
  return client.request<T>({
    method: "PATCH",
    path,
    query: { fieldManager: manager, force: true },
    contentType: CONTENT.apply,
    body,
  });
}

/** The identity of an object that is to be replaced: another of that name, or none, makes the write fail with Conflict. */
export function exactly({ metadata }: { metadata: Meta }): { uid: string; resourceVersion: string } {
  return { uid: metadata.uid, resourceVersion: metadata.resourceVersion };
}

/**
 * A resource version that no object has. Server-side apply with it creates what is missing and conflicts with what
 * exists, however late it arrives.
 */
export const CREATE_ONLY = "1";

/**
 * Swaps what changes while pods move, if spec and notes of the set are still exactly those of `set`. `window`: whether
 * pods that die come back at the template's revision.
 *
 * The controller's writes of the status, several a second while pods move, do not matter: no resource version is tested
 * but the generation, which every change of the spec raises, and our notes. No two states share both: the epoch only
 * grows, and within one epoch the holder only goes and `enrolled` only grows before it does. Labels and the annotations
 * of others are not part of it.
 *
 * A patch and not an apply: what an apply leaves out falls back to its default, and the default partition, 0, would
 * have the controller itself delete pods.
 */
export async function swapProgress(
  cluster: Cluster,
  set: SetObject,
  notes: ProgressNotes,
  replicas: number,
  window: boolean,
): Promise<SetObject> {
  const { namespace, name, uid, generation, annotations } = set.metadata;
  const unnoted = [
    { op: "test", path: "/metadata/annotations", value: null },
    { op: "add", path: "/metadata/annotations", value: {} },
  ];
  const noted = storedNotes(set).map(([key, value]) => ({ op: "test", path: annotationPath(key), value }));
  try {
    return await cluster.client.request<SetObject>({
      method: "PATCH",
      path: paths.set(namespace, name),
      query: { fieldManager: MANAGER.progress },
      contentType: CONTENT.jsonPatch,
      body: [
        { op: "test", path: "/metadata/uid", value: uid },
        { op: "test", path: "/metadata/generation", value: generation },
        ...(annotations === undefined ? unnoted : noted),
        ...Object.entries(writeProgress(notes)).map(([key, value]) => ({
          op: "add",
          path: annotationPath(key),
          value,
        })),
        { op: "add", path: "/spec/replicas", value: replicas },
        { op: "add", path: "/spec/updateStrategy", value: window ? { type: "OnDelete" } : HELD_BACK },
      ],
    });
  } catch (error) {
    // A test that fails and a change that is not valid are refused alike.
    if (!hasStatus(error, 422)) throw error;
    const now = await getSet(cluster, { namespace, name });
    if (isDeepStrictEqual(tested(now), tested(set))) throw error;
    throw new CellwrightFailure("Conflict", `somebody else changed StatefulSet ${namespace}/${name} first`);
  }
}

function tested(set: SetObject): unknown[] {
  return [set.metadata.uid, set.metadata.generation, storedNotes(set)];
}

/** Deletes the object if it is still exactly this one; one that is gone is fine. Throws Conflict. */
export async function deleteExactly(
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

/** Ends the retrying of something that passes: rethrows what does not pass, and what has lasted too long. */
export function patience({ unreachableMs, forbiddenMs }: Pick<Bounds, "unreachableMs" | "forbiddenMs">): {
  endure(error: unknown): number;
  reset(): void;
} {
  let since: number | undefined;
  let count = 0;
  return {
    /** How long to wait before the next try, ms. */
    endure(error) {
      if (!(error instanceof CellwrightFailure)) throw error;
      const bound = error.type === "ClusterForbidden" ? Math.min(forbiddenMs, unreachableMs) : unreachableMs;
      // Fenced may be worth another attempt of the whole activity, never another try of this one.
      const passes = (error.retryable && error.type !== "Fenced") || error.type === "ClusterForbidden";
      since ??= performance.now();
      if (!passes || performance.now() - since > bound) throw error;
      // A lost swap is tried again from what is there now: that it was lost says that the cluster answers.
      const first = error.type === "Conflict" ? 2 : 50;
      const pause = Math.min(2000, first * 2 ** Math.min(count++, 10)) * (0.5 + Math.random() / 2);
      return Math.max(error.delayMs ?? 0, pause);
    },
    reset() {
      since = undefined;
      count = 0;
    },
  };
}

/** Tries again while the failure is a passing one. `attempt` must be safe to repeat. */
export async function insist<T>({ bounds }: Cluster, attempt: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const limits = patience(bounds);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const pause = limits.endure(error);
      if (signal?.aborted === true) throw error;
      await sleep(pause);
    }
  }
}

/** Runs `work` for every item, at most `limit` at once. Waits for all that have started, then throws the first failure. */
export async function eachAtOnce<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    for (const item of queue) {
      if (failure !== undefined) return;
      try {
        await work(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failure !== undefined) throw failure.error;
}

export function nonce(): string {
  return randomUUID().slice(0, 8);
}

async function orMissing<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

/** Waits for all, then throws the first failure; Fenced first. Nothing goes on behind the caller's back. */
export async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(work));
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  if (failures.length > 0)
    throw failures.find((error) => error instanceof CellwrightFailure && error.type === "Fenced") ?? failures[0];
}
