/** Stamping: the taker of an open epoch writes its number on every pod that the former holder could still change. */
import { LABELS, ordinalOf } from "../../../domain/workload/render.ts";
import { CONTENT, paths } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { PodObject } from "../objects.ts";
import { eachAtOnce, findPod, insist, listPods, type Cluster } from "./cluster.ts";
import { fenced, type Held } from "./held.ts";
import { EPOCH_PATH, POD, epochOf, targetHash } from "./metadata.ts";

type OnStamped = (pod: PodObject) => void;

/** Rule 3 of `epoch.ts`. Returns when no late request of an earlier holder can take effect any more. Throws Fenced. */
export async function stampPods(cluster: Cluster, held: Held, onStamped: OnStamped): Promise<void> {
  const pods = await insist(cluster, () => listPods(cluster, held.set.metadata));
  const target = targetHash(held.set);
  const inReach = pods.filter((pod) => {
    const ordinal = ordinalOf(held.key.name, pod.metadata.name);
    return (
      ordinal !== undefined &&
      held.notes.enrolled.has(ordinal) &&
      (target === undefined || pod.metadata.labels?.[LABELS.hash] !== target)
    );
  });
  cluster.log.info({ workload: held.key.name, epoch: held.epoch, pods: inReach.length }, "fencing the former holder");
  await eachAtOnce(inReach, cluster.bounds.concurrency, (pod) => stampPod(cluster, held, pod, onStamped));
}

/**
 * A compare-and-swap on the pod's own note: a stamp that arrives late, after a still newer one, must not take it back.
 * Returns when the pod carries our epoch, or is gone.
 */
async function stampPod(cluster: Cluster, held: Held, listed: PodObject, onStamped: OnStamped): Promise<void> {
  let pod = listed;
  await insist(cluster, async () => {
    for (;;) {
      const epoch = epochOf(pod);
      if (epoch !== undefined && epoch > held.epoch) throw fenced(held.key);
      if (epoch === held.epoch) {
        onStamped(pod);
        return;
      }
      try {
        const stamped = await cluster.client.request<PodObject>({
          method: "PATCH",
          path: paths.pod(held.key.namespace, pod.metadata.name),
          query: { fieldManager: "cellwright-progress" },
          contentType: CONTENT.jsonPatch,
          body: [
            { op: "test", path: "/metadata/uid", value: pod.metadata.uid },
            // A missing key passes the test of null with the API server's JSON patch (measured on 1.34).
            { op: "test", path: EPOCH_PATH, value: pod.metadata.annotations?.[POD.epoch] ?? null },
            { op: "add", path: EPOCH_PATH, value: String(held.epoch) },
          ],
        });
        onStamped(stamped);
        return;
      } catch (error) {
        if (hasStatus(error, 404)) return;
        const now = await findPod(cluster, held.key.namespace, pod.metadata.name);
        // Another pod of that name was born after our swap: rule 4 covers it.
        if (now === undefined || now.metadata.uid !== pod.metadata.uid) return;
        const changed = now.metadata.resourceVersion !== pod.metadata.resourceVersion;
        pod = now;
        // A failed test is worth another try only if the pod did change.
        if (hasStatus(error, 422) && changed) continue;
        throw error;
      }
    }
  });
}
