/** Keeps `task_pods` up to date behind a group that is being moved: the move never waits for the database. */
import type { Database } from "../../../db/client.ts";
import { isDatabaseUnavailable } from "../../../db/errors.ts";
import { upsertPods } from "../../../db/repositories/orders.ts";
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { PodProgress } from "../port.ts";
import type { WorkloadParams } from "./common.ts";

/** Changes within this time are written together. Milliseconds. */
const WRITE_INTERVAL = 250;
/** Between two tries while the database does not answer. Milliseconds. */
const RETRY_INTERVAL = 1_000;
/** How long the end of a move waits for the database, before another try starts from what it observes. Milliseconds. */
const LAST_WAIT = 120_000;

export function keepPodStates(db: Database, at: Pick<WorkloadParams, "order" | "task">, epoch: number) {
  const written = new Map<string, string>();
  let pending = new Map<string, PodProgress>();
  let writing: Promise<boolean> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let broken: unknown;
  let finishing = false;

  const write = async (): Promise<boolean> => {
    const batch = pending;
    pending = new Map();
    try {
      await upsertPods(
        db,
        at.order,
        at.task,
        epoch,
        [...batch.values()].map((pod) => ({
          pod: pod.name,
          state: pod.state,
          ...(pod.reason !== undefined && { reason: pod.reason }),
        })),
      );
      for (const [name, pod] of batch) written.set(name, JSON.stringify(pod));
      broken = undefined;
      return true;
    } catch (error) {
      if (!isDatabaseUnavailable(error)) broken = error;
      // What has changed in the meantime is newer than what could not be written.
      pending = new Map([...batch, ...pending]);
      // Nothing more may change for long, and people look at what is stored.
      writeAfter(RETRY_INTERVAL);
      return false;
    }
  };
  const writeInTurn = async (): Promise<boolean> => {
    writing = (writing ?? Promise.resolve(true)).then(write);
    return writing;
  };

  function writeAfter(ms: number): void {
    if (finishing) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      void writeInTurn();
    }, ms);
  }

  return {
    report(pods: PodProgress[]): void {
      for (const pod of pods) {
        if (written.get(pod.name) === JSON.stringify(pod) && !pending.has(pod.name)) continue;
        pending.set(pod.name, pod);
      }
      if (pending.size === 0) return;
      // The last change is written while the move comes to its end.
      if (pods.every(({ state }) => state === "UPDATED")) void writeInTurn();
      else writeAfter(WRITE_INTERVAL);
    },
    /** Writes what is left. @throws CellwrightFailure RecordsUnavailable, or what else the database failed with */
    async finish(signal: AbortSignal): Promise<void> {
      finishing = true;
      clearTimeout(timer);
      const until = Date.now() + LAST_WAIT;
      await writing;
      while (pending.size > 0) {
        if (await writeInTurn()) continue;
        if (broken !== undefined) throw broken;
        if (signal.aborted) return;
        if (Date.now() > until) throw new CellwrightFailure("RecordsUnavailable", "the database does not answer");
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    },
  };
}
