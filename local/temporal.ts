import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Connection } from "@temporalio/client";
import type { Duration } from "@temporalio/common";
import { msToTs } from "@temporalio/common/lib/time.js";
import { parse } from "yaml";
import { flags, type SupervisedProcess, type Supervisor } from "./processes.ts";

/** What `temporal-dev.yml` says. */
export interface TemporalConfiguration {
  cli: string;
  server: string;
  namespace: string;
  retention: Duration;
  ports: { frontend: number; ui: number };
  searchAttributes: Record<string, string>;
  dynamicConfiguration: Record<string, unknown>;
}

export function readTemporalConfiguration(): TemporalConfiguration {
  return parse(readFileSync(new URL("../temporal-dev.yml", import.meta.url), "utf8")) as TemporalConfiguration;
}

/** Where a Temporal server answers. */
export interface TemporalEndpoint {
  /** host:port of the gRPC frontend. */
  address: string;
  namespace: string;
  /** Only with the UI running. */
  uiUrl?: string;
}

/** Starts the development server of `temporal-dev.yml` on 127.0.0.1; it keeps its state in `directory`. */
export async function startTemporal(
  supervisor: Supervisor,
  options: {
    directory: string;
    /** Path of the `temporal` program. */
    program: string;
    port: number;
    /** Without it there is no UI. */
    uiPort?: number | undefined;
    /** Whether what is committed outlives a crash of the whole machine. */
    durable: boolean;
    /** Added to those of `temporal-dev.yml`. */
    dynamicConfiguration?: Readonly<Record<string, unknown>>;
  },
): Promise<{ endpoint: TemporalEndpoint; process: SupervisedProcess }> {
  const configuration = readTemporalConfiguration();
  const { namespace } = configuration;
  const address = `127.0.0.1:${options.port}`;
  const dynamic = { ...configuration.dynamicConfiguration, ...options.dynamicConfiguration };
  mkdirSync(options.directory, { recursive: true });
  const pairs = Object.entries(configuration.searchAttributes).map(([name, type]) => `${name}=${type}`);

  const started = await supervisor.start({
    name: "temporal",
    command: options.program,
    args: [
      "server",
      "start-dev",
      ...flags({
        ip: "127.0.0.1",
        port: options.port,
        ...(options.uiPort === undefined ? { headless: true } : { "ui-port": options.uiPort }),
        "log-level": "warn",
        "db-filename": join(options.directory, "temporal.db"),
        // What is committed outlives the process in any case.
        "sqlite-pragma": ["journal_mode=wal", `synchronous=${options.durable ? "full" : "normal"}`],
        namespace,
        "search-attribute": pairs,
        "dynamic-config-value": Object.entries(dynamic).map(([key, value]) => `${key}=${JSON.stringify(value)}`),
      }),
    ],
    // The command line tool's own profiles must not reach the server.
    env: {
      TEMPORAL_ADDRESS: undefined,
      TEMPORAL_NAMESPACE: undefined,
      TEMPORAL_API_KEY: undefined,
      TEMPORAL_TLS: undefined,
    },
    ready: () => isNamespaceReady(address, namespace),
  });
  await keepClosedWorkflows(address, namespace, configuration.retention);
  const uiUrl = options.uiPort === undefined ? {} : { uiUrl: `http://127.0.0.1:${options.uiPort}` };
  return { endpoint: { address, namespace, ...uiUrl }, process: started };
}

async function withConnection<T>(address: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

async function isNamespaceReady(address: string, namespace: string): Promise<boolean> {
  await withConnection(address, async (connection) => {
    await connection.workflowService.describeNamespace({ namespace });
    // Listing needs the search attributes and the visibility store, which come up last.
    await connection.workflowService.countWorkflowExecutions({ namespace, query: "CellwrightState = 'READY'" });
  });
  return true;
}

async function keepClosedWorkflows(address: string, namespace: string, retention: Duration): Promise<void> {
  await withConnection(address, async (connection) => {
    await connection.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: msToTs(retention) },
    });
  });
}
