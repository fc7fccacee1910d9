/**
 * What is known of our workloads in one namespace of a cluster, shared by all movers and the reconciler: two watches,
 * however many orders run. Started on demand, kept for a while after its last user has gone.
 */
import { LABELS, MANAGED_BY } from "../../domain/workload/render.ts";
import { paths, type ClusterClient } from "./client.ts";
import { keepCollection } from "./collection.ts";
import type { Log } from "./log.ts";
import { controllerOf, type PodObject, type SetObject } from "./objects.ts";

export type NamespaceView = {
  namespace: string;
  sets(): SetObject[];
  set(name: string): SetObject | undefined;
  /** Pods that this StatefulSet controls. */
  pods(set: string): PodObject[];
  /** ms since both copies were last known to be current. Infinity until the first lists are in. */
  ageMs(): number;
  /** Reads both collections anew, begun after this call. */
  refresh(): Promise<void>;
  /** The same, if they are older. */
  refreshIfOlder(thanMs: number): Promise<void>;
  /** Resolves when the first lists are in, or rejects with what hinders them. */
  ready(): Promise<void>;
  absorbPod: (pod: PodObject) => void;
  absorbSet: (set: SetObject) => void;
  /** ms since epoch by our clock when this pod was seen becoming ready as it is now; undefined if that was not watched. */
  readySeenAt(uid: string): number | undefined;
  /** Calls `listener` after changes of this workload or its pods. Returns the end of it. */
  onChange(set: string, listener: () => void): () => void;
  /** The same for every workload of the namespace, with its name. */
  onAnyChange(listener: (set: string) => void): () => void;
};

export type Views = {
  /** The view of a namespace and its release, to be called once the user is done. */
  acquire(namespace: string): { view: NamespaceView; release: () => void };
  /** Ends all watches. */
  close(): void;
};

type Kept = { view: NamespaceView; users: number; stop: AbortController; idle?: NodeJS.Timeout };

export function createViews({
  client,
  log,
  lingerMs = 60_000,
}: {
  client: ClusterClient;
  log: Log;
  lingerMs?: number;
}): Views {
  const kept = new Map<string, Kept>();
  return {
    acquire(namespace) {
      let entry = kept.get(namespace);
      if (entry === undefined) {
        const stop = new AbortController();
        entry = { view: watchNamespace(client, namespace, stop.signal, log), users: 0, stop };
        kept.set(namespace, entry);
      }
      const mine = entry;
      clearTimeout(mine.idle);
      mine.users++;
      let released = false;
      return {
        view: mine.view,
        release() {
          if (released) return;
          released = true;
          if (--mine.users > 0) return;
          mine.idle = setTimeout(() => {
            mine.stop.abort();
            if (kept.get(namespace) === mine) kept.delete(namespace);
          }, lingerMs);
          mine.idle.unref();
        },
      };
    },
    close() {
      for (const entry of kept.values()) {
        clearTimeout(entry.idle);
        entry.stop.abort();
      }
      kept.clear();
    },
  };
}

function watchNamespace(client: ClusterClient, namespace: string, signal: AbortSignal, log: Log): NamespaceView {
  const listeners = new Set<(set: string) => void>();
  const bySet = new Map<string, Set<string>>();
  const ready = new Map<string, { key: string; at?: number }>();
  const labelSelector = `${LABELS.managedBy}=${MANAGED_BY}`;
  const tell = (set: string) => {
    for (const listener of listeners) listener(set);
  };

  const sets = keepCollection<SetObject>({
    client,
    path: paths.sets(namespace),
    labelSelector,
    signal,
    log,
    onChange: (before, after) => tell((after ?? before)!.metadata.name),
  });
  const pods = keepCollection<PodObject>({
    client,
    path: paths.pods(namespace),
    labelSelector,
    signal,
    log,
    onChange: (before, after, live) => {
      const set = controllerOf((after ?? before)!);
      if (before !== undefined && before.metadata.uid !== after?.metadata.uid) ready.delete(before.metadata.uid);
      if (after !== undefined) rememberReadiness(ready, before, after, live);
      if (set === undefined) return;
      const names = bySet.get(set) ?? new Set();
      if (after === undefined) names.delete(before!.metadata.name);
      else names.add(after.metadata.name);
      if (names.size === 0) bySet.delete(set);
      else bySet.set(set, names);
      tell(set);
    },
  });

  const view: NamespaceView = {
    namespace,
    sets: () => [...sets.all()],
    set: (name) => sets.get(name),
    pods: (set) =>
      [...(bySet.get(set) ?? [])]
        .map((name) => pods.get(name))
        .filter((pod) => pod !== undefined && controllerOf(pod) === set) as PodObject[],
    ageMs: () => Math.max(sets.ageMs(), pods.ageMs()),
    async refresh() {
      await Promise.all([sets.refresh(), pods.refresh()]);
    },
    async refreshIfOlder(thanMs) {
      if (view.ageMs() > thanMs) await view.refresh();
    },
    async ready() {
      if (view.ageMs() === Number.POSITIVE_INFINITY) await view.refresh();
    },
    absorbPod: (pod) => pods.absorb(pod),
    absorbSet: (set) => sets.absorb(set),
    readySeenAt: (uid) => ready.get(uid)?.at,
    onChange: (set, listener) => view.onAnyChange((changed) => changed === set && listener()),
    onAnyChange(listener) {
      const own = (set: string) => listener(set);
      listeners.add(own);
      return () => listeners.delete(own);
    },
  };
  return view;
}

/** Kubernetes' own times of readiness are whole seconds of another machine's clock; what we saw ourselves is better. */
function rememberReadiness(
  ready: Map<string, { key: string; at?: number }>,
  before: PodObject | undefined,
  after: PodObject,
  live: boolean,
): void {
  const key = readyKey(after);
  const uid = after.metadata.uid;
  if (key === undefined) ready.delete(uid);
  else if (ready.get(uid)?.key !== key)
    ready.set(uid, live && before !== undefined ? { key, at: Date.now() } : { key });
}

/** Changes whenever the pod becomes ready again, or a container was replaced so fast that Ready never showed it. */
function readyKey(pod: PodObject): string | undefined {
  const condition = pod.status?.conditions?.find(({ type, status }) => type === "Ready" && status === "True");
  if (condition === undefined) return undefined;
  return [
    condition.lastTransitionTime,
    ...(pod.status?.containerStatuses ?? []).map((container) => container.containerID),
  ].join(" ");
}
