import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Supervisor } from "../processes.ts";
import { systemPath } from "./run.ts";

/** A program that real nodes need, and the Debian package that has it. */
const programs = {
  containerd: "containerd",
  ctr: "containerd",
  "containerd-shim-runc-v2": "containerd",
  runc: "runc",
  ip: "iproute2",
  openssl: "openssl",
} as const;

const networkPlugins = ["bridge", "host-local", "loopback"];
const networkPackage = "containernetworking-plugins";
const pluginDirectories = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/** What the machine lacks for real nodes. */
export type Lack =
  /** Nothing that could be installed would help. */
  | { kind: "impossible"; reason: string }
  /** Debian packages. */
  | { kind: "packages"; packages: string[] };

/** Looks whether this machine can run real nodes; undefined when it can. */
export function findLack(): Lack | undefined {
  const impossible = (reason: string): Lack => ({ kind: "impossible", reason });
  if (process.platform !== "linux") return impossible(`they need Linux, and this is ${process.platform}`);
  if (process.geteuid?.() !== 0) return impossible("containers are only started as root here");
  const missing = missingCapabilities(readFileSync("/proc/self/status", "utf8"));
  if (missing.length > 0) return impossible(`this process lacks ${missing.join(" and ")}, as in an ordinary container`);
  if (!canMakeControlGroups()) return impossible("control groups (/sys/fs/cgroup) are missing or read-only");
  // Kubelets have one socket in a place that cannot be chosen.
  if (existsSync("/var/lib/kubelet/config.yaml"))
    return impossible("it is a node of another cluster (/var/lib/kubelet)");
  const packages = new Set<string>();
  for (const [program, name] of Object.entries(programs)) if (!isOnPath(program)) packages.add(name);
  if (networkPluginDirectory() === undefined) packages.add(networkPackage);
  return packages.size === 0 ? undefined : { kind: "packages", packages: [...packages] };
}

/** Where the network plugins are. */
export function networkPluginDirectory(): string | undefined {
  return pluginDirectories.find((directory) => networkPlugins.every((name) => existsSync(join(directory, name))));
}

/**
 * Installs Debian packages.
 * @throws when there is no apt-get, or it fails
 */
export async function installPackages(supervisor: Supervisor, packages: readonly string[]): Promise<void> {
  if (!isOnPath("apt-get"))
    throw new Error(`install ${packages.join(", ")} (Debian's names); there is no apt-get here`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const apt = { name: "apt-get", command: "apt-get", env };
  await supervisor.run({ ...apt, args: ["update", "--quiet"] });
  await supervisor.run({ ...apt, args: ["install", "--quiet", "--yes", "--no-install-recommends", ...packages] });
}

/** Capabilities by their bit in the masks of /proc/<pid>/status. */
const needed = { CAP_NET_ADMIN: 12, CAP_SYS_CHROOT: 18, CAP_SYS_ADMIN: 21, CAP_MKNOD: 27 };

/** Names of the needed capabilities that a process of this status does not have. */
export function missingCapabilities(status: string): string[] {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return Object.entries(needed).flatMap(([name, bit]) => ((mask >> BigInt(bit)) & 1n ? [] : [name]));
}

function isOnPath(program: string): boolean {
  return systemPath.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return directory !== "";
    } catch {
      return false;
    }
  });
}

function canMakeControlGroups(): boolean {
  // Version 2 has its one tree here, version 1 a tree for each controller.
  const root = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
  const probe = join(root, `cellwright-probe-${process.pid}`);
  try {
    mkdirSync(probe);
    rmdirSync(probe);
    return true;
  } catch {
    return false;
  }
}
