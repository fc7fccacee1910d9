/**
 * A live copy of one collection (pods or StatefulSets of a namespace), kept by list and watch.
 *
 * One loop does everything in order: list, then watch from the list's version; a watch that ends is continued from the
 * last version seen; 410 or an explicit `refresh` lists again. Watches are bounded in time and in silence, so a
 * connection whose other end has gone is noticed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CellwrightFailure } from "../../domain/failures.ts";
import type { ClusterClient, WatchEvent } from "./client.ts";
import { ClusterError, hasStatus } from "./errors.ts";
import type { Log } from "./log.ts";
import { isNewer, type List, type Meta } from "./objects.ts";

type KubernetesObject = { metadata: Meta };

export type Collection<T extends KubernetesObject> = {
  all(): Iterable<T>;
  get(name: string): T | undefined;
  /** ms since the API server last proved that this copy is current. Infinity before the first list. */
  ageMs(): number;
  /** Lists anew and resolves when that list, begun after this call, is in. Rejects with ClusterUnreachable & co. */
  refresh(): Promise<void>;
  /** Takes in an object that a write of ours returned, if it is newer than what is here. */
  absorb(object: T): void;
};

export type CollectionOptions<T extends KubernetesObject> = {
  client: ClusterClient;
  path: string;
  labelSelector: string;
  signal: AbortSignal;
  log: Log;
  /** After every change. `before`/`after` undefined: appeared/disappeared. `live`: seen as it happened, by watch. */
  onChange: (before: T | undefined, after: T | undefined, live: boolean) => void;
  /** Longest life of one watch request, seconds. */
  watchSeconds?: number;
};

const LONGEST_PAUSE_MS = 5000;
const LIST_TIMEOUT_MS = 20_000;

export function keepCollection<T extends KubernetesObject>(options: CollectionOptions<T>): Collection<T> {
  const { client, path, labelSelector, signal, log, onChange, watchSeconds = 20 } = options;
  const objects = new Map<string, T>();
  let contactAt = Number.NEGATIVE_INFINITY;
  let version = "";
  /** Who waits for the next list, and a handle that ends the present watch or pause for it. */
  let waiting: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  let interruption = new AbortController();

  function put(object: T, live: boolean): void {
    const before = objects.get(object.metadata.name);
    if (before !== undefined && !isNewer(object.metadata, before.metadata)) return;
    objects.set(object.metadata.name, object);
    onChange(before, object, live);
  }

  function remove(object: T, live: boolean): void {
    const before = objects.get(object.metadata.name);
    if (before === undefined || isNewer(before.metadata, object.metadata)) return;
    objects.delete(object.metadata.name);
    onChange(before, undefined, live);
  }

  /** Without a resource version, so the API server answers with what is committed, not with its cache. */
  async function list(): Promise<void> {
    const served = waiting;
    waiting = [];
    try {
      const found = await client.request<List<T>>({
        method: "GET",
        path,
        query: { labelSelector },
        timeoutMs: LIST_TIMEOUT_MS,
        signal,
      });
      const names = new Set(found.items.map((item) => item.metadata.name));
      for (const object of objects.values()) {
        if (!names.has(object.metadata.name))
          remove(
            { ...object, metadata: { ...object.metadata, resourceVersion: found.metadata.resourceVersion } },
            false,
          );
      }
      for (const object of found.items) put(object, false);
      version = found.metadata.resourceVersion;
      contactAt = performance.now();
      for (const waiter of served) waiter.resolve();
    } catch (error) {
      for (const waiter of served) waiter.reject(error);
      throw error;
    }
  }

  function take(event: WatchEvent): void {
    if (event.type === "ERROR") {
      const status = event.object as { code?: number; reason?: string };
      throw new ClusterError("Conflict", `watch of ${path} ended by the API server (${status.reason ?? status.code})`, {
        outcome: "refused",
        status: status.code ?? 500,
      });
    }
    const object = event.object as T;
    version = object.metadata.resourceVersion;
    if (event.type === "DELETED") remove(object, true);
    else if (event.type !== "BOOKMARK") put(object, true);
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      interruption = new AbortController();
      try {
        if (version === "" || waiting.length > 0) await list();
        await client.watch({
          path,
          query: { labelSelector, resourceVersion: version, timeoutSeconds: watchSeconds },
          silenceMs: (watchSeconds + 5) * 1000,
          signal: AbortSignal.any([signal, interruption.signal]),
          onContact: () => {
            contactAt = performance.now();
            failures = 0;
          },
          onEvent: take,
        });
      } catch (error) {
        if (signal.aborted) break;
        if (waiting.length > 0 && interruption.signal.aborted) continue;
        if (hasStatus(error, 410)) version = "";
        // Anything that is not a known failure is a bug of ours (or an unreadable answer): say so, list anew, go on.
        if (!(error instanceof CellwrightFailure)) version = "";
        failures++;
        const bound = Math.min(LONGEST_PAUSE_MS, 100 * 2 ** Math.min(failures, 10));
        const pause = Math.max(
          error instanceof CellwrightFailure ? (error.delayMs ?? 0) : 0,
          bound * (0.5 + Math.random() / 2),
        );
        log.warn(
          { cluster: client.cluster, path, pauseMs: Math.round(pause), err: message(error) },
          "watch interrupted",
        );
        await sleep(pause, undefined, { signal: AbortSignal.any([signal, interruption.signal]) }).catch(
          () => undefined,
        );
      }
    }
    for (const waiter of waiting)
      waiter.reject(new CellwrightFailure("ClusterUnreachable", `The view of cluster ${client.cluster} was closed`));
  }
  void run();

  return {
    all: () => objects.values(),
    get: (name) => objects.get(name),
    ageMs: () => performance.now() - contactAt,
    refresh: async () => {
      if (signal.aborted)
        throw new CellwrightFailure("ClusterUnreachable", `The view of cluster ${client.cluster} was closed`);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push({ resolve, reject });
      interruption.abort();
      return promise;
    },
    absorb: (object) => {
      // Only what is here already: an object that has been deleted meanwhile must not come back by an old answer.
      if (objects.get(object.metadata.name)?.metadata.uid === object.metadata.uid) put(object, false);
    },
  };
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
