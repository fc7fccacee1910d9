/** Watches the pods of one namespace, with a connection and an identity of its own: the judge of when a change is done. */
import { paths, type ClusterClient } from "../activities/kubernetes/client.ts";
import type { List, PodObject } from "../activities/kubernetes/objects.ts";

export type Witness = {
  pods(): PodObject[];
  /** When the news came in after which `holds` is true, by `performance.now()`. */
  until(what: string, holds: (pods: PodObject[]) => boolean): Promise<number>;
  close(): void;
};

/** Ends a wait that lasts too long, ms. */
const BOUND = 5 * 60_000;
/** Of one watch request, seconds. */
const WATCH = 300;

export async function openWitness(client: ClusterClient, namespace: string): Promise<Witness> {
  const path = paths.pods(namespace);
  const pods = new Map<string, PodObject>();
  const end = new AbortController();
  const listeners = new Set<() => void>();
  const list = await client.request<List<PodObject>>({ method: "GET", path });
  for (const pod of list.items) pods.set(pod.metadata.name, pod);
  let version = list.metadata.resourceVersion;
  let failure: Error | undefined;

  const watch = async (): Promise<void> => {
    while (!end.signal.aborted) {
      await client.watch({
        path,
        query: { resourceVersion: version, timeoutSeconds: WATCH },
        silenceMs: (WATCH + 10) * 1000,
        signal: end.signal,
        onContact: () => undefined,
        onEvent: ({ type, object }) => {
          if (type === "ERROR") throw new Error(`the watch of ${namespace} has ended: ${JSON.stringify(object)}`);
          const pod = object as PodObject;
          version = pod.metadata.resourceVersion;
          if (type === "BOOKMARK") return;
          if (type === "DELETED") pods.delete(pod.metadata.name);
          else pods.set(pod.metadata.name, pod);
          for (const listener of listeners) listener();
        },
      });
    }
  };
  watch().catch((error: unknown) => {
    if (end.signal.aborted) return;
    failure = error instanceof Error ? error : new Error(String(error));
    for (const listener of listeners) listener();
  });

  return {
    pods: () => [...pods.values()],
    until: (what, holds) =>
      new Promise((resolve, reject) => {
        const settle = (act: () => void): void => {
          clearTimeout(timer);
          listeners.delete(look);
          act();
        };
        const look = (): void => {
          if (failure !== undefined) settle(() => reject(failure));
          else if (holds([...pods.values()])) {
            const at = performance.now();
            settle(() => resolve(at));
          }
        };
        const timer = setTimeout(
          () => settle(() => reject(new Error(`${what}: not within ${BOUND / 1000} s in namespace ${namespace}`))),
          BOUND,
        );
        listeners.add(look);
        look();
      }),
    close: () => end.abort(),
  };
}

/** True when there are just `count` pods, and each runs the image and is ready. */
export function allRun(image: string, count: number): (pods: PodObject[]) => boolean {
  return (pods) => pods.length === count && pods.every((pod) => runs(pod, image));
}

export function runs({ metadata, spec, status }: PodObject, image: string): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    spec.containers[0]?.image === image &&
    status?.containerStatuses?.[0]?.image === image &&
    status.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true
  );
}
