/** One pod's change in place: one write that takes effect exactly if nothing has changed since we looked. */
import { LABELS } from "../../../domain/workload/render.ts";
import { CONTENT, paths, type ClusterRequest } from "../client.ts";
import { ClusterError, hasStatus } from "../errors.ts";
import type { PodObject } from "../objects.ts";
import { findPod, type Cluster } from "./cluster.ts";
import { annotationPath, EPOCH_PATH, POD, epochOf } from "./metadata.ts";

export type PatchResult =
  | { kind: "done"; pod: PodObject }
  /** The pod is not what it was when we looked; `pod` is what it is now (undefined: gone). Certainly not changed by this. */
  | { kind: "outdated"; pod: PodObject | undefined }
  /** The cluster does not want this change, for a reason that another try does not mend by itself. */
  | { kind: "refused"; message: string; forbidden: boolean }
  /** Not now. */
  | { kind: "later"; delayMs: number; error: ClusterError }
  /** It may have been stored, or may still be. */
  | { kind: "unknown"; error: ClusterError };

export type PodChange = { namespace: string; epoch: number; hash: string; images: Record<string, string>; now: Date };

export async function patchPod(cluster: Cluster, pod: PodObject, change: PodChange): Promise<PatchResult> {
  const { namespace } = change;
  try {
    const changed = await cluster.client.request<PodObject>(patchRequest(pod, change));
    return { kind: "done", pod: changed };
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    if (error.outcome === "unknown") return { kind: "unknown", error };
    if (error.status === 404) return { kind: "outdated", pod: undefined };
    if (hasStatus(error, 403, 401)) return { kind: "refused", message: error.message, forbidden: true };
    if (error.retryable && error.status !== 409) return { kind: "later", delayMs: error.delayMs ?? 500, error };
    // A test failed (422), or the pod changed under the patch too often (409): look at what it is now.
    let now: PodObject | undefined;
    try {
      now = await findPod(cluster, namespace, pod.metadata.name);
    } catch (second) {
      if (second instanceof ClusterError && second.retryable)
        return { kind: "later", delayMs: second.delayMs ?? 500, error: second };
      throw second;
    }
    if (error.status === 409 || now === undefined || !sameForPatch(pod, now)) return { kind: "outdated", pod: now };
    return { kind: "refused", message: error.message, forbidden: false };
  }
}

/** Whether every test of a patch made for `a` holds for `b`. */
function sameForPatch(a: PodObject, b: PodObject): boolean {
  return (
    a.metadata.uid === b.metadata.uid &&
    a.metadata.labels?.[LABELS.hash] === b.metadata.labels?.[LABELS.hash] &&
    epochOf(a) === epochOf(b) &&
    a.spec.containers.every((container, index) => b.spec.containers[index]?.name === container.name)
  );
}

function patchRequest(pod: PodObject, { namespace, epoch, hash, images, now }: PodChange): ClusterRequest {
  const previous: Record<string, string> = {};
  const replacements = pod.spec.containers.flatMap(({ name, image }, index) => {
    const wanted = images[name];
    if (wanted === undefined || wanted === image) return [];
    previous[name] = pod.status?.containerStatuses?.find((container) => container.name === name)?.containerID ?? "";
    return [
      { op: "test", path: `/spec/containers/${index}/name`, value: name },
      { op: "replace", path: `/spec/containers/${index}/image`, value: wanted },
    ];
  });
  return {
    method: "PATCH",
    path: paths.pod(namespace, pod.metadata.name),
    query: { fieldManager: "cellwright-progress" },
    contentType: CONTENT.jsonPatch,
    body: [
      { op: "test", path: "/metadata/uid", value: pod.metadata.uid },
      { op: "test", path: `/metadata/labels/${LABELS.hash}`, value: pod.metadata.labels?.[LABELS.hash] ?? null },
      { op: "test", path: EPOCH_PATH, value: pod.metadata.annotations?.[POD.epoch] ?? null },
      ...replacements,
      { op: "replace", path: `/metadata/labels/${LABELS.hash}`, value: hash },
      { op: "add", path: EPOCH_PATH, value: String(epoch) },
      { op: "add", path: annotationPath(POD.previousContainers), value: JSON.stringify(previous) },
      { op: "add", path: annotationPath(POD.movedAt), value: now.toISOString() },
    ],
  };
}
