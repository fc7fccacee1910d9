/** `npm start`: the local stack, the product on it, and the example's first release; stays until it is asked to stop. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { releaseExample } from "./example.ts";
import { audience, ensureIdentity, issuer, writeTokens } from "./identity.ts";
import { onStopRequest } from "./lifetime.ts";
import { localDirectory } from "./paths.ts";
import { DirectoryInUseError } from "./process-registry.ts";
import { createSupervisor, type Exit, type SupervisedProcess, type Supervisor } from "./processes.ts";
import { type ProductEnvironment, startProduct } from "./product.ts";
import { createProgress, elapsed } from "./progress.ts";
import { prepareRealNodes } from "./real-node.ts";
import { createRest } from "./rest.ts";
import { chooseStartPorts, type External, localParts, readExternal, readStartRecord } from "./settings.ts";
import { writeEnvironmentFile, writeStartRecord } from "./settings.ts";
import { describeExit, startStack } from "./stack.ts";
import { readStartOptions, startUsage, type StartOptions } from "./start-options.ts";
import { readTemporalConfiguration } from "./temporal.ts";
import { kubernetesTools } from "./tools/catalogue.ts";
import { ensureTools } from "./tools.ts";
import { welcome } from "./welcome.ts";

const begin = Date.now();
const directory = localDirectory;
const progress = createProgress();
const options = readOptions();

let stopping = false;
let supervisor: Supervisor | undefined;
onStopRequest((reason) => void stop(reason, 0));
try {
  await start();
} catch (error) {
  if (error instanceof DirectoryInUseError) {
    const { url } = readStartRecord(directory);
    console.error(`Cellwright already runs here: process ${error.pid}${url === undefined ? "" : `, ${url}`}.`);
    process.exit(1);
  }
  // While stopping, what is being started fails of necessity.
  if (!stopping) {
    progress.log(`✘ ${error instanceof Error ? error.message : String(error)}`);
    await stop("the start failed", 1);
  }
}

function readOptions(): StartOptions {
  try {
    const read = readStartOptions(process.argv.slice(2));
    if (read !== undefined) return read;
    console.log(startUsage);
    process.exit(0);
  } catch (error) {
    console.error((error as Error).message);
    process.exit(2);
  }
}

async function stop(reason: string, code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  progress.log(`Stopping (${reason}) …`);
  await supervisor?.close();
  progress.log("Everything is stopped; state and logs are kept in .local.");
  process.exit(code);
}

async function start(): Promise<void> {
  mkdirSync(directory, { recursive: true });
  supervisor = await createSupervisor({ directory, onUnexpectedExit: (ended, exit) => void revive(ended, exit) });
  const external = readExternal(directory, process.env);
  const parts = localParts(external);
  for (const [name, given] of Object.entries(external)) {
    if (given !== undefined) progress.log(`Using yours instead of a local one: ${name}`);
  }
  const tools = await ensureTools({
    directory,
    progress,
    names: [
      ...(parts.includes("temporal") ? (["temporal"] as const) : []),
      ...(parts.includes("kubernetes") ? kubernetesTools : []),
    ],
  });
  const { realCells } = options;
  if (realCells.length > 0 && external.kubeconfig !== undefined) {
    throw new Error("Real nodes are for the local cluster; with a KUBECONFIG of yours, leave --real-node out.");
  }
  const realNodes =
    realCells.length > 0 ? await prepareRealNodes({ cells: realCells, supervisor, progress }) : undefined;
  const ports = await chooseStartPorts(directory, (line) => progress.log(line));
  const log = (line: string): void => progress.log(`✔ ${line}`);
  const stack = await startStack({ directory, supervisor, tools, ports, parts, realNodes, log });

  const identity = await ensureIdentity(join(directory, "identity"));
  const token = await writeTokens(directory, identity);

  const host = "127.0.0.1";
  const url = `http://${host}:${ports.api}`;
  const environment: ProductEnvironment = {
    DATABASE_URL: required(external.databaseUrl ?? stack.databaseUrl),
    TEMPORAL_ADDRESS: required(external.temporalAddress ?? stack.temporal?.address),
    ...temporalAccess(external),
    CELLWRIGHT_HOST: host,
    CELLWRIGHT_PORT: String(ports.api),
    CELLWRIGHT_ISSUER: issuer,
    CELLWRIGHT_AUDIENCE: audience,
    CELLWRIGHT_JWKS_FILE: identity.jwksFile,
    CELLWRIGHT_ENCRYPTION_KEY: process.env["CELLWRIGHT_ENCRYPTION_KEY"] ?? identity.encryptionKey,
    CELLWRIGHT_TENANT: process.env["CELLWRIGHT_TENANT"] ?? "local",
    LOG_LEVEL: process.env["LOG_LEVEL"] ?? "info",
  };
  const adminKubeconfig = required(external.kubeconfig ?? stack.kubernetes?.kubeconfigs.admin);
  writeStartRecord(directory, {
    pid: process.pid,
    url,
    databaseUrl: stack.databaseUrl,
    temporalAddress: stack.temporal?.address,
    kubeconfig: stack.kubernetes?.kubeconfigs.admin,
  });
  writeEnvironmentFile(join(directory, "env"), {
    CELLWRIGHT_URL: url,
    CELLWRIGHT_TOKEN: token,
    KUBECONFIG: adminKubeconfig,
    DATABASE_URL: environment.DATABASE_URL,
    TEMPORAL_ADDRESS: environment.TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE: environment.TEMPORAL_NAMESPACE,
    KUBE_AUDIT_LOG: stack.kubernetes?.auditLog,
  });
  await startProduct(supervisor, { directory: join(directory, "run"), environment, log });

  if (wantsExample(external)) {
    try {
      await releaseExample({
        rest: createRest(url, token),
        adminKubeconfig,
        productKubeconfig: readFileSync(stack.kubernetes?.kubeconfigs.cellwright ?? adminKubeconfig, "utf8"),
        progress,
      });
    } catch (error) {
      if (stopping) return;
      // Cellwright itself is up, and there the reason can be looked into.
      progress.log(`✘ The example was not released: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (stopping) return;
  progress.log(`✔ Ready after ${elapsed(begin)}.\n`);
  const { TEMPORAL_NAMESPACE: namespace } = environment;
  const temporalUi = stack.temporal?.uiUrl;
  const ownCluster = external.kubeconfig !== undefined;
  progress.log(welcome({ url, temporalUi, namespace, example: wantsExample(external), ownCluster }));
}

/** A cluster of one's own gets the example only on request. */
function wantsExample(external: External): boolean {
  return options.example ?? external.kubeconfig === undefined;
}

