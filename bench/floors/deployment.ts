/** The floor of a recreation: a Kubernetes Deployment that takes down as many pods at once as one of our groups has. */
import { CONTENT, type ClusterClient } from "../../activities/kubernetes/client.ts";
import { imageOf, type Work } from "../service.ts";

const labels = { app: "floor" };

/** Applies the Deployment as it should be; the first call makes it. Resolves when the API server has taken it. */
export async function applyDeployment(
  kube: ClusterClient,
  namespace: string,
  { pods, groups }: Work,
  tag: string,
): Promise<void> {
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
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 0,
            containers: [{ name: "main", image: imageOf(tag), env: [{ name: "VERSION", value: tag }] }],
          },
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
