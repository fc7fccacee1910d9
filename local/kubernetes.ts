import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { ensureIdentities, type Identity, renderKubeconfig } from "./kubernetes/identities.ts";
import { createKubernetesRequest, type KubernetesRequest } from "./kubernetes/request.ts";
import { flags, type ProcessSpec, type SupervisedProcess, type Supervisor } from "./processes.ts";
import { ensureKubeletClient, type RealNodes, startRealNode } from "./real-node.ts";
import type { Tools } from "./tools.ts";

export interface KubernetesPorts {
  apiserver: number;
  etcd: number;
  etcdPeer: number;
  kwok: number;
}

export interface KubernetesEndpoint {
  server: string;
  /** JSON lines: every write with its author, and what was written to pods and workloads. */
  auditLog: string;
  /** Paths. `admin` may do everything; `cellwright` is the product's identity. */
  kubeconfigs: { admin: string; cellwright: string };
  /** Cells on real nodes, by their label; the others are simulated. */
  realCells: readonly string[];
}

/** Simulated nodes by cell; the label `cell` carries the cell's name. */
const simulated = { "cell-a": ["node-a-1", "node-a-2"], "cell-b": ["node-b-1", "node-b-2"] };
const capacity = { cpu: "1k", memory: "1Ti", pods: "5000" };

const ownFile = (name: string): string => fileURLToPath(new URL(`./kubernetes/${name}`, import.meta.url));

/**
 * Starts one control plane (etcd, API server, controller manager, scheduler) with nodes in two cells, simulated by kwok, and
 * real ones where they are asked for.
 */
export async function startKubernetes(
  supervisor: Supervisor,
  options: {
    directory: string;
    tools: Omit<Tools, "temporal" | "kubectl">;
    ports: KubernetesPorts;
    realNodes?: RealNodes | undefined;
  },
): Promise<{ endpoint: KubernetesEndpoint; processes: SupervisedProcess[] }> {
  const { directory, tools, ports, realNodes } = options;
  const pki = join(directory, "pki");
  mkdirSync(pki, { recursive: true, mode: 0o700 });
  const identities = ensureIdentities(pki);
  const server = `https://127.0.0.1:${ports.apiserver}`;
  const auditLog = join(directory, "audit.log");
  const kubeconfig = (name: Identity): string => join(directory, `${name}.kubeconfig`);
  const request: KubernetesRequest = (method, path, body) =>
    createKubernetesRequest({
      server,
      certificate: readFileSync(join(pki, "apiserver.crt"), "utf8"),
      token: identities.tokens.admin,
    })(method, path, body);

  const processes: SupervisedProcess[] = [];
  const start = async (spec: ProcessSpec): Promise<void> => {
    processes.push(await supervisor.start(spec));
  };

  const etcd = `http://127.0.0.1:${ports.etcd}`;
  const etcdPeer = `http://127.0.0.1:${ports.etcdPeer}`;
  await start({
    name: "etcd",
    command: tools.etcd,
    args: flags({
      "data-dir": join(directory, "etcd"),
      "listen-client-urls": etcd,
      "advertise-client-urls": etcd,
      "listen-peer-urls": etcdPeer,
      "initial-advertise-peer-urls": etcdPeer,
      "initial-cluster": `default=${etcdPeer}`,
      // It survives a crash of any process, but not one of the machine, which a trial cluster may lose.
      "unsafe-no-fsync": true,
      "log-level": "warn",
    }),
    ready: async () => (await fetch(`${etcd}/readyz`)).ok,
  });

  discardOldCertificate(pki);
  const kubeletClient = realNodes === undefined ? undefined : await ensureKubeletClient(pki);
  await start({
    name: "kube-apiserver",
    command: tools["kube-apiserver"],
    args: flags({
      "etcd-servers": etcd,
      "secure-port": ports.apiserver,
      "bind-address": "127.0.0.1",
      "cert-dir": pki,
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-key-file": identities.serviceAccountKey,
      "service-account-signing-key-file": identities.serviceAccountKey,
      "service-cluster-ip-range": "10.96.0.0/16",
      "token-auth-file": identities.tokenFile,
      "authorization-mode": "RBAC",
      "allow-privileged": true,
      "kubelet-preferred-address-types": "InternalIP",
      ...(kubeletClient && {
        "kubelet-client-certificate": kubeletClient.certificate,
        "kubelet-client-key": kubeletClient.key,
      }),
      "audit-policy-file": ownFile("audit-policy.yaml"),
      "audit-log-path": auditLog,
      // In MB. The log is evidence: large enough that no test run loses its beginning.
      "audit-log-maxsize": 1000,
      "audit-log-maxbackup": 2,
    }),
    ready: async () => (await request("GET", "/readyz")) === "ok",
  });
  const certificate = readFileSync(join(pki, "apiserver.crt"), "utf8");
  for (const [user, token] of Object.entries(identities.tokens) as [Identity, string][]) {
    const text = renderKubeconfig(user, { server, certificate, token });
    writeFileSync(kubeconfig(user), text, { mode: 0o600 });
  }

  await start({
    name: "kube-controller-manager",
    command: tools["kube-controller-manager"],
    args: flags({
      kubeconfig: kubeconfig("controller-manager"),
      "leader-elect": false,
      "secure-port": 0,
      "service-account-private-key-file": identities.serviceAccountKey,
      // One late heartbeat of kwok's nodes would otherwise mark all their pods as not ready, and nothing sets them back.
      "node-monitor-grace-period": "5m",
      // Each change of a pod would otherwise rewrite the addresses of all pods of its Service, twice.
      "endpoint-updates-batch-period": "500ms",
      "endpointslice-updates-batch-period": "500ms",
      "kube-api-qps": 500,
      "kube-api-burst": 1000,
    }),
  });
  await start({
    name: "kube-scheduler",
    command: tools["kube-scheduler"],
    args: flags({
      kubeconfig: kubeconfig("scheduler"),
      "leader-elect": false,
      "secure-port": 0,
      "kube-api-qps": 500,
      "kube-api-burst": 1000,
    }),
  });
  await start({
    name: "kwok",
    command: tools.kwok,
    args: flags({
      config: ownFile("stages.yaml"),
      kubeconfig: kubeconfig("kwok"),
      // Only its own nodes: a real kubelet may stand beside them.
      "manage-all-nodes": false,
      "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
      "node-lease-duration-seconds": 40,
      "server-address": `127.0.0.1:${ports.kwok}`,
      cidr: "10.64.0.1/10",
    }),
    // A new kwok would wait until the leases of the one before it have run out.
    prepare: async () => {
      await request("DELETE", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases");
    },
    ready: async () => (await fetch(`http://127.0.0.1:${ports.kwok}/healthz`)).ok,
  });

  await applyRole(request);
  const realCells = realNodes?.cells ?? [];
  const nodes = Object.entries(simulated).flatMap(([cell, names]) =>
    realCells.includes(cell) ? [] : names.map((name) => ({ name, cell })),
  );
  for (const { name, cell } of nodes) await applyNode(request, name, cell);
  const names = nodes.map(({ name }) => name);
  if (realNodes !== undefined && kubeletClient !== undefined) {
    const { kubelet, images } = realNodes;
    const access = { kubeconfig: kubeconfig("kubelet"), clientCertificate: kubeletClient.certificate };
    for (const [index, cell] of realCells.entries()) {
      const node = await startRealNode(supervisor, { number: index + 1, directory, cell, kubelet, images, ...access });
      names.push(node.name);
      processes.push(...node.processes);
    }
  }
  await removeOtherNodes(request, names);
  await untilNodesReady(request, names);
  const kubeconfigs = { admin: kubeconfig("admin"), cellwright: kubeconfig("cellwright") };
  return { endpoint: { server, auditLog, kubeconfigs, realCells }, processes };
}

/** The API server makes its own certificate, for a year, and never renews it. */
function discardOldCertificate(pki: string): void {
  const file = join(pki, "apiserver.crt");
  const maximalAge = 300 * 24 * 3600 * 1000;
  if (existsSync(file) && Date.now() - statSync(file).mtimeMs > maximalAge) {
    for (const name of ["apiserver.crt", "apiserver.key"]) rmSync(join(pki, name), { force: true });
  }
}

async function applyRole(request: KubernetesRequest): Promise<void> {
  for (const document of parseAllDocuments(readFileSync(ownFile("cellwright-role.yaml"), "utf8"))) {
    const object = document.toJS() as { kind: string; metadata: { name: string } };
    const path = `/apis/rbac.authorization.k8s.io/v1/${object.kind.toLowerCase()}s/${object.metadata.name}`;
    await request("PATCH", `${path}?fieldManager=local-stack&force=true`, object);
  }
}

async function applyNode(request: KubernetesRequest, name: string, cell: string): Promise<void> {
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: { cell, "kubernetes.io/hostname": name },
      annotations: { "kwok.x-k8s.io/node": "fake" },
    },
  };
  const query = "fieldManager=local-stack&force=true";
  await request("PATCH", `/api/v1/nodes/${name}?${query}`, node);
  const status = { ...node, status: { allocatable: capacity, capacity } };
  await request("PATCH", `/api/v1/nodes/${name}/status?${query}`, status);
}

