import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./paths.ts";
import type { ProcessSpec, Supervisor } from "./processes.ts";
import { ensureWorkflowBundle } from "./workflow-bundle.ts";

/** What every process of the product reads from its environment. */
export interface ProductEnvironment {
  [name: string]: string | undefined;
  DATABASE_URL: string;
  TEMPORAL_ADDRESS: string;
  TEMPORAL_NAMESPACE: string;
  /** 1 or 0. */
  TEMPORAL_TLS: string;
  TEMPORAL_API_KEY: string | undefined;
  CELLWRIGHT_HOST: string;
  CELLWRIGHT_PORT: string;
  CELLWRIGHT_ISSUER: string;
  CELLWRIGHT_AUDIENCE: string;
  CELLWRIGHT_JWKS_FILE: string;
  CELLWRIGHT_ENCRYPTION_KEY: string;
  CELLWRIGHT_TENANT: string;
  LOG_LEVEL: string;
}

/** Brings the database up to date and starts the workers and the API; all are ready when this returns. */
export async function startProduct(
  supervisor: Supervisor,
  options: { directory: string; environment: ProductEnvironment; log: (line: string) => void },
): Promise<void> {
  const { directory, environment, log } = options;
  mkdirSync(directory, { recursive: true });
  // Clusters reach the product by its API; a kubeconfig in the environment must not reach it beside that.
  const env = { ...environment, KUBECONFIG: undefined };
  const program = (name: string, file: string): ProcessSpec => ({
    name,
    command: process.execPath,
    args: [join(projectRoot, file)],
    cwd: projectRoot,
    env,
    // A worker finishes what it is at.
    stopWithin: 30_000,
  });
  const worker = (name: string, file: string): ProcessSpec => {
    const readyFile = join(directory, `${name}.ready`);
    return {
      ...program(name, file),
      env: { ...env, CELLWRIGHT_READY_FILE: readyFile },
      prepare: async () => rmSync(readyFile, { force: true }),
      ready: async () => existsSync(readyFile),
    };
  };

  await supervisor.run(program("migrate", "workers/migrate.ts"));
  log("the database is up to date");
  const bundle = await ensureWorkflowBundle({
    directory: join(directory, "workflows"),
    async build(file) {
      const bundler = program("bundle", "workers/bundle.ts");
      await supervisor.run({ ...bundler, args: [...bundler.args, file] });
      log("the workflow code is built");
    },
  });
  const orchestrator = worker("orchestrator", "workers/orchestrator.ts");
  await Promise.all([
    supervisor.start({ ...orchestrator, env: { ...orchestrator.env, CELLWRIGHT_WORKFLOW_BUNDLE: bundle } }),
    supervisor.start(worker("cluster", "workers/cluster.ts")),
  ]);
  log("the workers are ready");
  const url = `http://${environment.CELLWRIGHT_HOST}:${environment.CELLWRIGHT_PORT}`;
  await supervisor.start({
    ...program("api", "api/server.ts"),
    ready: async () => (await fetch(`${url}/readyz`)).ok,
  });
  log(`the API is ready`);
}
