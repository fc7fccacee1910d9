import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleWorkflowCode } from "@temporalio/worker";
import type { TestProject } from "vitest/node";
import { localDirectory, projectRoot } from "../../local/paths.ts";
import { createSupervisor, type Supervisor } from "../../local/processes.ts";
import { createProgress, type Progress } from "../../local/progress.ts";
import { NoRealNodesError, prepareRealNodes, type RealNodes } from "../../local/real-node.ts";
import { startStack, type Stack } from "../../local/stack.ts";
import { ensureTools, type Tools } from "../../local/tools.ts";

/** What every test of the `stack` project gets, by `inject("stack")`. */
export interface ProvidedStack {
  /** Of an empty database; tests make their own beside it. */
  databaseUrl: string;
  temporal: { address: string; namespace: string };
  kubernetes: NonNullable<Stack["kubernetes"]>;
  /** Pids by name, for tests that look at the stack's processes. Tests that kill a server start their own. */
  pids: Record<string, number>;
  /** As they were prepared; undefined where this run has none. */
  realNodes: RealNodes | undefined;
  /** For tests that start servers of their own. */
  tools: Tools;
  /** Absolute; empty while there are no workflows. */
  workflowBundle: string;
}

declare module "vitest" {
  interface ProvidedContext {
    stack: ProvidedStack;
  }
}

/** Starts one fresh stack for the run; its guard ends it even if vitest is killed. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const progress = createProgress(process.stderr);
  // A second run in the same checkout at the same time needs a directory of its own.
  const directory = process.env["CELLWRIGHT_TEST_DIRECTORY"] ?? join(localDirectory, "test");
  const tools = await ensureTools({ directory: localDirectory, progress });
  const { realNodes, ...stack } = await progress.during("Starting the test stack", async () => {
    const state = join(directory, "stack");
    // Who owns the old state is asked, and leftovers are ended, before it is taken away.
    await (await startStack({ directory: state, tools, parts: [], log: () => {} })).stop();
    rmSync(state, { recursive: true, force: true });
    const supervisor = await createSupervisor({ directory: state });
    try {
      const prepared = (await needsRealNodes(project)) ? await realNodesOfRun(supervisor, progress) : undefined;
      const log = (line: string): void => progress.log(line);
      const options = { directory: state, supervisor, tools, realNodes: prepared, durable: false, log };
      return { ...(await startStack(options)), realNodes: prepared };
    } catch (error) {
      await supervisor.close();
      throw error;
    }
  });
  const { databaseUrl, temporal, kubernetes } = stack;
  if (databaseUrl === undefined || temporal === undefined || kubernetes === undefined) {
    throw new Error("The test stack is not whole.");
  }
  const pids = Object.fromEntries([...stack.processes].map(([name, each]) => [name, each.pid]));
  const workflowBundle = await bundleWorkflows(directory);
  project.provide("stack", { databaseUrl, temporal, kubernetes, pids, realNodes, tools, workflowBundle });
  return () => stack.stop();
}

/** Whether any test file of this run has tests on real nodes: others need not wait for them. */
async function needsRealNodes(project: TestProject): Promise<boolean> {
  if (process.env["REQUIRE_REAL_NODE"] === "1") return true;
  const named = process.argv.slice(2).filter((argument) => argument.includes("test/") && !argument.startsWith("-"));
  const { testFiles } = await project.globTestFiles(named);
  return testFiles.some((file) => readFileSync(file, "utf8").includes("node-kinds.ts"));
}

/** Two real nodes beside the simulated ones, each with a cell's label of its own; undefined where this machine has none. */
async function realNodesOfRun(supervisor: Supervisor, progress: Progress): Promise<RealNodes | undefined> {
  try {
    return await prepareRealNodes({ cells: ["cell-r1", "cell-r2"], supervisor, progress });
  } catch (error) {
    if (!(error instanceof NoRealNodesError) || process.env["REQUIRE_REAL_NODE"] === "1") throw error;
    progress.log(`${error.message} The tests on them are skipped; REQUIRE_REAL_NODE=1 would make that a failure.`);
    return undefined;
  }
}

const quiet = (): void => {};

async function bundleWorkflows(directory: string): Promise<string> {
  const workflowsPath = join(projectRoot, "workflows", "types.ts");
  if (!existsSync(workflowsPath)) return "";
  const logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: console.warn, error: console.error };
  const { code } = await bundleWorkflowCode({ workflowsPath, logger });
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "workflow-bundle.js");
  writeFileSync(file, code);
  return file;
}
