/** What the tests of the Kubernetes adapter share: a namespace of their own, a service in it, and eyes on the cluster. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inject } from "vitest";
import { connectCluster, type ConnectedCluster } from "../../activities/kubernetes/connect.ts";
import { createClusterClient, paths, type ClusterClient } from "../../activities/kubernetes/client.ts";
import type { List, PodObject, SetObject } from "../../activities/kubernetes/objects.ts";
import type { Desired, Permitted, PodProgress } from "../../activities/kubernetes/port.ts";
import type { Bounds } from "../../activities/kubernetes/statefulset/cluster.ts";
import { fillDefaults, type RevisionBody } from "../../domain/catalogue/revision.ts";

const quietLog = { debug() {}, info() {}, warn() {}, error() {} };

export type Bench = {
  namespace: string;
  admin: ClusterClient;
  auditLog: string;
  /** What `image` (a tag, or an image) and `replicas` of a revision make of the service in a cell. */
  desired(input: {
    order: string;
    revision: number;
    tag: string;
    replicas?: number;
    cell?: string;
    env?: string;
    release?: RevisionBody["release"];
  }): Desired;
  connect(options?: { kubeconfig?: string; bounds?: Partial<Bounds> }): Promise<ConnectedCluster>;
  pods(cell?: string): Promise<PodObject[]>;
  set(cell?: string): Promise<SetObject>;
  /** Pod → tag of its first image, sorted. */
  tags(cell?: string): Promise<Record<string, string>>;
  deletePod(name: string): Promise<void>;
  close(): void;
};

let counter = 0;

/** A fresh namespace. Connections made with `connect` are closed by `close`. */
export async function openBench(kubernetes = inject("stack").kubernetes): Promise<Bench> {
  const { auditLog, kubeconfigs } = kubernetes;
  const admin = await createClusterClient({
    cluster: "local",
    kubeconfig: readFileSync(kubeconfigs.admin, "utf8"),
    timeoutMs: 20_000,
  });
  const namespace = `k${process.pid}-${Date.now().toString(36)}-${counter++}`;
  await admin.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name: namespace } } });
  const connections: ConnectedCluster[] = [];
  const name = (cell: string) => `cart-${cell}`;

  const bench: Bench = {
    namespace,
    admin,
    auditLog,
    desired({ order, revision, tag, replicas = 4, cell = "cell-a", env = "1", release = {} }) {
      const placement = {
        tenant: "local",
        workspaceGroup: "shop",
        workspace: "main",
        region: "local",
        zone: "RZ01",
        az: "az-a",
        cell,
        nodeSelector: { cell },
        application: "shop",
        service: "cart",
        namespace,
      };
      const image = tag.includes("/") ? tag : `shop/cart:${tag}`;
      const spec = fillDefaults({
        template: { containers: [{ name: "main", image, env: [{ name: "LEVEL", value: env }] }] },
        cells: { [cell]: { replicas } },
        release: { readySeconds: 0, progressDeadlineSeconds: 5, ...release },
      });
      return { placement, revision, spec, order };
    },
    async connect({ kubeconfig = readFileSync(kubeconfigs.cellwright, "utf8"), bounds = {} } = {}) {
      const connection = await connectCluster({ cluster: "local", kubeconfig, log: quietLog, bounds });
      connections.push(connection);
      return connection;
    },
    async pods(cell = "cell-a") {
      const list = await admin.request<List<PodObject>>({ method: "GET", path: paths.pods(namespace) });
      return list.items.filter((pod) => pod.metadata.name.startsWith(`${name(cell)}-`));
    },
    set: (cell = "cell-a") => admin.request<SetObject>({ method: "GET", path: paths.set(namespace, name(cell)) }),
    async tags(cell) {
      const pods = (await bench.pods(cell)).toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
      return Object.fromEntries(pods.map((pod) => [pod.metadata.name, pod.spec.containers[0]!.image.split(":")[1]!]));
    },
    async deletePod(pod) {
      await admin.request({ method: "DELETE", path: paths.pod(namespace, pod), body: { gracePeriodSeconds: 0 } });
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
  return bench;
}

/** Keeps what was reported; its order may act. */
export function watchProgress(signal = new AbortController().signal): Permitted & { reports: PodProgress[][] } {
  const reports: PodProgress[][] = [];
  return { signal, report: (pods) => reports.push(pods), mayAct: async () => undefined, reports };
}

/** Names of a service's pods. */
export function podNames(cell: string, ...ordinals: number[]): string[] {
  return ordinals.map((ordinal) => `cart-${cell}-${ordinal}`);
}

/** Waits until `look` gives something other than false or undefined; fails after `ms`. */
export async function until<T>(what: string, look: () => Promise<T | false | undefined>, ms = 20_000): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== false && found !== undefined) return found;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(50);
  }
}

/** Creates the workload with all its pods at `desired`, released. */
export async function deploy(connection: ConnectedCluster, desired: Desired): Promise<void> {
  const progress = watchProgress();
  const applied = await connection.driver.apply(desired, progress);
  if (applied.outcome === "failed") throw new Error(applied.reason);
  const { cell } = desired.placement;
  const replicas = desired.spec.cells[cell]!.replicas;
  const pods = podNames(cell, ...Array(replicas).keys());
  const startedAt = Date.now();
  const moved = await connection.driver.move({ parts: [{ desired, pods }], holder: "deploy#1.1", startedAt }, progress);
  if (moved.outcome === "failed") throw new Error(moved.reason);
  const verified = await connection.driver.verify({ desired: [desired], startedAt }, progress);
  if (verified.outcome === "failed") throw new Error(verified.reason);
}
