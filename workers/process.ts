/** What every process does: log, connect to Temporal, tell that it is ready, end in order. */
import { writeFileSync } from "node:fs";
import { Client, Connection } from "@temporalio/client";
import { DefaultLogger, NativeConnection, Runtime } from "@temporalio/worker";
import type { LogLevel } from "@temporalio/worker";
import pino from "pino";
import type { Logger } from "pino";
import type { TemporalConfig } from "./config.ts";

export function createLog(name: string, level: string): Logger {
  return pino({ name, level });
}

const TEMPORAL_LEVELS: Record<LogLevel, "trace" | "debug" | "info" | "warn" | "error"> = {
  TRACE: "trace",
  DEBUG: "debug",
  INFO: "info",
  WARN: "warn",
  ERROR: "error",
};

/** Before anything else of Temporal is used: its log goes into ours, and signals are ours to handle. */
export function installRuntime(log: Logger): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger("INFO", ({ level, message, meta }) => {
      log[TEMPORAL_LEVELS[level]](meta ?? {}, message);
    }),
  });
}

export async function connectClient(config: TemporalConfig): Promise<{ client: Client; connection: Connection }> {
  const connection = await Connection.connect({
    address: config.address,
    tls: config.tls,
    ...(config.apiKey !== undefined && { apiKey: config.apiKey }),
  });
  return { client: new Client({ connection, namespace: config.namespace }), connection };
}

export function connectNative(config: TemporalConfig): Promise<NativeConnection> {
  return NativeConnection.connect({
    address: config.address,
    tls: config.tls,
    ...(config.apiKey !== undefined && { apiKey: config.apiKey }),
  });
}

/**
 * Tries until it works: a process that starts before its server waits for it.
 * @throws Error saying what is not there, when a failure is not `passing` or `within` is over
 */
export async function untilItWorks<T>(
  what: string,
  log: Logger,
  signal: AbortSignal,
  work: () => Promise<T>,
  bounds: {
    /** Whether trying again may help; always unless told. */
    passing?: (error: unknown) => boolean;
    /** Milliseconds after which no other try is made; without end unless told. */
    within?: number;
  } = {},
): Promise<T> {
  const { passing = () => true, within = Infinity } = bounds;
  const begin = Date.now();
  for (let wait = 250; ; wait = Math.min(wait * 2, 5_000)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      const why = error instanceof Error ? error.message : String(error);
      if (!passing(error)) throw new Error(`${what} cannot be used: ${why}`, { cause: error });
      if (Date.now() - begin + wait > within) {
        throw new Error(`${what} did not answer within ${within / 1000} s: ${why}`, { cause: error });
      }
      log.warn({ error: why }, `${what} is not there yet; trying again`);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

export function tellReady(readyFile: string | undefined, log: Logger): void {
  if (readyFile) writeFileSync(readyFile, `${process.pid}\n`);
  log.info("ready");
}

/** Runs a process's body; SIGTERM and SIGINT abort the signal that it gets. Ends the process. */
export function runProcess(log: Logger, body: (signal: AbortSignal) => Promise<void>): void {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      log.info({ signal: name }, "stopping");
      controller.abort();
    });
  }
  body(controller.signal).then(
    () => {
      log.info("stopped");
      process.exit(0);
    },
    (error: unknown) => {
      log.fatal({ err: error }, "failed");
      process.exit(1);
    },
  );
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Waits, but not longer than until the signal is aborted. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { once: true });
  });
}
