/**
 * Epochs: who may change the pods of a workload, without trusting any clock.
 *
 * A mover may be stopped (a paused process, a stalled connection) between deciding to patch or evict a pod and the API
 * server's storing it, for any length of time, while its successor works. So:
 *
 * 1. Whoever changes pods holds the workload's epoch: a number on the StatefulSet that only a compare-and-swap raises.
 *    The holder *closes* it once none of its requests can be in flight any more. Only the holder of the moment, and only
 *    through a compare-and-swap, enrols pods; only enrolled pods that are not at the template's revision are ever changed.
 * 2. Every pod patch tests the pod's uid, its old hash label and the epoch noted on the pod, and notes its own. Notes on
 *    pods only grow. Every eviction carries the pod's uid and resource version, as of a state whose note was not above the
 *    holder's epoch: any write of the pod makes it void.
 * 3. Whoever takes an epoch that is open first writes its number on every pod that an earlier holder could still be
 *    changing: the enrolled ones whose hash is not the template's yet (a pod that has it fails the earlier holder's test
 *    of the old hash, and was written or born since an eviction was sent). The pods are listed after the compare-and-swap,
 *    from committed state. Only then does it act. From then on every late patch of the earlier holder fails its test, and
 *    every late eviction its precondition: the stamp has changed the resource version. If it dies while stamping, the
 *    epoch stays open, and the next one stamps all of them again: whoever changes `enrolled` downwards must have stamped
 *    before.
 * 4. A pod born after the successor's list carries no stamp, and an earlier holder that wakes up may see it and find its
 *    tests true. So before the first change of a uid, the holder reads the committed workload *after* having seen the pod,
 *    and the epoch must still be its own. If it is, the pod is older than any successor's compare-and-swap, hence in that
 *    successor's list, hence stamped before the successor acts. The swap that takes the epoch, or enrols, is such a read.
 * 5. A *window of recreation* (update strategy OnDelete: pods that die come back at the template's revision) is opened and
 *    closed by the holder alone, by compare-and-swap: a late opening fails against the successor's write. Whoever closes
 *    an epoch closes the window in the same write. A holder that dies in the window leaves both open; whoever takes the
 *    next epoch goes on with the window or closes it.
 *
 * Invariant: holder empty ⇒ no patch and no eviction of any earlier epoch can take effect any more, and no window is open.
 *
 * Direction: the calls of an order's runs over a workload are ordered by their attempts, which only grow over its runs. The
 * workload remembers up to which attempt they are void (`frozenUpTo`); a freeze and the first write of a later run raise
 * it, and everything that takes an epoch or writes a template looks at it in the very state that it swaps.
 */
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { PodObject, SetObject } from "../objects.ts";
import { getSet, insist, swapProgress, type Cluster, type WorkloadKey } from "./cluster.ts";
import { adopt, fenced, type Held } from "./held.ts";
import { isWindowOpen, readNotes, type Notes } from "./metadata.ts";
import { stampPods } from "./stamp.ts";
import { formatTaker, isLater, parseTaker, type Taker } from "./taker.ts";

export type TakeInput = {
  key: WorkloadKey;
  taker: Taker;
  /**
   * Throws when the workload as it is must not be taken by this verb. Called with every state that is read, before the
   * swap that replaces exactly that state.
   */
  check: (set: SetObject, notes: Notes) => void | Promise<void>;
  /** What to enrol in the same write, if no earlier holder has to be fenced first and the workload is as `known`, if that is given. */
  enrol?: Iterable<number>;
  /** The same for opening (or closing) a window of recreation. */
  window?: boolean;
  /** Uids of all pods that were seen before this call. */
  seen?: Iterable<string>;
  /** The workload as far as it is known: if it is still exactly so, it need not be read before the swap. */
  known?: SetObject | undefined;
  /** Told of every pod that was stamped, so that the next patch tests the stamp and not what was before it. */
  onStamped: (pod: PodObject) => void;
  signal?: AbortSignal;
};

/** Takes the next epoch, and fences the former holder if it left its epoch open. Throws Fenced when a newer call holds it. */
export async function takeEpoch(cluster: Cluster, input: TakeInput): Promise<Held> {
  const { key, taker } = input;
  const holder = formatTaker(taker);
  let first: Notes | undefined;
  let known = input.known;
  // Of the state that our own swap replaced, when its outcome was unknown.
  let wasOpen = false;
  const held = await insist(
    cluster,
    async (): Promise<Held> => {
      const read = known === undefined;
      // What to enrol was planned from what was known, and holds for nothing else.
      const asPlanned = !read || input.known === undefined;
      const set = known ?? (await getSet(cluster, key));
      known = undefined;
      const notes = readNotes(set);
      const vetted = new Set(input.seen);
      // A swap of ours that seemed lost has arrived.
      if (notes.holder === holder) return { key, epoch: notes.epoch, holder, set, notes, vetted };
      try {
        await input.check(set, notes);
        refuseIfNewer(key, notes, first, taker);
      } catch (error) {
        if (read || !(error instanceof CellwrightFailure)) throw error;
        // What was known may be older than what makes it right: only what has been read counts against this call.
        throw new CellwrightFailure("Conflict", `${key.namespace}/${key.name} is read anew: ${error.message}`);
      }
      // What was known may be old: only what has been read says who was there when this call began.
      if (read) first ??= notes;
      if (input.signal?.aborted === true) throw stopped(key);
      wasOpen = notes.holder !== "";
      const enrolled = new Set(notes.enrolled);
      const isNext = !wasOpen && asPlanned;
      if (isNext) for (const ordinal of input.enrol ?? []) enrolled.add(ordinal);
      const next: Notes = { ...notes, epoch: notes.epoch + 1, holder, taker: holder, enrolled };
      const window = (isNext ? input.window : undefined) ?? isWindowOpen(set);
      const swapped = await swapProgress(cluster, set, next, replicasFor(set, enrolled), window);
      return { key, epoch: next.epoch, holder, set: swapped, notes: next, vetted };
    },
    input.signal,
  );
  if (wasOpen) await stampPods(cluster, held, input.onStamped);
  return held;
}

