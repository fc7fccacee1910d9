/** One service that is deployed and released over REST, as a person would. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import { createClusterClient, type ClusterClient } from "../activities/kubernetes/client.ts";
import type { ReleaseOrder } from "../local/example-order.ts";
import type { Rest } from "../local/rest.ts";

/** Where is measured. */
export type Installation = {
  rest: Rest;
  temporal: Client;
  kubernetes: { auditLog: string; kubeconfigs: { admin: string; cellwright: string } };
};

/** With what the floors need beside the product: the same Temporal server, and a namespace there for their workflow. */
export type ReleaseInstallation = Installation & { temporalServer: { address: string; namespace: string } };

/** One service in one cell, as a Deployment is in one place; its pods cut into groups of the same size. */
export type Work = { pods: number; groups: number };

/** What a release brings. `version`: of a variable, so that the change is more than one of images. */
export type Change = { tag: string; version?: string; pause?: "OFF" | "ALL" };

export type Order = ReleaseOrder & { workflowId: string };

export type Service = {
  /** Of Kubernetes, and the workspace group. */
  namespace: string;
  /** As an administrator of the cluster. */
  kube: ClusterClient;
  /** Makes a revision and an order for it, and waits for its preview. */
  plan(change: Change): Promise<Order>;
  start(order: Order): Promise<void>;
  confirm(order: Order, task: string): Promise<void>;
  read(order: Order): Promise<Order>;
  /** @throws Error when the order comes to another end */
  reach(order: Order, state: string): Promise<Order>;
  release(change: Change): Promise<Order>;
};

export const SERVICE = "web";
const CELL = "cell-a";
/** The cell's nodes. Simulated ones: there may be real nodes beside them. */
export const NODES = { cell: CELL };
/** Its StatefulSet. */
export const WORKLOAD = `${SERVICE}-${CELL}`;
export const imageOf = (tag: string): string => `bench/web:${tag}`;

const ORDERS = "/api/v1/release-orders";
/** For an order's every step, ms. */
const BOUND = 15 * 60_000;
const LOST = new Set(["INIT_FAILED", "FAILED", "TERMINATED", "ABANDONED", "CANCELLED"]);

/** Registers a service with its places, in a workspace group and a namespace of its own; nothing is deployed yet. */
export async function openService(installation: Installation, { pods, groups }: Work): Promise<Service> {
  const { rest } = installation;
  const namespace = `bench-${pods}-${Date.now().toString(36)}`;
  const kube = await prepare(installation, namespace);
  const at = `/api/v1/workspace-groups/${namespace}`;
  const cells = { [CELL]: { replicas: pods } };
  const act = (order: Order, path: string, body: object): Promise<unknown> =>
    rest.send("POST", `${ORDERS}/${order.id}/${path}`, body);

  const service: Service = {
    namespace,
    kube,
    async plan({ tag, version, pause = "OFF" }) {
      const env = version === undefined ? {} : { env: [{ name: "VERSION", value: version }] };
      await rest.send("POST", `${at}/app-services/${SERVICE}/revisions`, {
        template: { terminationGracePeriodSeconds: 0, containers: [{ name: "main", image: imageOf(tag), ...env }] },
        cells,
        release: { strategy: "QUICK", minGroups: groups, beta: false, pause, upgrade: "IN_PLACE", readySeconds: 0 },
      });
      const body = { workspaceGroup: namespace, title: `${pods} pods to ${tag}`, type: "GROUPED" };
      const order = await rest.send<Order>("POST", ORDERS, { ...body, apps: [{ service: SERVICE }] });
      const ready = await service.reach(order, "READY");
      if (ready.apps?.[0]?.groups?.length !== groups) throw new Error(`${pods} pods are not in ${groups} groups`);
      return ready;
    },
    async start(order) {
      await act(order, "actions/start", { digest: order.digest });
    },
    async confirm(order, task) {
      await act(order, `tasks/${task}/actions/confirm`, {});
    },
    read: (order) => rest.get<Order>(`${ORDERS}/${order.id}`),
    async reach(order, state) {
      for (const until = Date.now() + BOUND; ;) {
        const now = await service.read(order);
        if (now.state === state) return now;
        if (LOST.has(now.state) || Date.now() > until)
          throw new Error(`order ${now.id} is ${now.state}: ${now.reason}`);
        await sleep(200);
      }
    },
    async release(change) {
      const order = await service.plan(change);
      await service.start(order);
      return service.reach(order, "SUCCEEDED");
    },
  };
  return service;
}

async function prepare({ rest, kubernetes: { kubeconfigs } }: Installation, name: string): Promise<ClusterClient> {
  const kubeconfig = readFileSync(kubeconfigs.admin, "utf8");
  const admin = await createClusterClient({ cluster: "local", kubeconfig, timeoutMs: 20_000 });
  await admin.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name } } });
  const at = `/api/v1/workspace-groups/${name}`;
  await rest.send("PUT", "/api/v1/clusters/local", {
    access: "kubeconfig",
    kubeconfig: readFileSync(kubeconfigs.cellwright, "utf8"),
  });
  await rest.send("PUT", at, {});
  await rest.send("PUT", `${at}/workspaces/main`, { region: "local" });
  const place = { workspace: "main", zone: "RZ01", az: "az-a", cluster: "local", nodeSelector: NODES };
  await rest.send("PUT", `${at}/cells/${CELL}`, place);
  await rest.send("PUT", `${at}/applications/bench`, { owner: "bench" });
  await rest.send("PUT", `${at}/app-services/${SERVICE}`, { application: "bench", namespace: name });
  return admin;
}
