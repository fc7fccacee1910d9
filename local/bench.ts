/** `npm run bench -- <name>`: measures Cellwright on a fresh local stack of its own; results are JSON lines on stdout. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { benchHistory } from "../bench/history.ts";
import { benchRelease } from "../bench/release.ts";
import { audience, ensureIdentity, issuer } from "./identity.ts";
import { onStopRequest } from "./lifetime.ts";
import { localDirectory } from "./paths.ts";
import { choosePort } from "./ports.ts";
import { createSupervisor, type Supervisor } from "./processes.ts";
import { startProduct } from "./product.ts";
import { createProgress } from "./progress.ts";
import { createRest } from "./rest.ts";
import { describeExit, startStack } from "./stack.ts";
import { ensureTools } from "./tools.ts";

const benches = { history: benchHistory, release: benchRelease };

const [name = "", ...options] = process.argv.slice(2);
const quick = options.includes("--quick");
if (!Object.hasOwn(benches, name) || options.some((option) => option !== "--quick") || (quick && name !== "release")) {
  console.error(`Usage: npm run bench -- history|release [--quick]

  history   what releases of growing size cost Temporal
  release   how fast a release is, against floors on the same servers; --quick: one round of little work
`);
  process.exit(2);
}

const progress = createProgress(process.stderr);
let supervisor: Supervisor | undefined;
let stopping = false;
const stop = async (code: number): Promise<void> => {
  if (stopping) return;
  stopping = true;
  await supervisor?.close();
  process.exit(code);
};
onStopRequest((reason) => {
  progress.log(`Stopping (${reason}) …`);
  void stop(130);
});
try {
  await measure(benches[name as keyof typeof benches]);
  await stop(0);
} catch (error) {
  if (!stopping) progress.log(`✘ ${error instanceof Error ? error.message : String(error)}`);
  await stop(1);
}

async function measure(bench: (typeof benches)[keyof typeof benches]): Promise<void> {
  const directory = join(localDirectory, "bench");
  const tools = await ensureTools({ directory: localDirectory, progress });
  const log = (line: string): void => progress.log(`✔ ${line}`);
  // Who owns the old state is asked, and leftovers are ended, before it is taken away.
  await (await createSupervisor({ directory })).close();
  rmSync(directory, { recursive: true, force: true });
  supervisor = await createSupervisor({
    directory,
    onUnexpectedExit: (ended, exit) => {
      progress.log(`✘ ${describeExit(ended, exit)}`);
      void stop(1);
    },
  });
  const { databaseUrl, temporal, kubernetes } = await startStack({ directory, supervisor, tools, log });
  if (databaseUrl === undefined || temporal === undefined || kubernetes === undefined) {
    throw new Error("The local stack is not whole.");
  }
  const identity = await ensureIdentity(join(directory, "identity"));
  const port = await choosePort();
  await startProduct(supervisor, {
    directory: join(directory, "run"),
    environment: {
      DATABASE_URL: databaseUrl,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      TEMPORAL_TLS: "0",
      TEMPORAL_API_KEY: undefined,
      CELLWRIGHT_HOST: "127.0.0.1",
      CELLWRIGHT_PORT: String(port),
      CELLWRIGHT_ISSUER: issuer,
      CELLWRIGHT_AUDIENCE: audience,
      CELLWRIGHT_JWKS_FILE: identity.jwksFile,
      CELLWRIGHT_ENCRYPTION_KEY: identity.encryptionKey,
      CELLWRIGHT_TENANT: "local",
      LOG_LEVEL: "info",
    },
    log,
  });
  const connection = await Connection.connect({ address: temporal.address });
  const installation = {
    rest: createRest(`http://127.0.0.1:${port}`, await identity.issueToken("bench", ["admin"])),
    temporal: new Client({ connection, namespace: temporal.namespace }),
    temporalServer: temporal,
    kubernetes,
  };
  try {
    await progress.during(name, () => bench(installation, (result) => console.log(JSON.stringify(result)), { quick }));
  } finally {
    await connection.close();
  }
}