/** Adds ordinals to what is meant to be at the target, and raises replicas so that they exist. Throws Fenced. */
export async function enrol(
  cluster: Cluster,
  held: Held,
  ordinals: Iterable<number>,
  seen: Iterable<string>,
  window?: boolean,
): Promise<void> {
  const uids = [...seen];
  const enrolled = new Set([...held.notes.enrolled, ...ordinals]);
  await swapHeld(cluster, held, (notes) => ({ ...notes, enrolled: new Set([...notes.enrolled, ...enrolled]) }), {
    ...(window !== undefined && { window }),
  });
  for (const uid of uids) held.vetted.add(uid);
}

/** Makes sure that the epoch is still ours, after `seen` pods have been seen. Throws Fenced. */
export async function confirmHeld(cluster: Cluster, held: Held, seen: Iterable<string>): Promise<void> {
  const uids = [...seen];
  adopt(held, await getSet(cluster, held.key));
  for (const uid of uids) held.vetted.add(uid);
}

/** What a swap changes besides the notes. */
type Besides = { window?: boolean; replicas?: number };

/**
 * Swaps the workload's notes while the epoch is ours, also against the controller's status writes. `change` must be
 * idempotent. Replicas are only raised unless told, and the window stays as it is unless told. Throws Fenced.
 */
export async function swapHeld(
  cluster: Cluster,
  held: Held,
  change: (notes: Notes) => Notes,
  besides: Besides = {},
): Promise<void> {
  await insist(cluster, async () => {
    const next = change(held.notes);
    const { window = isWindowOpen(held.set), replicas = replicasFor(held.set, next.enrolled) } = besides;
    try {
      const set = await swapProgress(cluster, held.set, next, replicas, window);
      held.set = set;
      held.notes = next;
    } catch (error) {
      // Lost against another write, or perhaps stored after all: look before the next try.
      const set = await getSet(cluster, held.key).catch(() => undefined);
      if (set !== undefined) adopt(held, set);
      throw error;
    }
  });
}

/**
 * Closes the epoch and the window: to be called only when no request of ours can be in flight. Does nothing if the epoch
 * is not ours any more. `change`: what to note besides.
 */
export async function closeEpoch(
  cluster: Cluster,
  held: Held,
  change: (notes: Notes) => Notes = (notes) => notes,
  replicas?: number,
): Promise<void> {
  try {
    await swapHeld(cluster, held, (notes) => ({ ...change(notes), holder: "" }), {
      window: false,
      ...(replicas !== undefined && { replicas }),
    });
  } catch (error) {
    // Also when our own swap has closed it and its answer was lost.
    if (error instanceof CellwrightFailure && error.type === "Fenced") return;
    throw error;
  }
}

function stopped(key: WorkloadKey): CellwrightFailure {
  return new CellwrightFailure("Fenced", `This attempt was stopped before it took ${key.namespace}/${key.name}`);
}

/**
 * An attempt that wakes up late must not take over from its own successors: they are at work, and it would fence them.
 * The reconciler's short epochs are nobody's successor.
 */
function refuseIfNewer(key: WorkloadKey, notes: Notes, first: Notes | undefined, taker: Taker): void {
  if (taker.role === "reconcile") {
    if (first !== undefined && first.epoch !== notes.epoch) throw fenced(key, notes);
    return;
  }
  const last = parseTaker(notes.taker);
  // What opposes movers takes over from whoever there is.
  if (taker.role !== "move" || last === undefined || last.role === "reconcile") return;
  const takenMeanwhile = first !== undefined && first.epoch !== notes.epoch;
  const isNewer =
    last.role === "move" &&
    (last.startedAt > taker.startedAt || (last.startedAt === taker.startedAt && isLater(last.who, taker.who)));
  if (takenMeanwhile || isNewer) throw fenced(key, notes);
}

/** Replicas are only ever raised here. */
function replicasFor(set: SetObject, enrolled: Set<number>): number {
  return Math.max(set.spec.replicas ?? 1, ...[...enrolled].map((ordinal) => ordinal + 1));
}
