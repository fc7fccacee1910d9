/**
 * The product as it is run: its real processes, on a database, a Temporal namespace, and secrets of its own, beside
 * others on the servers of the run.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Client as TemporalClient } from "@temporalio/client";
import { expect, inject } from "vitest";
import { createClusterClient, type ClusterClient } from "../../activities/kubernetes/client.ts";
import { createDatabase, type DatabaseHandle } from "../../db/client.ts";
import { audience, ensureIdentity, issuer } from "../../local/identity.ts";
import { projectRoot } from "../../local/paths.ts";
import { choosePort } from "../../local/ports.ts";
import { createSupervisor, type ProcessSpec, type SupervisedProcess } from "../../local/processes.ts";
import { describeExit } from "../../local/stack.ts";
import { createClient, type Client } from "./client.ts";
import { createTestDatabase } from "./database.ts";
import { emptyDirectory } from "./directory.ts";
import type { ProvidedStack } from "./global-setup.ts";
import { registerNamespace } from "./namespace.ts";
import { readHistories, replay } from "./replay.ts";

export type ProductOptions = {
  /** Unique within a test file: names what is kept of it. Default: the test file's own name. */
  name?: string;
  /** Added to the environment of every process. */
  env?: Readonly<Record<string, string>>;
  /** Added to the environment of one process, made from what all get. */
  envOf?: (process: string, env: { DATABASE_URL: string; TEMPORAL_ADDRESS: string }) => Record<string, string>;
  /** How many of each. Default 1. */
  workers?: { orchestrators?: number; clusters?: number };
  /** Whether the API runs. Default true. */
  api?: boolean;
  /** The servers to run on. Default: those of the run. */
  stack?: Pick<ProvidedStack, "databaseUrl" | "temporal" | "kubernetes" | "workflowBundle">;
};

/** One process of the product; the same object before and after it is started again. */
export type ProductProcess = {
  readonly name: string;
  readonly pid: number;
  readonly alive: boolean;
  readonly logFile: string;
  /** Everything that it has logged, over all its runs. */
  log(): string;
  /** Sends a signal. One that ends it is waited for; SIGSTOP and SIGCONT return at once. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again (ends it first if it runs), and waits until it is ready. */
  start(): Promise<void>;
};

export type Product = {
  readonly name: string;
  readonly url: string;
  readonly adminToken: string;
  readonly viewerToken: string;
  /** By name: orchestrator, cluster, api; further ones are orchestrator-2, cluster-2, … */
  readonly processes: Readonly<Record<string, ProductProcess>>;
  /** As an administrator. */
  readonly client: Client;
  readonly viewer: Client;
  /** As an administrator of the cluster. */
  readonly kube: ClusterClient;
  readonly kubernetes: ProvidedStack["kubernetes"];
  /** In its namespace. */
  readonly temporal: TemporalClient;
  readonly temporalNamespace: string;
  readonly database: DatabaseHandle;
  readonly databaseUrl: string;
  readonly auditLog: string;
  /** Makes a Kubernetes namespace and returns its name. */
  newKubernetesNamespace(): Promise<string>;
  /**
   * Ends all processes, keeps the histories of all workflows, replays them, and drops the database.
   * @throws when a process has ended that nobody ended, or did not end in order when it was asked to, or when a history
   * does not replay
   */
  stop(): Promise<void>;
};

let counter = 0;

