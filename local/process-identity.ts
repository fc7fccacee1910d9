import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * What tells a process from a later one that was given the same pid: its start time, as the system reports it.
 * Undefined when no such process runs; a zombie (ended, not yet reaped) does not run.
 */
export function processIdentity(pid: number): string | undefined {
  if (process.platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      // The command (field 2) is in parentheses and may hold blanks; counting starts behind its last one.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] === "Z" || fields[0] === "X" ? undefined : `${bootId()}/${fields[19]}`;
    } catch {
      return undefined;
    }
  }
  try {
    const [state = "", ...started] = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    })
      .trim()
      .split(/\s+/);
    return state.startsWith("Z") || started.length === 0 ? undefined : started.join(" ");
  } catch {
    return undefined;
  }
}

/** Start times count from the boot, so they only mean something together with it. */
function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** A running process that may be ended: the signal goes out only while the pid still belongs to `identity`. */
export interface Target {
  pid: number;
  identity: string;
  /** What asks the program to end; Postgres, for one, waits for its clients on SIGTERM. */
  signal: NodeJS.Signals;
  /** Milliseconds that it is given to end, where that is longer than what others get. */
  patience?: number | undefined;
}

export function isAlive(target: Target): boolean {
  return processIdentity(target.pid) === target.identity;
}

/** Signals the target if it is still the same process. Answers whether it was. */
export function signalTarget(target: Target, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Ends all targets at once: each gets its own signal, and after `within` milliseconds (or its own patience) SIGKILL.
 * Returns when none runs any more.
 */
export async function endTargets(targets: readonly Target[], within: number): Promise<void> {
  for (const target of targets) signalTarget(target, target.signal);
  const begin = Date.now();
  for (;;) {
    const alive = targets.filter(isAlive);
    if (alive.length === 0) return;
    for (const target of alive) {
      if (Date.now() - begin >= Math.max(within, target.patience ?? 0)) signalTarget(target, "SIGKILL");
    }
    await sleep(50);
  }
}
