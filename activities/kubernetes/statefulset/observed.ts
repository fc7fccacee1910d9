/** The StatefulSet controller's answer to a change. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { Progress } from "../port.ts";
import { findSet, insist, type Cluster, type WorkloadKey } from "./cluster.ts";
import { targetHash } from "./metadata.ts";

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
