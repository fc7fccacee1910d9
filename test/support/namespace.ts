/** A Temporal namespace of one's own, and the histories of what ran in it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, Connection, WorkflowNotFoundError } from "@temporalio/client";
import { historyToJSON } from "@temporalio/common/lib/proto-utils.js";
import { msToTs } from "@temporalio/common/lib/time.js";

export interface TestNamespace {
  readonly client: Client;
  /**
   * Writes the history of every run of every workflow to `directory`, one file each (`<workflow>~<run>.json`), open runs
   * included. Returns how many.
   */
  collectHistories(directory: string): Promise<number>;
  close(): Promise<void>;
}

/** Registers a namespace. Its search attributes are the business of `workers/migrate.ts`. */
export async function registerNamespace(address: string, namespace: string): Promise<TestNamespace> {
  const connection = await Connection.connect({ address });
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs("72 hours"),
  });
  const client = new Client({ connection, namespace });
  return {
    client,
    async collectHistories(directory) {
      mkdirSync(directory, { recursive: true });
      let count = 0;
      for await (const { workflowId, runId } of client.workflow.list()) {
        const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
        const file = `${workflowId.replaceAll("/", "+")}~${runId}.json`;
        writeFileSync(join(directory, file), historyToJSON(history));
        count += 1;
      }
      return count;
    },
    close: () => connection.close(),
  };
}

/** The histories of all runs of a workflow, as JSON, the first run first; none when it has never been started. */
export async function fetchRuns(client: Client, workflowId: string): Promise<unknown[]> {
  const runs: unknown[] = [];
  let runId: string | undefined;
  try {
    ({ runId } = await client.workflow.getHandle(workflowId).describe());
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
  while (runId) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    runs.unshift(JSON.parse(historyToJSON(history)));
    runId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? undefined;
  }
  return runs;
}
