import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleWorkflowCode } from "@temporalio/worker";
import type { TestProject } from "vitest/node";
import { localDirectory, projectRoot } from "../../local/paths.ts";
import { createProgress } from "../../local/progress.ts";
import { startStack } from "../../local/stack.ts";
import { ensureTools, type Tools } from "../../local/tools.ts";

/** What every test of the `stack` project gets, by `inject("stack")`. */
export interface ProvidedStack {
  /** Of an empty database; tests make their own beside it. */
  databaseUrl: string;
  temporal: { address: string; namespace: string };
  kubernetes: { server: string; auditLog: string; kubeconfigs: { admin: string; cellwright: string } };
  /** Pids by name, for tests that look at the stack's processes. Tests that kill a server start their own. */
  pids: Record<string, number>;
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
  const stack = await progress.during("Starting the test stack", async () => {
    const state = join(directory, "stack");
    // Who owns the old state is asked, and leftovers are ended, before it is taken away.
    await (await startStack({ directory: state, tools, parts: [], log: () => {} })).stop();
    rmSync(state, { recursive: true, force: true });
    return await startStack({ directory: state, tools, durable: false, log: (line) => progress.log(line) });
  });
  const { databaseUrl, temporal, kubernetes } = stack;
  if (databaseUrl === undefined || temporal === undefined || kubernetes === undefined) {
    throw new Error("The test stack is not whole.");
  }
  const pids = Object.fromEntries([...stack.processes].map(([name, each]) => [name, each.pid]));
  const workflowBundle = await bundleWorkflows(directory);
  project.provide("stack", { databaseUrl, temporal, kubernetes, pids, tools, workflowBundle });
  return () => stack.stop();
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
