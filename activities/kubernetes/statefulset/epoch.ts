/**
 * Epochs: who may patch the pods of a workload, without trusting any clock.
 *
 * A mover may be stopped (a paused process, a stalled connection) between deciding to patch a pod and the API server's
 * storing it, for any length of time, while its successor works. So:
 *
 * 1. Whoever patches pods holds the workload's epoch: a number on the StatefulSet that only a compare-and-swap raises.
 *    The holder *closes* it once none of its requests can be in flight any more. Only the holder of the moment, and only
 *    through a compare-and-swap, enrols pods; only enrolled pods are ever patched.
 * 2. Every pod patch tests the pod's uid, its old hash label and the epoch noted on the pod, and notes its own. Notes on
 *    pods only grow.
 * 3. Whoever takes an epoch that is open first writes its number on every pod that an earlier holder could still be
 *    patching: the enrolled ones whose hash is not the template's yet (a pod that has it fails the earlier holder's test
 *    of the old hash). The pods are listed after the compare-and-swap, from committed state. Only then does it act. From
 *    then on every late patch of the earlier holder fails its test. If it dies while stamping, the epoch stays open, and
 *    the next one stamps all of them again: whoever changes `enrolled` downwards must have stamped before.
 * 4. A pod born after the successor's list carries no stamp, and an earlier holder that wakes up may see it and find its
 *    tests true. So before the first patch of a uid, the holder reads the committed workload *after* having seen the pod,
 *    and the epoch must still be its own. If it is, the pod is older than any successor's compare-and-swap, hence in that
 *    successor's list, hence stamped before the successor acts. The swap that takes the epoch, or enrols, is such a read.
 *
 * Invariant: holder empty ⇒ no patch of any earlier epoch can take effect any more.
 */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { LABELS, ordinalOf } from "../../../domain/workload/render.ts";
import { CONTENT, paths } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { PodObject, SetObject } from "../objects.ts";
import {
  eachAtOnce,
  findPod,
  getSet,
  insist,
  listPods,
  nonce,
  swapProgress,
  type Cluster,
  type WorkloadKey,
} from "./cluster.ts";
import { POD, epochOf, readNotes, targetHash, type Notes } from "./metadata.ts";

/** Who takes an epoch, as noted on the workload. */
export type Taker = {
  role: "move" | "apply" | "freeze" | "restore" | "reconcile";
  /** For a person and for the order of tries; ends in `#<attempt>.<try>` if there may be several of one call. */
  who: string;
  /** The person's click, ms since epoch; orders calls. */
  startedAt: number;
};

/** An epoch that is ours as far as we know. */
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

export type TakeInput = {
  key: WorkloadKey;
  taker: Taker;
  /**
   * Throws when the workload as it is must not be taken by this verb. Called with every state that is read, before the
   * swap that replaces exactly that state.
   */
  check: (set: SetObject, notes: Notes) => void | Promise<void>;
  /** What to enrol in the same write, if no earlier holder has to be fenced first. */
  enrol?: Iterable<number>;
  /** Uids of all pods that were seen before this call. */
  seen?: Iterable<string>;
  /** Told of every pod that was stamped, so that the next patch tests the stamp and not what was before it. */
  onStamped: (pod: PodObject) => void;
  signal?: AbortSignal;
};

