/** Servers of a test's own, for tests that kill them. What is not asked for is shared with the run. */
import { expect, inject } from "vitest";
import { basename } from "node:path";
import type { SupervisedProcess } from "../../local/processes.ts";
import { startStack, type StackPart } from "../../local/stack.ts";
import { emptyDirectory } from "./directory.ts";
import type { ProvidedStack } from "./global-setup.ts";

export interface OwnServers {
  /** As a product takes it. */
  stack: ProvidedStack;
  /** @throws when there is no such server */
  server(name: string): SupervisedProcess;
  /** Stop the products on them first. */
  stop(): Promise<void>;
}

/** Starts servers for this test file alone, with fresh state. */
export async function startServers(parts: readonly StackPart[]): Promise<OwnServers> {
  const shared = inject("stack");
  const file = basename(expect.getState().testPath ?? "servers").replace(/\.test\.ts$/, "");
  const own = await startStack({
    directory: emptyDirectory("servers", file),
    tools: shared.tools,
    parts,
    durable: false,
    log: () => {},
  });
  return {
    stack: {
      ...shared,
      ...(own.databaseUrl !== undefined && { databaseUrl: own.databaseUrl }),
      ...(own.temporal !== undefined && { temporal: own.temporal }),
      ...(own.kubernetes !== undefined && { kubernetes: own.kubernetes }),
    },
    server(name) {
      const process = own.processes.get(name);
      if (process === undefined) throw new Error(`these servers have no ${name}`);
      return process;
    },
    stop: () => own.stop(),
  };
}
