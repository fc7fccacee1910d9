import { type ChildProcess, spawn } from "node:child_process";
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { GuardMessage } from "./guard.ts";
import { endTargets, isAlive, processIdentity, type Target } from "./process-identity.ts";

/** The directory belongs to a process that still runs. */
export class DirectoryInUseError extends Error {
  override readonly name = "DirectoryInUseError";
  readonly pid: number;

  constructor(directory: string, pid: number) {
    super(`${directory} is in use by process ${pid}.`);
    this.pid = pid;
  }
}

/** The children of this process, known to its guard and to the pid files. */
export interface Registry {
  add(name: string, target: Target): void;
  remove(name: string, target: Target): void;
  /** Ends the guard and gives the directory free. */
  close(): Promise<void>;
}

/**
 * Takes the directory for this process, ends what a dead owner left running, and starts the guard.
 * @throws DirectoryInUseError when its owner lives.
 */
export async function createRegistry(directory: string): Promise<Registry> {
  mkdirSync(directory, { recursive: true });
  takeOwnership(directory);
  await endLeftovers(directory);

  const targets = new Map<string, Target>();
  let closing = false;
  let guard = startGuard();

  function startGuard(): ChildProcess {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./guard.ts", import.meta.url))], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      env: { PATH: process.env["PATH"] },
    });
    // A guard that was killed leaves the pipe broken; its end is handled below.
    child.stdin?.on("error", () => {});
    child.once("exit", () => {
      if (closing) return;
      guard = startGuard();
      for (const target of targets.values()) tell(guard, { add: target });
    });
    // Neither the guard nor its pipe keeps this process alive.
    child.unref();
    (child.stdin as Socket | null)?.unref();
    return child;
  }

  return {
    add(name, target) {
      tell(guard, { add: target });
      targets.set(name, target);
      writeFileSync(pidFile(directory, name), JSON.stringify(target));
    },
    remove(name, target) {
      tell(guard, { remove: target.pid });
      if (targets.get(name) !== target) return;
      targets.delete(name);
      rmSync(pidFile(directory, name), { force: true });
    },
    async close() {
      closing = true;
      const ended = new Promise((resolve) => guard.once("exit", resolve));
      guard.ref();
      guard.stdin?.end();
      await ended;
      rmSync(ownerFile(directory), { force: true });
    },
  };
}

function tell(guard: ChildProcess, message: GuardMessage): void {
  guard.stdin?.write(`${JSON.stringify(message)}\n`);
}

const ownerFile = (directory: string): string => join(directory, "owner.json");
const pidFile = (directory: string, name: string): string => join(directory, `${name}.pid.json`);

function readTarget(file: string): Target | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Target;
  } catch {
    return undefined;
  }
}

/** The pid of the living process that owns a registry's directory, if there is one. */
function ownerOf(directory: string): number | undefined {
  const owner = readTarget(ownerFile(directory));
  return owner !== undefined && isAlive(owner) ? owner.pid : undefined;
}

function takeOwnership(directory: string): void {
  const self = { pid: process.pid, identity: processIdentity(process.pid), signal: "SIGTERM" };
  const draft = `${ownerFile(directory)}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(self));
  try {
    for (;;) {
      try {
        // A link appears with its content, and only one of several starters can make it.
        linkSync(draft, ownerFile(directory));
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const owner = ownerOf(directory);
      if (owner !== undefined) throw new DirectoryInUseError(directory, owner);
      rmSync(ownerFile(directory), { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

async function endLeftovers(directory: string): Promise<void> {
  const files = readdirSync(directory).filter((file) => file.endsWith(".pid.json"));
  const targets = files.map((file) => readTarget(join(directory, file))).filter((target) => target !== undefined);
  await endTargets(targets, 5_000);
  for (const file of files) rmSync(join(directory, file), { force: true });
}