/** A server given from outside may need its own namespace, TLS and key; the local one has none of them. */
function temporalAccess(
  external: External,
): Pick<ProductEnvironment, "TEMPORAL_NAMESPACE" | "TEMPORAL_TLS" | "TEMPORAL_API_KEY"> {
  const { namespace } = readTemporalConfiguration();
  if (external.temporalAddress === undefined) {
    return { TEMPORAL_NAMESPACE: namespace, TEMPORAL_TLS: "0", TEMPORAL_API_KEY: undefined };
  }
  return {
    TEMPORAL_NAMESPACE: process.env["TEMPORAL_NAMESPACE"] ?? namespace,
    TEMPORAL_TLS: process.env["TEMPORAL_TLS"] ?? "0",
    TEMPORAL_API_KEY: process.env["TEMPORAL_API_KEY"],
  };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("A part of the local stack is missing.");
  return value;
}

/** Whatever dies is started again: nothing that Cellwright does may depend on a process staying alive. */
async function revive(ended: SupervisedProcess, exit: Exit): Promise<void> {
  progress.log(`✘ ${describeExit(ended, exit)}`);
  for (let pause = 1_000; ; pause = Math.min(pause * 2, 30_000)) {
    await sleep(pause);
    if (stopping) return;
    try {
      await ended.restart();
      progress.log(`✔ ${ended.name} runs again.`);
      return;
    } catch (error) {
      if (!stopping) progress.log(`✘ ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
