/** Real nodes: containerd and kubelet, so that pods are containers with probes, logs, signals and addresses. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureShopImages } from "./image/shop.ts";
import { localDirectory } from "./paths.ts";
import { choosePort } from "./ports.ts";
import { flags, type ProcessSpec, type SupervisedProcess, type Supervisor } from "./processes.ts";
import { cleanRealNode } from "./real-node/clean.ts";
import { containerdConfiguration, kubeletConfiguration, networkConfiguration } from "./real-node/configuration.ts";
import { findLack, installPackages, networkPluginDirectory } from "./real-node/machine.ts";
import { type NodeNetwork, nodePaths } from "./real-node/paths.ts";
import { run, systemPath } from "./real-node/run.ts";
import type { Progress } from "./progress.ts";
import { ensureTools } from "./tools.ts";

/** Real nodes, one for each of these cells. A cell of the same name has no simulated nodes then. */
export interface RealNodes {
  cells: readonly string[];
  /** Path of the kubelet program. */
  kubelet: string;
  /** Path of an archive of the images that pods can use there. */
  images: string;
}

/** This machine cannot run real nodes; the message is a whole sentence. */
export class NoRealNodesError extends Error {
  override readonly name = "NoRealNodesError";
}

/**
 * Makes everything ready for real nodes in these cells: installs Debian packages where they are missing, and ensures the
 * kubelet and the images of the example shop.
 * @throws NoRealNodesError when this machine cannot run them
 */
export async function prepareRealNodes(options: {
  cells: readonly string[];
  supervisor: Supervisor;
  progress: Progress;
}): Promise<RealNodes> {
  const { cells, supervisor, progress } = options;
  try {
    await prepareMachine(supervisor, progress);
    const { kubelet } = await ensureTools({ directory: localDirectory, progress, names: ["kubelet"] });
    const images = await ensureShopImages(supervisor, join(localDirectory, "images"));
    return { cells, kubelet, images };
  } catch (error) {
    const why = (error as Error).message.replace(/\.$/, "");
    throw new NoRealNodesError(`No real nodes on this machine: ${why}.`, { cause: error });
  }
}

/** @throws when this machine cannot be made ready; the message is a clause. */
async function prepareMachine(supervisor: Supervisor, progress: Progress): Promise<void> {
  const lack = findLack();
  if (lack?.kind === "packages") {
    const label = `Installing ${lack.packages.join(", ")} for real nodes`;
    await progress.during(label, () => installPackages(supervisor, lack.packages));
  }
  const left = findLack();
  if (left === undefined) return;
  throw new Error(
    left.kind === "impossible" ? left.reason : `${left.packages.join(", ")} did not bring what is needed`,
  );
}

/**
 * Starts one real node and waits until its kubelet runs; the cluster says when it is ready. Whatever an earlier start left
 * is taken away first: containers begin anew with every start.
 */
export async function startRealNode(
  supervisor: Supervisor,
  options: {
    /** Nodes of one cluster are told apart by their number, from 1. */
    number: number;
    /** Files are kept below it. */
    directory: string;
    /** Value of the node's label `cell`. */
    cell: string;
    /** Path of the kubelet program. */
    kubelet: string;
    /** Path of the kubelet's access to the cluster. */
    kubeconfig: string;
    /** Path of the certificate with which the API server comes to the kubelet. */
    clientCertificate: string;
    /** Path of an archive of images: the node pulls none. */
    images: string;
  },
): Promise<{ name: string; processes: SupervisedProcess[] }> {
  const { number, directory } = options;
  const paths = nodePaths(directory, number);
  const plugins = networkPluginDirectory();
  if (plugins === undefined) throw new NoRealNodesError("The network plugins for real nodes are not installed.");
  await cleanRealNode(paths);
  const processes: SupervisedProcess[] = [];
  const start = async (spec: ProcessSpec): Promise<void> => {
    processes.push(await supervisor.start({ ...spec, env: { PATH: systemPath } }));
  };

  await start({
    name: `${paths.name}-keeper`,
    command: process.execPath,
    args: [fileURLToPath(new URL("./real-node/keeper.ts", import.meta.url)), directory, String(number)],
    ready: async () => existsSync(paths.network),
    stopWithin: 30_000,
    // Containers that are left running would be worse than a guard that waits.
    patient: true,
  });
  const { address } = JSON.parse(readFileSync(paths.network, "utf8")) as NodeNetwork;

  const file = (name: string, content: string): string => {
    const path = join(paths.directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  mkdirSync(join(paths.directory, "cni"));
  file("cni/pods.conflist", networkConfiguration(paths, address));
  const ctr = (...args: string[]): Promise<string> =>
    run("ctr", "--address", paths.socket, "--namespace", "k8s.io", ...args);
  await start({
    name: `${paths.name}-containerd`,
    command: "containerd",
    args: ["--config", file("containerd.toml", containerdConfiguration(paths, plugins))],
    ready: async () => (await ctr("version")) !== "",
  });
  await ctr("images", "import", "--snapshotter", "native", options.images);

  const port = await choosePort();
  await start({
    name: `${paths.name}-kubelet`,
    command: options.kubelet,
    args: flags({
      config: file(
        "kubelet.yaml",
        kubeletConfiguration(paths, { address, port, clientCertificate: options.clientCertificate }),
      ),
      kubeconfig: options.kubeconfig,
      "root-dir": join(paths.directory, "kubelet"),
      "cert-dir": join(paths.directory, "pki"),
      "hostname-override": paths.name,
      "node-ip": address,
      "node-labels": `cell=${options.cell}`,
    }),
  });
  return { name: paths.name, processes };
}

/** Takes away what real nodes kept in this directory have left on the machine: their starter may not have been able to. */
export async function cleanRealNodes(directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const entry of readdirSync(directory)) {
    const number = /^real-(\d+)$/.exec(entry)?.[1];
    if (number !== undefined) await cleanRealNode(nodePaths(directory, Number(number)));
  }
}

/**
 * Makes the certificate with which the API server comes to kubelets, if it is not there yet.
 * @returns paths
 */
export async function ensureKubeletClient(directory: string): Promise<{ certificate: string; key: string }> {
  const [certificate, key] = [join(directory, "kubelet-client.crt"), join(directory, "kubelet-client.key")];
  if (!existsSync(certificate)) {
    const subject = ["-subj", "/CN=kube-apiserver", "-addext", "extendedKeyUsage=clientAuth"];
    const algorithm = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];
    await run(
      "openssl",
      "req",
      "-x509",
      ...algorithm,
      ...subject,
      "-days",
      "3650",
      "-keyout",
      key,
      "-out",
      certificate,
    );
  }
  return { certificate, key };
}