/** Nodes of an earlier start, with other cells: what ran on them is taken away, and comes back on those of now. */
async function removeOtherNodes(request: KubernetesRequest, names: readonly string[]): Promise<void> {
  const list = (await request("GET", "/api/v1/nodes")) as { items: { metadata: { name: string } }[] };
  for (const { metadata } of list.items) {
    if (names.includes(metadata.name)) continue;
    await request("DELETE", `/api/v1/nodes/${metadata.name}`);
    const pods = (await request("GET", `/api/v1/pods?fieldSelector=spec.nodeName=${metadata.name}`)) as {
      items: { metadata: { namespace: string; name: string } }[];
    };
    for (const { metadata: pod } of pods.items) {
      await request("DELETE", `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}?gracePeriodSeconds=0`);
    }
  }
}

async function untilNodesReady(request: KubernetesRequest, names: readonly string[]): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (const name of names) {
    for (;;) {
      // A kubelet registers its node by itself, a moment after its start.
      const { spec, status } = (await request("GET", `/api/v1/nodes/${name}`).catch(() => ({
        spec: {},
        status: {},
      }))) as {
        spec: { taints?: { key: string }[] };
        status: { conditions?: { type: string; status: string }[] };
      };
      const ready = status.conditions?.some((each) => each.type === "Ready" && each.status === "True") ?? false;
      // This taint goes last, and until then nothing is scheduled there.
      if (ready && !spec.taints?.some((taint) => taint.key === "node.kubernetes.io/not-ready")) break;
      if (Date.now() > deadline)
        throw new Error(`Node ${name} did not become ready within 60 s; see the logs of kwok and the kubelets.`);
      await sleep(100);
    }
  }
}
