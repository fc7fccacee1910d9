import { join } from "node:path";
import { startKubernetes, type KubernetesEndpoint, type KubernetesPorts } from "./kubernetes.ts";
import { choosePort } from "./ports.ts";
import { startPostgres } from "./postgres.ts";
import { createSupervisor, type Exit, type SupervisedProcess, type Supervisor } from "./processes.ts";
import { cleanRealNodes, type RealNodes } from "./real-node.ts";
import { startTemporal, type TemporalEndpoint } from "./temporal.ts";
import type { Tools } from "./tools.ts";

/** The servers that Cellwright needs, each of which may also be somebody else's. */
const stackParts = ["postgres", "temporal", "kubernetes"] as const;
export type StackPart = (typeof stackParts)[number];

export interface StackPorts extends KubernetesPorts {
  postgres: number;
  temporal: number;
  /** Without it, Temporal has no UI. */
  temporalUi: number | undefined;
}

export interface Stack {
  /** Empty parts are undefined: those that were not asked for. */
  databaseUrl: string | undefined;
  temporal: TemporalEndpoint | undefined;
  kubernetes: KubernetesEndpoint | undefined;
  /** By name: postgres, temporal, etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok, and those of real nodes. */
  processes: ReadonlyMap<string, SupervisedProcess>;
  /** Also runs further programs, under the same guard; `stop` ends them first. */
  supervisor: Supervisor;
  /** Stops everything: what was started last first, Kubernetes from the top down, then Temporal, then Postgres. */
  stop(): Promise<void>;
}

/**
 * Starts the local servers and waits until they answer. State is kept in `directory`; another start there goes on with it.
 * @throws DirectoryInUseError when a living process already runs a stack there.
 */
export async function startStack(options: {
  directory: string;
  /** Those that the parts need. */
  tools: Partial<Tools>;
  /** Default: one of its own, in `directory`. */
  supervisor?: Supervisor;
  /** Ports that are not given are free ones. */
  ports?: Partial<StackPorts>;
  parts?: readonly StackPart[];
  /** Default: simulated nodes only. */
  realNodes?: RealNodes | undefined;
  /** False is for tests: faster, and only safe while the machine itself does not crash. */
  durable?: boolean;
  /** For Temporal, added to what `temporal-dev.yml` says. */
  dynamicConfiguration?: Readonly<Record<string, unknown>>;
  log: (line: string) => void;
}): Promise<Stack> {
  const { directory, tools, log, parts = stackParts, durable = true } = options;
  const port = async (name: keyof StackPorts): Promise<number> => options.ports?.[name] ?? (await choosePort());
  const supervisor =
    options.supervisor ??
    (await createSupervisor({ directory, onUnexpectedExit: (process, exit) => log(describeExit(process, exit)) }));
  // Also when this start has no such nodes.
  await cleanRealNodes(join(directory, "kubernetes"));
  const tool = (name: keyof Tools): string => {
    const path = tools[name];
    if (path === undefined) throw new Error(`The tool ${name} is needed.`);
    return path;
  };

  async function part<T>(name: StackPart, start: () => Promise<T>): Promise<T | undefined> {
    if (!parts.includes(name)) return undefined;
    const begin = Date.now();
    const started = await start();
    log(`${name} is ready (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
    return started;
  }

  try {
    // One after the other, because they are stopped in the opposite order.
    const postgres = await part("postgres", async () =>
      startPostgres(supervisor, { directory: join(directory, "postgres"), port: await port("postgres"), durable }),
    );
    const temporal = await part("temporal", async () =>
      startTemporal(supervisor, {
        directory: join(directory, "temporal"),
        program: tool("temporal"),
        port: await port("temporal"),
        uiPort: options.ports?.temporalUi,
        durable,
        dynamicConfiguration: options.dynamicConfiguration ?? {},
      }),
    );
    const kubernetes = await part("kubernetes", async () =>
      startKubernetes(supervisor, {
        directory: join(directory, "kubernetes"),
        tools: {
          etcd: tool("etcd"),
          "kube-apiserver": tool("kube-apiserver"),
          "kube-controller-manager": tool("kube-controller-manager"),
          "kube-scheduler": tool("kube-scheduler"),
          kwok: tool("kwok"),
        },
        ports: {
          apiserver: await port("apiserver"),
          etcd: await port("etcd"),
          etcdPeer: await port("etcdPeer"),
          kwok: await port("kwok"),
        },
        realNodes: options.realNodes,
      }),
    );
    const processes = [postgres?.process, temporal?.process, ...(kubernetes?.processes ?? [])];
    return {
      databaseUrl: postgres?.databaseUrl,
      temporal: temporal?.endpoint,
      kubernetes: kubernetes?.endpoint,
      processes: new Map(processes.filter((process) => process !== undefined).map((each) => [each.name, each])),
      supervisor,
      stop: () => supervisor.close(),
    };
  } catch (error) {
    await supervisor.close();
    throw error;
  }
}

/** For people: what ended, how, and where to read why. */
export function describeExit(process: SupervisedProcess, exit: Exit): string {
  return `${process.name} ended unexpectedly (${exit.signal ?? `exit code ${exit.code}`}); its log: ${process.logFile}`;
}