/** Takes the next epoch, and fences the former holder if it left its epoch open. Throws Fenced when a newer call holds it. */
export async function takeEpoch(cluster: Cluster, input: TakeInput): Promise<Held> {
  const { key, taker } = input;
  const holder = formatTaker(taker);
  let first: Notes | undefined;
  // Of the state that our own swap replaced, when its outcome was unknown.
  let wasOpen = false;
  const held = await insist(
    cluster,
    async (): Promise<Held> => {
      const set = await getSet(cluster, key);
      const notes = readNotes(set);
      const vetted = new Set(input.seen);
      // A swap of ours that seemed lost has arrived.
      if (notes.holder === holder) return { key, epoch: notes.epoch, holder, set, notes, vetted };
      await input.check(set, notes);
      refuseIfNewer(key, notes, first, taker);
      first ??= notes;
      if (input.signal?.aborted === true) throw stopped(key);
      wasOpen = notes.holder !== "";
      const enrolled = new Set(notes.enrolled);
      if (!wasOpen) for (const ordinal of input.enrol ?? []) enrolled.add(ordinal);
      const next: Notes = { ...notes, epoch: notes.epoch + 1, holder, taker: holder, enrolled };
      const swapped = await swapProgress(cluster, set, next, replicasFor(set, enrolled));
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
): Promise<void> {
  const uids = [...seen];
  const enrolled = new Set([...held.notes.enrolled, ...ordinals]);
  await swapHeld(cluster, held, (notes) => ({ ...notes, enrolled: new Set([...notes.enrolled, ...enrolled]) }));
  for (const uid of uids) held.vetted.add(uid);
}

/** Makes sure that the epoch is still ours, after `seen` pods have been seen. Throws Fenced. */
export async function confirmHeld(cluster: Cluster, held: Held, seen: Iterable<string>): Promise<void> {
  const uids = [...seen];
  adopt(held, await getSet(cluster, held.key));
  for (const uid of uids) held.vetted.add(uid);
}

/**
 * Swaps the workload's notes while the epoch is ours, also against the controller's status writes. `change` must be
 * idempotent. Throws Fenced.
 */
export async function swapHeld(cluster: Cluster, held: Held, change: (notes: Notes) => Notes): Promise<void> {
  await insist(cluster, async () => {
    const next = change(held.notes);
    try {
      const set = await swapProgress(cluster, held.set, next, replicasFor(held.set, next.enrolled));
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

/** Closes the epoch: to be called only when no request of ours can be in flight. Does nothing if it is not ours any more. */
export async function closeEpoch(cluster: Cluster, held: Held): Promise<void> {
  try {
    await swapHeld(cluster, held, (notes) => ({ ...notes, holder: "" }));
  } catch (error) {
    // Also when our own swap has closed it and its answer was lost.
    if (error instanceof CellwrightFailure && error.type === "Fenced") return;
    throw error;
  }
}

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

/** As noted on the workload; unique, so that a swap of ours whose answer was lost can be recognised. */
export function formatTaker({ role, startedAt, who }: Taker): string {
  return `${role} ${startedAt} ${who} ${nonce()}`;
}

export function parseTaker(text: string): { role: string; startedAt: number; who: string } | undefined {
  const match = /^(\S+) (\d+) (.*) \S+$/.exec(text);
  return match === null ? undefined : { role: match[1]!, startedAt: Number(match[2]), who: match[3]! };
}

/** The attempt of a call that is named `…#<attempt>.<try>`; 0 when it is not. */
export function attemptOf(who: string): number {
  return Number(/#(\d+)\.\d+$/.exec(who)?.[1] ?? 0);
}

function tryOf(who: string): number {
  return Number(/#\d+\.(\d+)$/.exec(who)?.[1] ?? 0);
}

/** Whether a call of one task is a later attempt or try than another. */
function isLater(one: string, other: string): boolean {
  return attemptOf(one) === attemptOf(other) ? tryOf(one) > tryOf(other) : attemptOf(one) > attemptOf(other);
}

/** Replicas are only ever raised here. */
function replicasFor(set: SetObject, enrolled: Set<number>): number {
  return Math.max(set.spec.replicas ?? 1, ...[...enrolled].map((ordinal) => ordinal + 1));
}

async function stampPods(cluster: Cluster, held: Held, onStamped: TakeInput["onStamped"]): Promise<void> {
  const pods = await insist(cluster, () => listPods(cluster, held.set));
  const target = targetHash(held.set);
  const inReach = pods.filter((pod) => {
    const ordinal = ordinalOf(held.key.name, pod.metadata.name);
    return (
      ordinal !== undefined &&
      held.notes.enrolled.has(ordinal) &&
      (target === undefined || pod.metadata.labels?.[LABELS.hash] !== target)
    );
  });
  cluster.log.info({ workload: held.key.name, epoch: held.epoch, pods: inReach.length }, "fencing the former holder");
  await eachAtOnce(inReach, cluster.bounds.concurrency, (pod) => stampPod(cluster, held, pod, onStamped));
}

/**
 * A compare-and-swap on the pod's own note: a stamp that arrives late, after a still newer one, must not take it back.
 * Returns when the pod carries our epoch, or is gone.
 */
async function stampPod(
  cluster: Cluster,
  held: Held,
  listed: PodObject,
  onStamped: TakeInput["onStamped"],
): Promise<void> {
  let pod = listed;
  await insist(cluster, async () => {
    for (;;) {
      const epoch = epochOf(pod);
      if (epoch !== undefined && epoch > held.epoch) throw fenced(held.key);
      if (epoch === held.epoch) {
        onStamped(pod);
        return;
      }
      try {
        const stamped = await cluster.client.request<PodObject>({
          method: "PATCH",
          path: paths.pod(held.key.namespace, pod.metadata.name),
          query: { fieldManager: "cellwright-progress" },
          contentType: CONTENT.jsonPatch,
          body: [
            { op: "test", path: "/metadata/uid", value: pod.metadata.uid },
            // A missing key passes the test of null with the API server's JSON patch (measured on 1.34).
            { op: "test", path: EPOCH_PATH, value: pod.metadata.annotations?.[POD.epoch] ?? null },
            { op: "add", path: EPOCH_PATH, value: String(held.epoch) },
          ],
        });
        onStamped(stamped);
        return;
      } catch (error) {
        if (hasStatus(error, 404)) return;
        const now = await findPod(cluster, held.key.namespace, pod.metadata.name);
        // Another pod of that name was born after our swap: rule 4 covers it.
        if (now === undefined || now.metadata.uid !== pod.metadata.uid) return;
        const changed = now.metadata.resourceVersion !== pod.metadata.resourceVersion;
        pod = now;
        // A failed test is worth another try only if the pod did change.
        if (hasStatus(error, 422) && changed) continue;
        throw error;
      }
    }
  });
}

export const EPOCH_PATH = `/metadata/annotations/${POD.epoch.replace("/", "~1")}`;
