import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { endTargets, processIdentity, signalTarget } from "../../local/process-identity.ts";
import { DirectoryInUseError } from "../../local/process-registry.ts";
import { createSupervisor, type Exit, flags } from "../../local/processes.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cellwright-processes-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const sleeper = { command: "sleep", args: ["600"] };

/** Starts a process that supervises others here; answers it and their pids. */
async function startStarter(...programs: string[]): Promise<{ starter: ChildProcess; pids: number[] }> {
  const script = fileURLToPath(new URL("../support/supervised.ts", import.meta.url));
  const starter = spawn(process.execPath, [script, directory, ...programs], { stdio: ["ignore", "pipe", "inherit"] });
  const text = await new Promise<string>((resolve) => starter.stdout.once("data", (chunk) => resolve(String(chunk))));
  return { starter, pids: JSON.parse(text) as number[] };
}

function childrenOf(pid: number): number[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const pairs = rows.map((row) => row.trim().split(/\s+/).map(Number));
  return pairs.filter(([, parent]) => parent === pid).map(([child = 0]) => child);
}

async function untilGone(pids: readonly number[]): Promise<void> {
  await vi.waitFor(() => expect(pids.filter((pid) => processIdentity(pid) !== undefined)).toEqual([]), {
    timeout: 15_000,
    interval: 50,
  });
}

describe("a supervisor", () => {
  test("starts, restarts and stops programs, the last started first", async () => {
    const ended: string[] = [];
    const supervisor = await createSupervisor({ directory });
    const first = await supervisor.start({ name: "first", ...sleeper });
    const second = await supervisor.start({ name: "second", ...sleeper });
    const pid = first.pid;
    await first.restart();
    expect(first.pid).not.toBe(pid);
    expect(processIdentity(pid)).toBeUndefined();
    for (const each of [first, second]) void each.exited.finally(() => ended.push(each.name));
    await supervisor.close();
    expect(ended).toEqual(["second", "first"]);
    expect(first.running || second.running).toBe(false);
    expect(readdirSync(join(directory, "pids"))).toEqual([]);
  });

  test("tells a death that nobody asked for, and only that", async () => {
    const exits: Exit[] = [];
    const supervisor = await createSupervisor({ directory, onUnexpectedExit: (_, exit) => exits.push(exit) });
    const victim = await supervisor.start({ name: "victim", ...sleeper });
    process.kill(victim.pid, "SIGKILL");
    expect(await victim.exited).toEqual({ code: null, signal: "SIGKILL", expected: false });
    await victim.restart();
    await victim.stop("SIGKILL");
    await supervisor.close();
    expect(exits).toEqual([{ code: null, signal: "SIGKILL", expected: false }]);
  });

  test("kills a program that does not obey", async () => {
    const supervisor = await createSupervisor({ directory });
    const command = { command: "/bin/sh", args: ["-c", "trap '' TERM; while :; do sleep 1; done"] };
    const stubborn = await supervisor.start({ name: "stubborn", ...command, stopWithin: 200 });
    await sleep(100);
    await stubborn.stop();
    expect((await stubborn.exited).signal).toBe("SIGKILL");
    await supervisor.close();
  });

  test("shows the end of the log of a program that does not come up", async () => {
    const supervisor = await createSupervisor({ directory });
    const fails = { command: "/bin/sh", args: ["-c", "echo the reason; exit 3"], ready: async () => false };
    await expect(supervisor.start({ name: "fails", ...fails })).rejects.toThrow(/exit code 3[\s\S]*the reason/);
    const late = { ...sleeper, ready: async () => false, readyWithin: 100 };
    await expect(supervisor.start({ name: "late", ...late })).rejects.toThrow("not ready within 0.1 s");
    const missing = { command: join(directory, "missing"), args: [], ready: async () => true };
    await expect(supervisor.start({ name: "missing", ...missing })).rejects.toThrow("ended at its start");
    await supervisor.close();
    expect(readdirSync(join(directory, "pids"))).toEqual([]);
  });

  test("refuses a directory that a living process owns", async () => {
    const supervisor = await createSupervisor({ directory });
    await expect(createSupervisor({ directory })).rejects.toThrow(DirectoryInUseError);
    await expect(createSupervisor({ directory })).rejects.toThrow(String(process.pid));
    await supervisor.close();
    await (await createSupervisor({ directory })).close();
  });
});

describe("no orphans", () => {
  test.each([
    ["SIGKILL", ["obedient", "stubborn"]],
    ["SIGTERM", ["obedient"]],
  ] as const)("the guard ends everything after %s of the starter of %j", async (signal, programs) => {
    const { starter, pids } = await startStarter(...programs);
    starter.kill(signal);
    await untilGone(pids);
  });

  test("a guard that was killed is replaced", async () => {
    const { starter, pids } = await startStarter("obedient");
    const guards = (): number[] => childrenOf(starter.pid ?? 0).filter((pid) => !pids.includes(pid));
    const [guard] = guards();
    process.kill(guard ?? 0, "SIGKILL");
    await vi.waitFor(() => expect(guards().filter((pid) => pid !== guard)).toHaveLength(1), { timeout: 5_000 });
    starter.kill("SIGKILL");
    await untilGone(pids);
  });

  test("what an earlier owner left behind is ended at the next start, even if its guard died with it", async () => {
    const { starter, pids } = await startStarter("obedient");
    const guards = childrenOf(starter.pid ?? 0).filter((pid) => !pids.includes(pid));
    starter.kill("SIGSTOP");
    for (const pid of guards) process.kill(pid, "SIGKILL");
    starter.kill("SIGKILL");
    await new Promise((resolve) => starter.once("exit", resolve));
    expect(pids.every((pid) => processIdentity(pid) !== undefined)).toBe(true);
    await (await createSupervisor({ directory })).close();
    await untilGone(pids);
  });

  test("a pid that now belongs to another process is left alone", async () => {
    const bystander = spawn("sleep", ["600"]);
    const target = { pid: bystander.pid ?? 0, identity: "of an earlier process", signal: "SIGKILL" as const };
    expect(signalTarget(target, "SIGKILL")).toBe(false);
    await endTargets([target], 0);
    expect(processIdentity(target.pid)).toBeDefined();
    bystander.kill("SIGKILL");
  });
});

test("flags are written with their values, lists by repetition", () => {
  expect(flags({ port: 1, headless: true, "search-attribute": ["A=Keyword", "B=Int"] })).toEqual([
    "--port=1",
    "--headless=true",
    "--search-attribute=A=Keyword",
    "--search-attribute=B=Int",
  ]);
});
