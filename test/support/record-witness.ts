/**
 * Judges the record of an order (`order_events`) by another witness: the histories in Temporal, where every event that a
 * workflow gave to be stored stands.
 */
import { isDeepStrictEqual } from "node:util";
import type { Client } from "@temporalio/client";
import { defaultPayloadConverter } from "@temporalio/common";
import type { History } from "@temporalio/common/lib/proto-utils.js";
import type { Pool } from "pg";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";

type Row = { position: number; stream: string; sequence: number; event: RecordedEvent };
type Append = { stream: string; first: number; events: RecordedEvent[] };

/** What is not as it should be, in words: an event that is missing, is there twice, or is another than was given. */
export async function judgeRecord(pool: Pool, temporal: Client, order: string): Promise<string[]> {
  const { rows } = await pool.query<Row>(
    "select position, stream, sequence, event from order_events where order_id = $1 order by position",
    [order],
  );
  const faults = rows.flatMap(({ position }, index) =>
    position === index + 1 ? [] : [`the event at place ${index + 1} has position ${position}`],
  );
  const streams = [...new Set(rows.map(({ stream }) => stream))];
  for (const stream of streams) {
    const stored = rows.filter((row) => row.stream === stream);
    const given = await givenEvents(temporal, stream);
    stored.forEach(({ sequence }, index) => {
      if (sequence !== index + 1) faults.push(`event ${index + 1} of ${stream} has sequence ${sequence}`);
    });
    if (given.length !== stored.length)
      faults.push(`${stream} gave ${given.length} events, ${stored.length} are stored`);
    given.forEach((event, index) => {
      if (!isDeepStrictEqual(event, stored[index]?.event)) faults.push(`event ${index + 1} of ${stream} differs`);
    });
    faults.push(...repetitions(stream, stored));
  }
  return faults;
}

/** A change that changes nothing has been recorded twice. */
function repetitions(stream: string, stored: readonly Row[]): string[] {
  const last = new Map<string, RecordedEvent>();
  return stored.flatMap(({ event, sequence }) => {
    const about = event.type === "taskChanged" ? event.task : event.type;
    const before = last.get(about);
    last.set(about, event);
    if (before === undefined || event.type === "acted" || event.type === "planned") return [];
    const isSame = isDeepStrictEqual({ ...before, at: 0 }, { ...event, at: 0 });
    return isSame ? [`event ${sequence} of ${stream} repeats the one before it`] : [];
  });
}

/** Everything that a workflow gave to be stored, over all its runs. */
async function givenEvents(temporal: Client, workflowId: string): Promise<RecordedEvent[]> {
  const runs = await readRuns(temporal, workflowId);
  const appends = runs.flatMap((run) => run.appends);
  const given: RecordedEvent[] = [];
  for (const { first, events } of appends) {
    if (first !== given.length + 1) throw new Error(`${workflowId} gave event ${first} after event ${given.length}`);
    given.push(...events);
  }
  return given;
}

export type Run = {
  runId: string;
  /** Events in its history. */
  length: number;
  /** How it ended, as in `EVENT_TYPE_WORKFLOW_EXECUTION_…`; undefined while it is open. */
  end: "COMPLETED" | "CONTINUED_AS_NEW" | "TERMINATED" | "FAILED" | undefined;
  appends: Append[];
};

/** The runs of a workflow, the first one first, followed back from the last. */
export async function readRuns(temporal: Client, workflowId: string): Promise<Run[]> {
  const runs: Run[] = [];
  let runId: string | undefined = (await temporal.workflow.getHandle(workflowId).describe()).runId;
  while (runId) {
    const history: History = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const events = history.events ?? [];
    const appends = events.flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
      const [payload] = scheduled?.input?.payloads ?? [];
      if (scheduled?.activityType?.name !== "appendEvents" || !payload) return [];
      return [defaultPayloadConverter.fromPayload<Append>(payload)];
    });
    const last = events.at(-1);
    const end: Run["end"] = last?.workflowExecutionCompletedEventAttributes
      ? "COMPLETED"
      : last?.workflowExecutionContinuedAsNewEventAttributes
        ? "CONTINUED_AS_NEW"
        : last?.workflowExecutionTerminatedEventAttributes
          ? "TERMINATED"
          : last?.workflowExecutionFailedEventAttributes
            ? "FAILED"
            : undefined;
    runs.unshift({ runId, length: events.length, end, appends });
    runId = events[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? undefined;
  }
  return runs;
}