export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const stack = options.stack ?? inject("stack");
  const { kubernetes } = stack;
  const file = basename(expect.getState().testPath ?? "product").replace(/\.test\.ts$/, "");
  const name = options.name === undefined ? file : `${file}-${options.name}`;
  // Unique over the run: its test files share the servers.
  const unique = `${process.pid}-${Date.now().toString(36)}-${counter++}`;
  const directory = emptyDirectory("products", name);
  const histories = emptyDirectory("histories", name);
  const temporalNamespace = `test-${unique}`;
  const troubles: string[] = [];

  const [testDatabase, namespace, identity, port] = await Promise.all([
    createTestDatabase(stack.databaseUrl),
    registerNamespace(stack.temporal.address, temporalNamespace),
    ensureIdentity(join(directory, "identity")),
    choosePort(),
  ]);
  const supervisor = await createSupervisor({
    directory,
    onUnexpectedExit: (ended, exit) => troubles.push(describeExit(ended, exit)),
  });
  const url = `http://127.0.0.1:${port}`;
  const env = {
    DATABASE_URL: testDatabase.url,
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: temporalNamespace,
    TEMPORAL_TLS: undefined,
    TEMPORAL_API_KEY: undefined,
    CELLWRIGHT_HOST: "127.0.0.1",
    CELLWRIGHT_PORT: String(port),
    CELLWRIGHT_ISSUER: issuer,
    CELLWRIGHT_AUDIENCE: audience,
    CELLWRIGHT_JWKS_FILE: identity.jwksFile,
    CELLWRIGHT_ENCRYPTION_KEY: identity.encryptionKey,
    CELLWRIGHT_WORKFLOW_BUNDLE: stack.workflowBundle,
    LOG_LEVEL: "info",
    KUBECONFIG: undefined,
    ...options.env,
  };
  const spec = (process: string, program: string): ProcessSpec => ({
    name: process,
    command: globalThis.process.execPath,
    args: [join(projectRoot, program)],
    cwd: projectRoot,
    env,
    stopWithin: 20_000,
  });
  const started = new Map<string, SupervisedProcess>();
  const start = async (process: string, program: string): Promise<void> => {
    const readyFile = join(directory, `${process}.ready`);
    const running = await supervisor.start({
      ...spec(process, program),
      env: { ...env, CELLWRIGHT_READY_FILE: readyFile, ...options.envOf?.(process, env) },
      prepare: async () => rmSync(readyFile, { force: true }),
      ready: async () => existsSync(readyFile),
    });
    started.set(process, running);
  };
  const many = (process: string, count = 1): string[] =>
    Array.from({ length: count }, (_, index) => (index === 0 ? process : `${process}-${index + 1}`));

  const database = createDatabase(testDatabase.url, { applicationName: "test", connections: 3 });
  const end = async (): Promise<void> => {
    await supervisor.close();
    await database.close();
    await namespace.close();
    await testDatabase.drop();
  };
  try {
    await supervisor.run(spec("migrate", "workers/migrate.ts"));
    await Promise.all([
      ...many("orchestrator", options.workers?.orchestrators).map((one) => start(one, "workers/orchestrator.ts")),
      ...many("cluster", options.workers?.clusters).map((one) => start(one, "workers/cluster.ts")),
      ...(options.api === false ? [] : [start("api", "api/server.ts")]),
    ]);
  } catch (error) {
    await end();
    throw error;
  }

  const [adminToken, viewerToken] = [
    await identity.issueToken("test-admin", ["admin"]),
    await identity.issueToken("test-viewer", ["viewer"]),
  ];
  const kube = await createClusterClient({
    cluster: "local",
    kubeconfig: readFileSync(kubernetes.kubeconfigs.admin, "utf8"),
    timeoutMs: 20_000,
  });
  const namespaces: string[] = [];
  return {
    name,
    url,
    adminToken,
    viewerToken,
    processes: Object.fromEntries([...started].map(([process, running]) => [process, steerable(running)])),
    client: createClient(url, adminToken),
    viewer: createClient(url, viewerToken),
    kube,
    kubernetes,
    temporal: namespace.client,
    temporalNamespace,
    database,
    databaseUrl: testDatabase.url,
    auditLog: kubernetes.auditLog,
    async newKubernetesNamespace() {
      const made = `p${unique}-${namespaces.length}`;
      namespaces.push(made);
      await kube.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name: made } } });
      return made;
    },
    async stop() {
      try {
        await Promise.all([...started.values()].map((running) => endInOrder(running, troubles)));
        await namespace.collectHistories(histories);
        for (const { name: history, error } of await replay(readHistories(histories), stack.workflowBundle)) {
          troubles.push(`${history} does not replay: ${error.message}`);
        }
      } finally {
        // Its pods would take time from the tests that follow; where the cluster has gone, they have too.
        const paths = namespaces.map((made) => `/api/v1/namespaces/${made}`);
        await Promise.allSettled(paths.map((path) => kube.request({ method: "DELETE", path })));
        await end();
      }
      if (troubles.length > 0) throw new Error(troubles.join("\n"));
    },
  };
}

function steerable(running: SupervisedProcess): ProductProcess {
  return {
    name: running.name,
    get pid() {
      return running.pid;
    },
    get alive() {
      return running.running;
    },
    logFile: running.logFile,
    log: () => readFileSync(running.logFile, "utf8"),
    async kill(signal = "SIGKILL") {
      if (signal === "SIGSTOP" || signal === "SIGCONT") process.kill(running.pid, signal);
      else await running.stop(signal);
    },
    start: () => running.restart(),
  };
}

/** A process that is asked to end finishes what it is at, and ends without an error. */
async function endInOrder(running: SupervisedProcess, troubles: string[]): Promise<void> {
  if (!running.running) return;
  // One that a test has stopped and forgotten would not hear the request.
  process.kill(running.pid, "SIGCONT");
  await running.stop();
  const exit = await running.exited;
  if (exit.code !== 0) troubles.push(`${running.name} did not end in order: ${describeExit(running, exit)}`);
}
