/** An epoch that is ours as far as we know, and what shows that it is not. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { SetObject } from "../objects.ts";
import type { WorkloadKey } from "./cluster.ts";
import { readNotes, type Notes } from "./metadata.ts";

export type Held = {
  key: WorkloadKey;
  epoch: number;
  holder: string;
  /** As of our last read or swap of it. */
  set: SetObject;
  notes: Notes;
  /** Uids of pods that were seen before a read or swap that proved the epoch ours. */
  vetted: Set<string>;
};

/** Throws Fenced if a newer state of the workload shows another epoch. */
export function adopt(held: Held, set: SetObject): void {
  const notes = readNotes(set);
  if (notes.epoch !== held.epoch || notes.holder !== held.holder) throw fenced(held.key, notes);
  held.set = set;
  held.notes = notes;
}

export function fenced(key: WorkloadKey, notes?: Notes): CellwrightFailure {
  const by = notes === undefined ? "" : ` by "${notes.taker}" (epoch ${notes.epoch})`;
  return new CellwrightFailure(
    "Fenced",
    `${key.namespace}/${key.name} was taken over${by}; this attempt does not act any more`,
  );
}
