import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { endTargets, processIdentity, type Target } from "../process-identity.ts";
import type { NodePaths } from "./paths.ts";
import { run } from "./run.ts";

/**
 * Takes away all that a real node has made on this machine: programs, containers, mounts, network, files. What is not
 * there any more is fine, and so is a node that was never started: the same call tidies up after a crash.
 */
export async function cleanRealNode(paths: NodePaths): Promise<void> {
  // First those that would start containers again.
  const starters = ["containerd", "kubelet"];
  await kill(([program = "", ...args]) => {
    return starters.includes(basename(program)) && args.some((arg) => arg.includes(`${paths.directory}/`));
  });
  const tasks = join(paths.state, "containerd", "io.containerd.runtime.v2.task", "k8s.io");
  const containers = list(tasks);
  const shimSockets = containers.map((id) => readText(join(tasks, id, "address")).replace(/^unix:\/\//, ""));
  await Promise.all(
    // A container that has just ended by itself is gone already.
    containers.map((id) => run("runc", "--root", join(paths.runc, "k8s.io"), "delete", "--force", id).catch(() => "")),
  );
  await kill((args) => args.includes(paths.socket));
  for (const socket of shimSockets) if (socket !== "") rmSync(socket, { force: true });

  for (const mount of mountsBelow([paths.state, paths.directory])) await run("umount", "--lazy", mount);
  await run("ip", "link", "delete", paths.bridge).catch(() => "");
  const ownResults = [`${paths.bridge}-`, ...containers.map((id) => `cni-loopback-${id}-`)];
  for (const file of list("/var/lib/cni/results")) {
    const path = join("/var/lib/cni/results", file);
    // One that was written for a pod of which no container had begun yet is only told by its network namespace.
    const isOwn = ownResults.some((own) => file.startsWith(own)) || readText(path).includes(`"${paths.state}/`);
    if (isOwn) rmSync(path, { force: true });
  }
  // The kubelet links every container's log from here.
  for (const link of list("/var/log/containers")) {
    const path = join("/var/log/containers", link);
    if (linkTarget(path).startsWith(`${paths.directory}/`)) rmSync(path, { force: true });
  }
  rmSync(paths.state, { recursive: true, force: true });
  removeIfEmpty(join(paths.state, ".."));
  rmSync(paths.directory, { recursive: true, force: true });
}

/** Ends, by SIGKILL, every process whose command line fits, other than this one. */
async function kill(fits: (args: string[]) => boolean): Promise<void> {
  const targets = list("/proc").flatMap((entry): Target[] => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    const identity = processIdentity(pid);
    if (identity === undefined || !fits(readText(`/proc/${pid}/cmdline`).split("\0"))) return [];
    return [{ pid, identity, signal: "SIGKILL" }];
  });
  await endTargets(targets, 0);
}

/** Mount points in or below these directories, the innermost first. */
function mountsBelow(directories: readonly string[]): string[] {
  return (
    readText("/proc/self/mountinfo")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      // Blanks and the like are written as octal numbers.
      .map((path) => path.replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))))
      .filter((path) => directories.some((directory) => path === directory || path.startsWith(`${directory}/`)))
      .toReversed()
  );
}

function list(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Another node is in it, or it never was.
  }
}
