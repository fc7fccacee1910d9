import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createRegistry } from "./process-registry.ts";
import { endTargets, processIdentity, type Target } from "./process-identity.ts";

/** How a program is run. */
export interface ProcessSpec {
  /** Unique within its supervisor; also names the log. */
  name: string;
  command: string;
  args: readonly string[];
  /** Added to this process's own environment; undefined takes a variable away. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** What asks it to end. Default SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** Milliseconds after which a stop turns into SIGKILL. Default 10 s. */
  stopWithin?: number;
  /** Also the guard gives it that long; it gives others a few seconds. */
  patient?: boolean;
  /** Runs before every start, also before a restart. */
  prepare?: () => Promise<void>;
  /** Asked again and again until it answers true; what it throws counts as false. Without it, running is ready. */
  ready?: () => Promise<boolean>;
  /** Milliseconds to become ready. Default 60 s. */
  readyWithin?: number;
  /** It is meant to end by itself, with exit code 0. */
  ends?: boolean;
}

/** How a process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Whether `stop` asked for it. */
  expected: boolean;
}

/** A program under supervision; the same object before and after a restart. */
export interface SupervisedProcess {
  readonly name: string;
  readonly logFile: string;
  /** The pid of the present run, or of the last one. */
  readonly pid: number;
  readonly running: boolean;
  /** Settles when the present (or last) run ends. */
  readonly exited: Promise<Exit>;
  /** Ends it, by default the way it wants to be asked; waits for the end. A stopped process is left as it is. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Stops it if it runs, starts it again, and waits until it is ready. */
  restart(): Promise<void>;
}

export interface Supervisor {
  /** Starts a program and waits until it is ready. Throws, with the end of its log, when it ends or is too late. */
  start(spec: ProcessSpec): Promise<SupervisedProcess>;
  /** Runs a program to its end. Throws, with the end of its log, unless its exit code is 0. */
  run(spec: ProcessSpec): Promise<void>;
  /** Stops everything, the last started first, and gives the directory free. */
  close(): Promise<void>;
}

/** Command line arguments `--name=value`; a list repeats its flag. */
export function flags(values: Readonly<Record<string, string | number | boolean | readonly string[]>>): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => `--${name}=${each}`),
  );
}

const maximalLog = 20 * 1024 * 1024;

/**
 * Runs programs so that none outlives this process: a guard ends them when it dies, and what an earlier owner of the
 * directory may have left behind is ended first.
 * @throws DirectoryInUseError when a living process already owns the directory.
 */
export async function createSupervisor(options: {
  /** Where pid files (`pids/`) and logs (`logs/`) go. */
  directory: string;
  /** Told when a process ends that nobody stopped. */
  onUnexpectedExit?: (process: SupervisedProcess, exit: Exit) => void;
}): Promise<Supervisor> {
  const logs = join(options.directory, "logs");
  mkdirSync(logs, { recursive: true });
  const registry = await createRegistry(join(options.directory, "pids"));
  const processes: SupervisedProcess[] = [];
  let closed = false;

  async function start(spec: ProcessSpec): Promise<SupervisedProcess> {
    const logFile = join(logs, `${spec.name}.log`);
    if (existsSync(logFile) && statSync(logFile).size > maximalLog) renameSync(logFile, `${logFile}.old`);
    let run: Run | undefined;

    async function launch(): Promise<void> {
      await spec.prepare?.();
      if (closed) throw new Error(`${spec.name} is not started: everything is being stopped.`);
      run = launchRun(spec, logFile);
      const current = run;
      registry.add(spec.name, current.target);
      void current.exited.then((exit) => {
        registry.remove(spec.name, current.target);
        if (!exit.expected && current.becameReady && spec.ends !== true) options.onUnexpectedExit?.(supervised, exit);
      });
      await waitUntilReady(spec, current, logFile);
    }

    const supervised: SupervisedProcess = {
      name: spec.name,
      logFile,
      get pid() {
        return started(run).target.pid;
      },
      get running() {
        return run !== undefined && !run.ended;
      },
      get exited() {
        return started(run).exited;
      },
      async stop(signal = spec.stopSignal ?? "SIGTERM") {
        if (run === undefined || run.ended) return;
        run.stopping = true;
        await endTargets([{ ...run.target, signal }], spec.stopWithin ?? 10_000);
        await run.exited;
      },
      async restart() {
        await supervised.stop();
        await launch();
      },
    };
    processes.push(supervised);
    try {
      await launch();
    } catch (error) {
      await supervised.stop();
      processes.splice(processes.indexOf(supervised), 1);
      throw error;
    }
    return supervised;
  }

  return {
    start,
    async run(spec) {
      const running = await start({ ...spec, ends: true });
      const { code, signal } = await running.exited;
      processes.splice(processes.indexOf(running), 1);
      if (code !== 0) throw new Error(failure(spec.name, `failed (${signal ?? `exit code ${code}`})`, running.logFile));
    },
    async close() {
      closed = true;
      for (const process of processes.toReversed()) await process.stop();
      await registry.close();
    },
  };
}

interface Run {
  target: Target;
  exited: Promise<Exit>;
  ended: boolean;
  stopping: boolean;
  becameReady: boolean;
}

function started(run: Run | undefined): Run {
  if (run === undefined) throw new Error("The process was never started.");
  return run;
}

function launchRun(spec: ProcessSpec, logFile: string): Run {
  const log = openSync(logFile, "a", 0o600);
  let child: ChildProcess;
  try {
    child = spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: { ...process.env, ...spec.env },
      // Its own group: a Ctrl-C in the terminal reaches only the starter, which then stops everything in order.
      detached: true,
      stdio: ["ignore", log, log],
      ...(spec.uid === undefined ? {} : { uid: spec.uid }),
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
    });
  } finally {
    closeSync(log);
  }
  const pid = child.pid ?? 0;
  const run: Run = {
    target: {
      pid,
      identity: (pid && processIdentity(pid)) || "ended",
      signal: spec.stopSignal ?? "SIGTERM",
      patience: spec.patient === true ? spec.stopWithin : undefined,
    },
    // Without a pid the program could not be run at all.
    ended: pid === 0,
    stopping: false,
    becameReady: false,
    exited: new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        run.ended = true;
        resolve({ code, signal, expected: run.stopping });
      };
      child.once("exit", end);
      child.once("error", () => pid === 0 && end(127, null));
    }),
  };
  return run;
}

async function waitUntilReady(spec: ProcessSpec, run: Run, logFile: string): Promise<void> {
  const within = spec.readyWithin ?? 60_000;
  const deadline = Date.now() + within;
  while (!run.ended) {
    if (spec.ready === undefined || (await spec.ready().catch(() => false))) {
      // The answer may have come from a stranger on the same port while ours had just ended.
      if (run.ended) break;
      run.becameReady = true;
      return;
    }
    if (Date.now() > deadline) throw new Error(failure(spec.name, `was not ready within ${within / 1000} s`, logFile));
    await sleep(50);
  }
  const { code, signal } = await run.exited;
  throw new Error(failure(spec.name, `ended at its start (${signal ?? `exit code ${code}`})`, logFile));
}

function failure(name: string, what: string, logFile: string): string {
  const lines = existsSync(logFile) ? readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-15) : [];
  return `${name} ${what}. The end of its log, ${logFile}:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}
