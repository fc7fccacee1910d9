/** One pod's eviction: it takes effect exactly if the pod is still as we saw it, and no disruption budget refuses. */
import { LABELS } from "../../../domain/workload/render.ts";
import { paths } from "../client.ts";
import { ClusterError, hasStatus } from "../errors.ts";
import type { PodObject } from "../objects.ts";
import { findPod, type Cluster } from "./cluster.ts";
import { epochOf } from "./metadata.ts";

export type EvictResult =
  /** It is going. */
  | { kind: "done" }
  /** The pod is not what it was when we looked; `pod` is what it is now (undefined: gone). Certainly not evicted by this. */
  | { kind: "outdated"; pod: PodObject | undefined }
  /** A disruption budget does not let it go now; `message` is the API server's, with the budget's name. */
  | { kind: "budget"; message: string }
  | { kind: "refused"; message: string; forbidden: boolean }
  /** Not now. */
  | { kind: "later"; delayMs: number; error: ClusterError }
  /** It may have been accepted, or may still be. */
  | { kind: "unknown"; error: ClusterError };

/** How often an eviction is sent anew when only what does not matter to it has changed, such as the pod's status. */
const TRIES = 3;

export async function evictPod(cluster: Cluster, pod: PodObject): Promise<EvictResult> {
  let seen = pod;
  for (let left = TRIES; ; left--) {
    const result = await evictOnce(cluster, seen);
    if (result.kind !== "outdated" || result.pod === undefined || left <= 1) return result;
    if (!sameForEviction(seen, result.pod)) return result;
    seen = result.pod;
  }
}

async function evictOnce(cluster: Cluster, pod: PodObject): Promise<EvictResult> {
  const { name, namespace, uid, resourceVersion } = pod.metadata;
  try {
    await cluster.client.request({
      method: "POST",
      path: paths.eviction(namespace, name),
      body: {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name, namespace },
        // The pod's own grace period.
        deleteOptions: { preconditions: { uid, resourceVersion } },
      },
    });
    return { kind: "done" };
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    if (error.budget !== undefined) return { kind: "budget", message: error.budget };
    if (error.outcome === "unknown") return { kind: "unknown", error };
    if (error.status === 404) return { kind: "outdated", pod: undefined };
    if (hasStatus(error, 403, 401)) return { kind: "refused", message: error.message, forbidden: true };
    if (error.status === 409) return lookAgain(cluster, pod);
    if (error.retryable) return { kind: "later", delayMs: error.delayMs ?? 500, error };
    return { kind: "refused", message: error.message, forbidden: false };
  }
}

async function lookAgain(cluster: Cluster, { metadata }: PodObject): Promise<EvictResult> {
  try {
    return { kind: "outdated", pod: await findPod(cluster, metadata.namespace, metadata.name) };
  } catch (error) {
    if (error instanceof ClusterError && error.retryable)
      return { kind: "later", delayMs: error.delayMs ?? 500, error };
    throw error;
  }
}

/** Whether an eviction that was decided for `a` is right for `b` too: only what does not matter to it has changed. */
function sameForEviction(a: PodObject, b: PodObject): boolean {
  return (
    a.metadata.uid === b.metadata.uid &&
    a.metadata.labels?.[LABELS.hash] === b.metadata.labels?.[LABELS.hash] &&
    epochOf(a) === epochOf(b) &&
    b.metadata.deletionTimestamp === undefined
  );
}
