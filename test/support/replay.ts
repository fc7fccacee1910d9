/** Replays histories against workflow code, as a worker that takes over does. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DefaultLogger, Runtime, Worker } from "@temporalio/worker";

/** A history as Temporal's tools write it. */
export type HistoryJson = { events: ({ eventType: string } & Record<string, unknown>)[] };

/** `name`: of its file. */
export type StoredHistory = { name: string; json: HistoryJson };

/** A history that code does not replay to the same commands. */
export type Divergence = { name: string; error: Error };

/** The histories in a directory. */
export function readHistories(directory: string): StoredHistory[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .map((name) => ({ name, json: JSON.parse(readFileSync(join(directory, name), "utf8")) as HistoryJson }));
}

let isQuiet = false;
/** The replay before: the SDK's runtime is taken down with its last worker, so two at once take it from one another. */
let before: Promise<unknown> = Promise.resolve();

/** Replays each history with prebuilt workflow code, one call after the other; answers with those that diverge from it. */
export async function replay(histories: readonly StoredHistory[], workflowBundle: string): Promise<Divergence[]> {
  const own = before.then(() => replayAll(histories, workflowBundle));
  before = own.catch(() => undefined);
  return own;
}

async function replayAll(histories: readonly StoredHistory[], workflowBundle: string): Promise<Divergence[]> {
  // Before the first use of the runtime in this process; what it would log is in the results.
  if (!isQuiet) Runtime.install({ logger: new DefaultLogger("ERROR", () => {}), shutdownSignals: [] });
  isQuiet = true;
  const divergences: Divergence[] = [];
  let count = 0;
  const results = Worker.runReplayHistories(
    { workflowBundle: { codePath: workflowBundle } },
    histories.map(({ json }) => ({ workflowId: workflowIdOf(json), history: json })),
  );
  // One after the other, in the order in which they are given.
  for await (const { error } of results) {
    const name = histories[count++]?.name ?? "";
    if (error !== undefined) divergences.push({ name, error });
  }
  if (count !== histories.length) throw new Error(`${count} of ${histories.length} histories were replayed`);
  return divergences;
}

/** Replayed under its own id: ids of children and of streams are made of it. */
function workflowIdOf({ events }: HistoryJson): string {
  const started = events[0]?.["workflowExecutionStartedEventAttributes"] as { workflowId?: string } | undefined;
  if (started?.workflowId === undefined) throw new Error("a history does not begin with the start of a workflow");
  return started.workflowId;
}
