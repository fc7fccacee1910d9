/** Judges the projections of an order by its events: what lists and pages read is what was recorded. */
import type { Pool } from "pg";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";

/** Everything that is not as it should be, in words; empty when all is well. */
export async function judgeProjections(pool: Pool, order: string): Promise<string[]> {
  const rows = async <Row extends object>(sql: string): Promise<Row[]> => (await pool.query<Row>(sql, [order])).rows;
  const [events, pipelines, tasks, [stored]] = await Promise.all([
    rows<{ stream: string; event: RecordedEvent }>(
      "select stream, event from order_events where order_id = $1 order by position",
    ),
    rows<{ stream: string; events: number; state: string }>(
      "select workflow_id as stream, events, state from pipelines where order_id = $1",
    ),
    rows<{ id: string; state: string }>(
      `select t.id, t.state from tasks t join orders o on o.id = t.order_id and o.generation = t.generation
       where o.id = $1`,
    ),
    rows<{ stream: string; position: number; state: string }>(
      "select workflow_id as stream, position, state from orders where id = $1",
    ),
  ]);
  if (stored === undefined) return [`there is no order ${order}`];
  const faults: string[] = [];
  const compare = (what: string, shown: unknown, recorded: unknown): void => {
    if (shown !== recorded) faults.push(`${what} shows ${String(shown)}; recorded is ${String(recorded)}`);
  };
  const stateOf = (stream: string): string | undefined => {
    const last = events.findLast((one) => one.stream === stream && one.event.type === "pipelineChanged")?.event;
    return last?.type === "pipelineChanged" ? last.state : undefined;
  };

  compare("the order's position", stored.position, events.length);
  compare("the order's state", stored.state, stateOf(stored.stream));
  for (const { stream, events: counted, state } of pipelines) {
    compare(`the count of ${stream}`, counted, events.filter((one) => one.stream === stream).length);
    compare(`the state of ${stream}`, state, stateOf(stream));
  }
  for (const { id, state } of tasks) {
    const last = events.findLast(({ event }) => event.type === "taskChanged" && event.task === id)?.event;
    compare(`the state of task ${id}`, state, last?.type === "taskChanged" ? last.state : "WAITING");
  }
  return faults;
}
