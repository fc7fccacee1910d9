/** The runs of an app's pipeline within one order: forward, rolled back, forward again. */
import { and, eq, gt, gte, max } from "drizzle-orm";
import { ATTEMPTS_PER_RUN, lastAttemptOfRun } from "../../domain/pipeline/attempts.ts";
import type { Tx } from "../client.ts";
import { tasks } from "../schema/index.ts";

/**
 * Why an attempt of one run of a service's pipeline must not act any more, for a person; undefined while no later run has
 * begun.
 */
export async function supersedingRun(
  tx: Tx,
  orderId: string,
  service: string,
  attempt: number,
): Promise<string | undefined> {
  const [row] = await tx
    .select({ newest: max(tasks.attempt) })
    .from(tasks)
    .where(
      and(
        eq(tasks.orderId, orderId),
        eq(tasks.subject, service),
        eq(tasks.kind, "activity"),
        gt(tasks.attempt, lastAttemptOfRun(attempt)),
      ),
    );
  const newest = row?.newest ?? null;
  return newest === null ? undefined : `a later run of its pipeline of ${service} has begun (attempt ${newest})`;
}

/** Whether a run of an app's pipeline has recorded anything. `run`: its number, from 1; of the first, this is not known. */
export async function hasRecorded(tx: Tx, orderId: string, stream: string, run: number): Promise<boolean> {
  const [row] = await tx
    .select({ id: tasks.id })
    .from(tasks)
    .where(
      and(
        eq(tasks.orderId, orderId),
        eq(tasks.stream, stream),
        // A run begins with a record of each of its tasks, at the last attempt of the runs before it.
        gte(tasks.attempt, (run - 1) * ATTEMPTS_PER_RUN),
      ),
    )
    .limit(1);
  return row !== undefined;
}
