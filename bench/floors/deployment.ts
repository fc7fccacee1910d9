/** The floor of a recreation: a Kubernetes Deployment that takes down as many pods at once as one of our groups has. */
import { CONTENT, type ClusterClient } from "../../activities/kubernetes/client.ts";
import { imageOf, type Work } from "../service.ts";

const labels = { app: "floor" };

/** Of a StatefulSet's spec: what its pods are made of. */
export type PodTemplate = {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: { containers: { image: string }[]; [field: string]: unknown };
};

/**
 * Applies the Deployment as it should be, its pods made and placed as ours are; the first call makes it. Resolves when the
 * API server has taken it.
 */
export async function applyDeployment(
  kube: ClusterClient,
  namespace: string,
  { work: { pods, groups }, template, tag }: { work: Work; template: PodTemplate; tag: string },
): Promise<void> {
  const containers = template.spec.containers.map((container) => ({ ...container, image: imageOf(tag) }));
  await kube.request({
    method: "PATCH",
    path: `/apis/apps/v1/namespaces/${namespace}/deployments/floor`,
    query: { fieldManager: "bench", force: true },
    contentType: CONTENT.apply,
    body: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "floor", namespace },
      spec: {
        replicas: pods,
        minReadySeconds: 0,
        strategy: {
          type: "RollingUpdate",
          rollingUpdate: { maxUnavailable: Math.ceil(pods / groups), maxSurge: 0 },
        },
        selector: { matchLabels: labels },
        template: {
          metadata: { ...template.metadata, labels: { ...template.metadata.labels, ...labels } },
          spec: { ...template.spec, containers },
        },
      },
    },
  });
}

/** A Service over its pods, as ours has one: what follows endpoints has the same to do. */
export async function createService(kube: ClusterClient, namespace: string): Promise<void> {
  const spec = { clusterIP: "None", selector: labels };
  const body = { apiVersion: "v1", kind: "Service", metadata: { name: "floor" }, spec };
  await kube.request({ method: "POST", path: `/api/v1/namespaces/${namespace}/services`, body });
}
