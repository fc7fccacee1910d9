/** A real node leaves nothing on the machine, in whatever way its starter ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createClusterClient, paths } from "../../activities/kubernetes/client.ts";
import { projectRoot } from "../../local/paths.ts";
import { cleanRealNodes } from "../../local/real-node.ts";
import { nodePaths } from "../../local/real-node/paths.ts";
import { run } from "../../local/real-node/run.ts";
import { testDirectory } from "../support/directory.ts";
import { hasRealNodes } from "../support/node-kinds.ts";
import { until } from "../support/workloads.ts";

const { kubernetes, realNodes } = inject("stack");
const cluster = dirname(kubernetes.kubeconfigs.admin);
const directory = join(testDirectory, "leftovers");
// Beside the nodes of the run, in the same cluster.
const number = 9;
const node = nodePaths(directory, number);

const networkResults = "/var/lib/cni/results";

const program = `
import { createSupervisor } from ${JSON.stringify(join(projectRoot, "local/processes.ts"))};
import { startRealNode } from ${JSON.stringify(join(projectRoot, "local/real-node.ts"))};
const options = JSON.parse(process.argv[1]);
const supervisor = await createSupervisor({ directory: options.directory });
process.once("SIGTERM", () => void supervisor.close().then(() => process.exit(0)));
await startRealNode(supervisor, options);
process.send("started");
setInterval(() => {}, 1000);`;

let starter: ChildProcess | undefined;
// An earlier run may have failed half-way.
beforeAll(() => cleanRealNodes(directory));
afterAll(async () => {
  starter?.kill("SIGKILL");
  await cleanRealNodes(directory);
});

/** Runs the node in a process of its own, and a pod on it. */
async function startNodeWithPod(pod: string): Promise<void> {
  const options = {
    number,
    directory,
    cell: "cell-leftovers",
    kubelet: realNodes?.kubelet,
    images: realNodes?.images,
    kubeconfig: join(cluster, "kubelet.kubeconfig"),
    clientCertificate: join(cluster, "pki", "kubelet-client.crt"),
  };
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, JSON.stringify(options)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  starter = child;
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code) => reject(new Error(`the starter ended with ${code}`)));
  });
  const admin = await createClusterClient({
    cluster: "local",
    kubeconfig: readFileSync(kubernetes.kubeconfigs.admin, "utf8"),
    timeoutMs: 20_000,
  });
  const spec = { nodeName: node.name, containers: [{ name: "main", image: "shop/web:1" }] };
  await admin.request({
    method: "POST",
    path: paths.pods("default"),
    body: { metadata: { name: pod }, spec: { ...spec, tolerations: [{ operator: "Exists" }] } },
  });
  await until(
    `${pod} runs`,
    async () => {
      const { status } = await admin.request<{ status: { phase: string } }>({
        method: "GET",
        path: paths.pod("default", pod),
      });
      return status.phase === "Running";
    },
    60_000,
  );
}

/** Everything of the node that is on this machine. */
async function remains(): Promise<string[]> {
  const processes = readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      return command.includes(node.state) || command.includes(`${node.directory}/`) ? [`process ${command}`] : [];
    } catch {
      return [];
    }
  });
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(node.state) || line.includes(`${node.directory}/`));
  const links = (await run("ip", "-oneline", "link")).split("\n").filter((line) => line.includes(node.bridge));
  const results = existsSync(networkResults) ? readdirSync(networkResults) : [];
  const ownResults = results.filter((file) => {
    return file.startsWith(node.bridge) || readFileSync(join(networkResults, file), "utf8").includes(`"${node.state}/`);
  });
  const files = [node.state, node.directory].filter(existsSync);
  return [...processes, ...mounts, ...links, ...ownResults, ...files];
}

/** Pids of the guards that a process has started. */
function guardsOf(starterPid: number | undefined): number[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
        const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return Number(parent) === starterPid && command.includes("/local/guard.ts");
      } catch {
        return false;
      }
    })
    .map(Number);
}

const untilNothingRemains = (): Promise<unknown> =>
  until("nothing of the node remains", async () => (await remains()).length === 0, 40_000);

test.runIf(hasRealNodes)("a real node leaves nothing behind", { timeout: 240_000 }, async () => {
  await startNodeWithPod("first");
  expect(await remains()).not.toEqual([]);
  // As of a pod whose network has been made, and none of whose containers has begun.
  const unborn = { interfaces: [{ name: "lo", sandbox: `${node.state}/netns/cni-1` }] };
  writeFileSync(join(networkResults, `cni-loopback-unborn-${process.pid}-lo`), JSON.stringify({ result: unborn }));
  starter?.kill("SIGKILL");
  await untilNothingRemains();

  // Even what would tidy up is killed: the containers run on, and the next start ends them.
  await startNodeWithPod("second");
  const pids = readdirSync(join(directory, "pids"))
    .filter((file) => file.endsWith(".pid.json"))
    .map((file) => (JSON.parse(readFileSync(join(directory, "pids", file), "utf8")) as { pid: number }).pid);
  // It would start another guard.
  process.kill(starter?.pid ?? 0, "SIGSTOP");
  for (const pid of [...guardsOf(starter?.pid), starter?.pid ?? 0, ...pids]) process.kill(pid, "SIGKILL");
  const before = (await remains()).filter((line) => line.startsWith("process"));
  expect(before.some((line) => line.includes("containerd-shim"))).toBe(true);

  await startNodeWithPod("third");
  starter?.kill("SIGTERM");
  await untilNothingRemains();
});
