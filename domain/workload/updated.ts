/** When is a pod *updated*? The one definition (design §3), pure: facts, target and time in, a judgement out. */

export type ContainerFacts = {
  name: string;
  /** Image in the pod's spec. */
  image: string;
  /** Image as the runtime reports it; it may name another tag of the same content. */
  reportedImage?: string;
  /** Id of the running or last container; absent while none has been reported. */
  id?: string;
  /** Why it waits, if it waits. */
  waiting?: { reason: string; message?: string };
  /** How it ended the last time, if it did. */
  terminated?: { reason: string; exitCode: number; message?: string };
  /** How often it has been restarted over the pod's life. */
  restarts?: number;
  /**
   * When the first run began that is known of the container as it now is, ms since epoch by the node's clock: this run, or
   * the one before if that was no other container. Absent while there is none.
   */
  since?: number;
};

export type PodFacts = {
  name: string;
  ordinal: number;
  uid: string;
  /** Label `controller-revision-hash`. */
  hash: string;
  /** Deletion has been asked for. */
  leaving: boolean;
  phase: string;
  /** Of the spec; absent on API servers that do not count it. */
  generation?: number;
  /** Which generation the node's status speaks of; absent where nodes do not report it. */
  observedGeneration?: number;
  containers: ContainerFacts[];
  /** Those that have not done their work yet, and wait or have failed. */
  initContainers?: ContainerFacts[];
  ready: boolean;
  /** ms since epoch since when it has been ready without a break; given when `ready`. */
  readySince?: number;
  /** Why it has no node, in the scheduler's words. */
  unschedulable?: string;
  /** Messages of the conditions that are not met. */
  notReady?: string;
  /** Container → id before the patch, for the containers whose image was changed; absent on a pod that was born so. */
  previousContainers?: Record<string, string>;
  /** Epoch of the last change or stamp; absent on a newborn pod. */
  epoch?: number;
  /** When it was patched, ms since epoch by the patching worker's clock. */
  movedAt?: number;
  createdAt: number;
  node?: string;
  /** Why it has ended, in the node's words; of pods that have failed. */
  ended?: string;
  /** When its grace period ends, ms since epoch by the cluster's clock; of pods that are being deleted. */
  deletionDue?: number;
  /** Who has to let it go before it may vanish. */
  finalizers?: string[];
};

export type Target = { hash: string; images: Record<string, string>; readySeconds: number };

export type Judgement =
  /** There is no such pod (yet, or for the moment). */
  | { kind: "missing" }
  /** It is being deleted, or has ended; the controller will make another. */
  | { kind: "leaving" }
  /** Not changed yet. */
  | { kind: "old"; available: boolean }
  /** Changed; what runs is not yet proven to be the new one, or is not ready. */
  | { kind: "changing" }
  /** The new one is ready, but not for long enough; `at` is when it will be (ms since epoch). */
  | { kind: "settling"; at: number }
  | { kind: "updated"; since: number };

/** Judges one pod against the target. `now` in ms since epoch. */
export function judgePod(pod: PodFacts | undefined, target: Target, now: number): Judgement {
  if (pod === undefined) return { kind: "missing" };
  if (pod.leaving || pod.phase === "Failed" || pod.phase === "Succeeded") return { kind: "leaving" };
  if (pod.hash !== target.hash) return { kind: "old", available: pod.ready };
  if (!pod.ready || pod.readySince === undefined || !runsTarget(pod, target)) return { kind: "changing" };
  const at = pod.readySince + target.readySeconds * 1000;
  return now >= at ? { kind: "updated", since: at } : { kind: "settling", at };
}

/**
 * Whether the containers that run are the target's. The label and the spec only say what was asked for, and Ready may
 * still be the old container's: the node must have seen the spec, and the container must be another than before.
 */
function runsTarget(pod: PodFacts, target: Target): boolean {
  const specMatches = Object.entries(target.images).every(([name, image]) =>
    pod.containers.some((container) => container.name === name && container.image === image),
  );
  if (!specMatches) return false;
  if (pod.observedGeneration !== undefined && pod.observedGeneration < (pod.generation ?? 0)) return false;
  return pod.containers.every((container) => isNew(pod, container));
}

/** What the node reports is, or may be, the container that was there before the pod was changed. */
export function isStillOld(
  { previousContainers }: Pick<PodFacts, "previousContainers">,
  { name, id }: Pick<ContainerFacts, "name" | "id">,
): boolean {
  const before = previousContainers?.[name];
  return id !== undefined && (before === id || before === "");
}

function isNew(pod: PodFacts, container: ContainerFacts): boolean {
  if (container.id === undefined) return false;
  const previous = pod.previousContainers?.[container.name];
  // Born so, or this container was not changed.
  if (previous === undefined) return true;
  if (previous !== "") return container.id !== previous;
  // No container had been reported when the pod was patched. One of the old spec may have started just before the node
  // saw the patch, so its id alone proves nothing: the node must say that it speaks of the new spec, or name its image.
  return pod.observedGeneration !== undefined || container.reportedImage === container.image;
}
