/** A catalogue and workloads to test with: services in two cells of the run's cluster, in a namespace of their own. */
import { readFileSync } from "node:fs";
import { paths } from "../../activities/kubernetes/client.ts";
import type { List, PodObject } from "../../activities/kubernetes/objects.ts";
import type { RevisionBody } from "../../domain/catalogue/revision.ts";
import type { OrderBody, ReleaseOrder } from "./client.ts";
import { cellsOn, type NodeKind } from "./node-kinds.ts";
import type { Product } from "./product.ts";

type Release = NonNullable<RevisionBody["release"]>;

type RevisionInput = {
  /** Tag of the image `shop/<service>`. */
  tag: string;
  /** Per cell. Default: those of the shop's service. */
  replicas?: number | Readonly<Record<string, number>>;
  release?: Release;
  /** Value of one variable; another one is a change that is not image-only. */
  level?: string;
  /** Seconds that a pod is given to end. */
  grace?: number;
  /** What is sent, made of what would be. */
  body?: (body: RevisionBody) => RevisionBody;
};

export type ShopInput = {
  /** Service → pods per cell. */
  services: Readonly<Record<string, number>>;
  /** Policy of every revision that does not say otherwise. */
  release?: Release;
  /** Where the pods are; on real nodes they have a readiness probe. Default `kwok`. */
  nodes?: NodeKind;
  /** Cell → its node selector. Default: cell-a and cell-b of the run's cluster, on such nodes. */
  cells?: Readonly<Record<string, Record<string, string>>>;
  /** Text of the kubeconfig to register. Default: that of the product's own identity. */
  kubeconfig?: string;
  /** Name of the cluster in the catalogue. Default `local`. */
  cluster?: string;
  /** Kubernetes namespace of the services. Default: a fresh one. */
  namespace?: string;
};

export type Shop = {
  /** Workspace group. */
  group: string;
  /** In Kubernetes. */
  namespace: string;
  cells: string[];
  /** Makes a revision and answers with its number. */
  revision(service: string, input: RevisionInput): Promise<number>;
  /** An order over these services, of their newest revisions unless told. */
  body(services: readonly string[], more?: Partial<OrderBody>): OrderBody;
  /** Releases a first revision (tag 1) of every service, without any confirmation. */
  deploy(): Promise<ReleaseOrder>;
  pods(service?: string): Promise<PodObject[]>;
  /** Pod → tag of its image, sorted by name. */
  tags(service?: string): Promise<Record<string, string>>;
};

/** Any policy without people and pauses. */
export const straight: Release = { strategy: "QUICK", minGroups: 1, beta: false, pause: "OFF", readySeconds: 0 };

let counter = 0;

export async function createShop(product: Product, input: ShopInput): Promise<Shop> {
  const { client } = product;
  const cluster = input.cluster ?? "local";
  const { nodes = "kwok" } = input;
  const cells = input.cells ?? cellsOn(nodes);
  const group = `shop-${counter++}`;
  const namespace = input.namespace ?? (await product.newKubernetesNamespace());
  const at = `/api/v1/workspace-groups/${group}`;
  const kubeconfig = input.kubeconfig ?? readFileSync(product.kubernetes.kubeconfigs.cellwright, "utf8");
  await client.put(`/api/v1/clusters/${cluster}`, { access: "kubeconfig", kubeconfig });
  await client.put(at, {});
  await client.put(`${at}/workspaces/main`, { region: "local" });
  for (const [cell, nodeSelector] of Object.entries(cells)) {
    await client.put(`${at}/cells/${cell}`, { workspace: "main", zone: "RZ01", az: "az-a", cluster, nodeSelector });
  }
  await client.put(`${at}/applications/shop`, { owner: "shop-team" });
  for (const service of Object.keys(input.services)) {
    await client.put(`${at}/app-services/${service}`, { application: "shop", namespace });
  }

  const shop: Shop = {
    group,
    namespace,
    cells: Object.keys(cells),
    async revision(
      service,
      { tag, replicas = input.services[service] ?? 1, release, level = "1", grace, body: change = (body) => body },
    ) {
      const scale = (cell: string): number => (typeof replicas === "number" ? replicas : (replicas[cell] ?? 0));
      const named = typeof replicas === "number" ? Object.keys(cells) : Object.keys(replicas);
      const probe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1, failureThreshold: 1 };
      const body: RevisionBody = {
        template: {
          ...(grace !== undefined && { terminationGracePeriodSeconds: grace }),
          containers: [
            {
              name: "main",
              image: `shop/${service}:${tag}`,
              env: [{ name: "LEVEL", value: level }],
              ...(nodes === "real" && { readinessProbe: probe }),
            },
          ],
        },
        cells: Object.fromEntries(named.map((cell) => [cell, { replicas: scale(cell) }])),
        release: { ...straight, ...input.release, ...release },
      };
      const { number } = await client.post<{ number: number }>(`${at}/app-services/${service}/revisions`, change(body));
      return number;
    },
    body: (services, more = {}) => ({
      workspaceGroup: group,
      title: `release ${services.join(", ")}`,
      apps: services.map((service) => ({ service })),
      ...more,
    }),
    async deploy() {
      const services = Object.keys(input.services);
      for (const service of services) await shop.revision(service, { tag: "1", release: straight });
      const { id } = await client.release(shop.body(services, { title: "first deployment" }));
      return client.drive(id);
    },
    async pods(service) {
      const list = await product.kube.request<List<PodObject>>({ method: "GET", path: paths.pods(namespace) });
      return list.items
        .filter((pod) => service === undefined || pod.metadata.name.startsWith(`${service}-`))
        .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    },
    async tags(service) {
      const pods = await shop.pods(service);
      return Object.fromEntries(pods.map((pod) => [pod.metadata.name, tagOf(pod)]));
    },
  };
  return shop;
}

function tagOf(pod: PodObject): string {
  const image = pod.spec.containers[0]?.image ?? "";
  return image.slice(image.indexOf(":") + 1);
}
