/** The end of an attempt to move a group. */
import { all, type Cluster } from "./cluster.ts";
import { closeEpoch } from "./epoch.ts";
import { settle } from "./hands.ts";
import { isWindowOpen } from "./metadata.ts";
import type { Part } from "./rows.ts";
import { isWindowNeeded } from "./window.ts";

/** Closes the epoch of every part. One that cannot be closed now stays open: the next one fences it. */
export async function closeParts(cluster: Cluster, parts: readonly Part[], isStopped: boolean): Promise<void> {
  await all(parts, async ({ held, hands, givenUp, name, view }) => {
    if (held === undefined) return;
    try {
      if (!(await settle(cluster, held, hands))) return;
      // Stopped with pods about to be born: whoever comes next goes on with the window, or closes it.
      if (isStopped && isWindowOpen(held.set) && isWindowNeeded(held.set, held.notes, view.pods(name))) return;
      await closeEpoch(cluster, held, (notes) => ({
        ...notes,
        enrolled: new Set([...notes.enrolled].filter((ordinal) => !givenUp.has(ordinal))),
      }));
    } catch (error) {
      cluster.log.warn(
        { workload: held.key.name, epoch: held.epoch, err: (error as Error).message },
        "the epoch stays open",
      );
    }
  });
}
