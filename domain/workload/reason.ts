/** Why a pod is not there yet, in a person's words. Pure. */
import type { ContainerFacts, Judgement, PodFacts } from "./updated.ts";

/** `at`: when it was noted last, ms since epoch. `container`: that it is about, where it is about one. */
export type PodEvent = {
  type: string;
  reason: string;
  message: string;
  count: number;
  at: number;
  container?: string;
};

const LONGEST = 300;
/** So much of an event's message shows that it has been told already. */
const TELLING = 80;
/** Clocks of a cluster and its workers may differ by so much, and events have whole seconds. Milliseconds. */
const SKEW = 5_000;
/** Warnings that a kubelet repeats for every pod, well or not. */
const BESIDE: ReadonlySet<string> = new Set(["MissingClusterDNS", "DNSConfigForming"]);
/** What only a container that runs can cause. */
const OF_A_RUN: ReadonlySet<string> = new Set(["Unhealthy", "ProbeWarning"]);
/** How a kubelet names the pod that everybody is speaking of. */
const ITSELF = / (?:in )?pod[= ]"?\S+\([0-9a-f-]{36}\)"?/g;

/**
 * The most telling thing that is known about a pod that is not updated. `events`: the pod's own, any order. `known`: what
 * has been found out already.
 */
export function whyNot(
  pod: PodFacts | undefined,
  judgement: Judgement,
  events: readonly PodEvent[] = [],
  known: string = state(pod, judgement),
): string {
  const warning = lastWarning(events);
  const isNew = warning !== undefined && !known.includes(clip(warning.message).slice(0, TELLING));
  const parts = [known, isNew ? `event ${saying(warning)}` : undefined].filter((part) => part !== undefined);
  return clip(parts.join("; "));
}

type Changed = Pick<PodFacts, "movedAt" | "createdAt" | "containers" | "initContainers" | "previousContainers">;

/**
 * Those that tell of the pod as it is now, not of what it was before it was changed; and of its containers as they now
 * are, not of those that were replaced, nor of what hindered their start.
 */
export function freshEvents(pod: Changed, events: readonly PodEvent[]): PodEvent[] {
  const since = Math.max(pod.movedAt ?? 0, pod.createdAt) - SKEW;
  const containers = new Map([...(pod.initContainers ?? []), ...pod.containers].map((one) => [one.name, one]));
  return events.filter((event) => {
    if (event.at < since) return false;
    const container = event.container === undefined ? undefined : containers.get(event.container);
    if (container === undefined) return true;
    // Whoever notes this is the node that started it: one clock, in whole seconds.
    if (container.since !== undefined) return event.at >= container.since;
    const isOld = container.id !== undefined && pod.previousContainers?.[container.name] === container.id;
    return !(OF_A_RUN.has(event.reason) && isOld);
  });
}

/** Those of a workload's events that tell of this pod. */
export function eventsOf<Event extends Pick<PodEvent, "message">>(events: readonly Event[], pod: string): Event[] {
  return events.filter((event) => event.message.split(/[^a-z0-9.-]+/i).includes(pod));
}

function state(pod: PodFacts | undefined, judgement: Judgement): string {
  switch (judgement.kind) {
    case "missing":
      return "the pod does not exist at the moment";
    case "leaving":
      return pod?.leaving === true
        ? "the pod is being deleted"
        : `the pod has ended (${pod?.phase}${suffix(pod?.ended)})`;
    case "old":
      return pod !== undefined && !pod.ready ? `not changed yet, ${trouble(pod)}` : "not changed yet";
    case "settling":
      return "ready, but not yet for long enough";
    case "updated":
      return "updated";
    case "changing":
      return pod === undefined ? "the pod does not exist at the moment" : trouble(pod);
  }
}

function trouble(pod: PodFacts): string {
  if (pod.unschedulable !== undefined) return `no node takes it: ${pod.unschedulable}`;
  const containers = [...(pod.initContainers ?? []), ...pod.containers]
    .map(containerTrouble)
    .filter((text) => text !== undefined);
  if (containers.length > 0) return containers.join(", ");
  if (!pod.ready) return pod.notReady === undefined ? "not ready" : `not ready: ${pod.notReady}`;
  return "the node has not replaced the old container yet";
}

/** What keeps a container from running, or undefined. */
export function containerTrouble(container: ContainerFacts): string | undefined {
  const ended = container.terminated;
  const ending =
    ended === undefined ? "" : ` (ended before: ${ended.reason}, exit code ${ended.exitCode}${suffix(ended.message)})`;
  if (container.waiting !== undefined) {
    const { reason, message } = container.waiting;
    return `container ${container.name} (${container.image}): ${reason}${suffix(message)}${ending}`;
  }
  return ended === undefined ? undefined : `container ${container.name} (${container.image})${ending}`;
}

function suffix(message: string | undefined): string {
  return message === undefined || message === "" ? "" : `: ${message}`;
}

function lastWarning(events: readonly PodEvent[]): PodEvent | undefined {
  return events
    .filter((event) => event.type === "Warning" && !BESIDE.has(event.reason))
    .toSorted((a, b) => b.at - a.at)[0];
}

export function saying({ reason, message, count }: PodEvent): string {
  return `${reason}: ${message}${count > 1 ? ` (${count} times)` : ""}`;
}

/** One line, no longer than a reason may be. */
export function clip(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").replaceAll(ITSELF, "").trim();
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}

/** The first pods with their reasons, and how many more there are. */
export function summarise(pods: readonly { name: string; reason: string }[], most = 3): string {
  const named = pods.slice(0, most).map((pod) => `${pod.name}: ${pod.reason}`);
  const more = pods.length - named.length;
  return named.join(" · ") + (more > 0 ? ` · ${more} more` : "");
}
