/**
 * Pods that will not become what they should be without somebody's help: what is wrong, what to do, and how long waiting
 * for it to pass makes sense. Pure: facts and events in, a finding out.
 *
 * Reasons are those that the kubelet (pkg/kubelet/images, container), the scheduler and the StatefulSet controller
 * report; their own words are kept, because they know more than any rule here.
 */
import { clip, eventsOf, freshEvents, saying, type PodEvent } from "./reason.ts";
import { diagnoseContainer, last, missingObject } from "./stuck-container.ts";
import type { Stuck } from "./stuck-kinds.ts";
import type { Judgement, PodFacts } from "./updated.ts";

/** What there is to judge one pod by. */
export type Look = {
  pod: PodFacts | undefined;
  judgement: Judgement;
  /** Of the pod; of its workload while there is no pod. Any order, old ones are left aside. */
  events: readonly PodEvent[];
  /** Pod's name; events of the workload speak of many. */
  name: string;
  /** What the API server answered to the last change of the pod that it refused. */
  refusal?: string | undefined;
  /** ms since epoch. */
  now: number;
};

/** Why the pod is stuck, or undefined: it is well, is on its way, or nobody says what is wrong. */
export function diagnose(look: Look): Stuck | undefined {
  const { pod, judgement, refusal } = look;
  switch (judgement.kind) {
    case "updated":
    case "settling":
      return undefined;
    case "old":
      return refusal === undefined ? undefined : refused(refusal, "The change of the pod is refused");
    case "missing":
      return notCreated(look);
    case "leaving":
      return pod === undefined ? undefined : leaving(pod, look.now);
    case "changing":
      return pod === undefined ? undefined : notReady(pod, freshEvents(pod, look.events));
  }
}

/** `what` and `remedy` in one text. */
export function explain({ what, remedy }: Pick<Stuck, "what" | "remedy">): string {
  return `${what}. To do: ${remedy}`;
}

function notReady(pod: PodFacts, events: readonly PodEvent[]): Stuck | undefined {
  if (pod.unschedulable !== undefined) {
    return {
      kind: "unschedulable",
      what: clip(`no node takes it: ${pod.unschedulable}`),
      remedy:
        "make room on the cell's nodes, or release a revision that asks for less or tolerates what is named here; then retry",
    };
  }
  const containers = [...(pod.initContainers ?? []), ...pod.containers];
  for (const container of containers) {
    const found = diagnoseContainer(pod, container, events);
    if (found !== undefined) return found;
  }
  const silent = last(events, "NodeNotReady");
  // Whatever came later shows that the node is back.
  if (silent !== undefined && events.every((event) => event.at <= silent.at)) {
    return {
      kind: "node",
      what: clip(`node ${pod.node ?? ""} is not ready: ${silent.message}`),
      remedy: "look at the node: until it reports again nothing on it changes; then retry",
      patience: 120,
    };
  }
  if (containers.every((container) => container.id === undefined)) return notStarted(events);
  // Of a container that does not run, its probes tell nothing new.
  if (containers.some(({ waiting, terminated }) => waiting !== undefined || terminated !== undefined)) return undefined;
  return probe(events);
}

/** Nothing of the pod has ever run. */
function notStarted(all: readonly PodEvent[]): Stuck | undefined {
  // Images are pulled once volumes and sandbox are there.
  const begun = last(all, "Pulling", "Pulled", "Created", "Started")?.at ?? 0;
  const events = all.filter((event) => event.at > begun);
  const volume = last(events, "FailedMount", "FailedAttachVolume", "FailedMapVolume");
  if (volume !== undefined) {
    const missing = missingObject(volume.message);
    return {
      kind: "volume",
      what: clip(`a volume cannot be mounted: ${saying(volume)}`),
      remedy:
        missing === undefined
          ? "look at the claim, its storage class and the node that the volume is attached to; then retry"
          : `create ${missing}, or release a revision that does not mount it; then retry`,
      patience: 90,
    };
  }
  const sandbox = last(events, "FailedCreatePodSandBox", "FailedPodSandBoxStatus", "NetworkNotReady");
  if (sandbox === undefined) return undefined;
  return {
    kind: "sandbox",
    what: clip(`its sandbox cannot be made: ${saying(sandbox)}`),
    remedy: "look at the node's network plug-in and container runtime; then retry",
    patience: 90,
  };
}

function probe(events: readonly PodEvent[]): Stuck | undefined {
  const unhealthy = last(events, "Unhealthy", "ProbeWarning");
  if (unhealthy === undefined) return undefined;
  const kind = /^(readiness|liveness|startup) probe/i.exec(unhealthy.message)?.[1]?.toLowerCase();
  return {
    kind: "probe",
    what: clip(saying(unhealthy)),
    remedy: `look at the container's log; if it works, mend the ${kind === undefined ? "" : `${kind} `}probe's path, port or times in a new revision`,
  };
}

function leaving(pod: PodFacts, now: number): Stuck | undefined {
  if (pod.deletionDue === undefined || now <= pod.deletionDue) return undefined;
  const due = `its grace period ended at ${new Date(pod.deletionDue).toISOString().slice(11, 19)} UTC`;
  const finalizers = pod.finalizers ?? [];
  if (finalizers.length > 0) {
    return {
      kind: "finalizer",
      what: clip(`it is being deleted, ${due}, and it is kept by ${finalizers.join(", ")}`),
      remedy: "look at the controller of that finalizer; if there is none any more, remove the finalizer from the pod",
      patience: 60,
    };
  }
  return {
    kind: "terminating",
    what: `it is being deleted, ${due}, and it is still there${pod.node === undefined ? "" : ` on node ${pod.node}`}`,
    remedy:
      "look whether the node and its container runtime answer; if the node is gone for good, delete the pod with --force",
    patience: 60,
  };
}

function notCreated({ events, name, now }: Look): Stuck | undefined {
  // The controller tries again ever more rarely, and says nothing when it succeeds with another pod.
  const refusal = last(
    eventsOf(events, name).filter((event) => event.at > now - 900_000),
    "FailedCreate",
  );
  return refusal === undefined ? undefined : refused(refusal.message, "The pod cannot be created");
}

function refused(said: string, what: string): Stuck {
  const isQuota = /exceeded quota|limited:.*used:/i.test(said);
  return {
    kind: "refused",
    what: clip(`${what}: ${said}`),
    remedy: isQuota
      ? "raise the namespace's quota, or release a revision that asks for less; then retry"
      : "ask who runs the admission policy that is named here, or release a revision that it lets pass; then retry",
    patience: 30,
  };
}
