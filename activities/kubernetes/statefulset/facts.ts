/** From the API server's objects to the facts that `domain/workload` judges. */
import { ordinalOf, LABELS } from "../../../domain/workload/render.ts";
import type { ContainerFacts, PodFacts } from "../../../domain/workload/updated.ts";
import type { ContainerState, ContainerStatus, PodObject } from "../objects.ts";
import { POD, epochOf } from "./metadata.ts";

/** A mover looks at every pod in every round, and few have changed. Objects of the API server are never changed here. */
const known = new WeakMap<PodObject, { set: string; readySeenAt: number | undefined; facts: PodFacts | undefined }>();

/** Undefined for a pod whose name is not one of the set's. `readySeenAt`: our own observation, if there is one. */
export function podFacts(set: string, pod: PodObject, readySeenAt?: number): PodFacts | undefined {
  const before = known.get(pod);
  if (before?.set === set && before.readySeenAt === readySeenAt) return before.facts;
  const facts = readFacts(set, pod, readySeenAt);
  known.set(pod, { set, readySeenAt, facts });
  return facts;
}

function readFacts(set: string, pod: PodObject, readySeenAt: number | undefined): PodFacts | undefined {
  const { metadata, spec, status = {} } = pod;
  const ordinal = ordinalOf(set, metadata.name);
  if (ordinal === undefined) return undefined;
  const ready = status.conditions?.find((condition) => condition.type === "Ready");
  const scheduled = status.conditions?.find(
    (condition) => condition.type === "PodScheduled" && condition.status === "False",
  );
  const epoch = epochOf(pod);
  const moved = Date.parse(metadata.annotations?.[POD.movedAt] ?? "");
  const previous = parsePrevious(metadata.annotations?.[POD.previousContainers]);
  const initial = initialTroubles(pod);
  const ended = status.phase === "Failed" ? [status.reason, status.message].filter(Boolean).join(": ") : "";
  const due = Date.parse(metadata.deletionTimestamp ?? "");
  return {
    name: metadata.name,
    ordinal,
    uid: metadata.uid,
    hash: metadata.labels?.[LABELS.hash] ?? "",
    leaving: metadata.deletionTimestamp !== undefined,
    phase: status.phase ?? "",
    containers: spec.containers.map((container) => containerFacts(container, status.containerStatuses, previous)),
    ...(initial.length === 0 ? {} : { initContainers: initial }),
    ready: ready?.status === "True" && status.phase === "Running",
    createdAt: Date.parse(metadata.creationTimestamp),
    ...(metadata.generation === undefined ? {} : { generation: metadata.generation }),
    ...(status.observedGeneration === undefined ? {} : { observedGeneration: status.observedGeneration }),
    ...(ready?.status === "True"
      ? { readySince: readySeenAt ?? reportedReadySince(pod, ready.lastTransitionTime) }
      : {}),
    ...(scheduled === undefined ? {} : { unschedulable: scheduled.message ?? scheduled.reason ?? "not scheduled yet" }),
    ...(ready?.status === "False" && ready.message !== undefined ? { notReady: ready.message } : {}),
    ...(previous === undefined ? {} : { previousContainers: previous }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(Number.isNaN(moved) ? {} : { movedAt: moved }),
    ...(spec.nodeName === undefined ? {} : { node: spec.nodeName }),
    ...(ended === "" ? {} : { ended }),
    ...(Number.isNaN(due) ? {} : { deletionDue: due }),
    ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers }),
  };
}

/**
 * The later of Ready's transition and the newest container's start: a container that is replaced quickly may never show
 * as not ready. Reported times are cut to whole seconds, so the end of that second counts.
 */
function reportedReadySince(pod: PodObject, transition: string | undefined): number {
  const starts = (pod.status?.containerStatuses ?? []).map((container) => container.state?.running?.startedAt);
  const times = [transition, ...starts].map((time) => Date.parse(time ?? "")).filter((time) => !Number.isNaN(time));
  return Math.max(0, ...times) + 999;
}

/** Init containers that wait for something of their own, or have failed. Those whose turn has not come say only that. */
function initialTroubles({ spec, status }: PodObject): ContainerFacts[] {
  return (spec.initContainers ?? [])
    .map((container) => containerFacts(container, status?.initContainerStatuses))
    .filter(
      ({ waiting, terminated }) =>
        (waiting !== undefined && waiting.reason !== "PodInitializing") ||
        (terminated !== undefined && terminated.exitCode !== 0),
    );
}

function containerFacts(
  { name, image }: { name: string; image: string },
  statuses: ContainerStatus[] | undefined,
  previous: Readonly<Record<string, string>> = {},
): ContainerFacts {
  const status = statuses?.find((container) => container.name === name);
  const ended = status?.state?.terminated ?? status?.lastState?.terminated;
  const since = runsSince(status, previous[name]);
  return {
    name,
    image,
    ...(status?.image === undefined || status.image === "" ? {} : { reportedImage: status.image }),
    ...(status?.containerID === undefined || status.containerID === "" ? {} : { id: status.containerID }),
    ...waitingOf(status?.state),
    ...(ended === undefined || status?.state?.running !== undefined ? {} : { terminated: endingOf(ended) }),
    ...(status?.restartCount === undefined ? {} : { restarts: status.restartCount }),
    ...(since === undefined ? {} : { since }),
  };
}

/**
 * Start of the container, if it is not the one `before` the change. Undefined when nobody can tell, or when it has been
 * restarted since: then all that was noted since the change may tell why.
 */
function runsSince(status: ContainerStatus | undefined, before: string | undefined): number | undefined {
  const isNew = (id: string | undefined): boolean => id !== undefined && id !== "" && id !== before;
  // Empty: nobody knows which it was, because it had not been reported yet.
  if (before === "" || !isNew(status?.containerID) || isNew(status?.lastState?.terminated?.containerID))
    return undefined;
  const { terminated, running } = status?.state ?? {};
  const start = Date.parse(terminated?.startedAt ?? running?.startedAt ?? "");
  // A container that was never started has the year 1.
  return start > 0 ? start : undefined;
}

function waitingOf(state: ContainerState | undefined): Pick<ContainerFacts, "waiting"> {
  if (state?.waiting === undefined) return {};
  const { reason = "waiting", message } = state.waiting;
  return { waiting: { reason, ...(message === undefined ? {} : { message }) } };
}

function endingOf(ended: NonNullable<ContainerState["terminated"]>): NonNullable<ContainerFacts["terminated"]> {
  const { reason = "ended", exitCode, message } = ended;
  return { reason, exitCode, ...(message === undefined ? {} : { message }) };
}

function parsePrevious(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return parsed !== null && typeof parsed === "object" ? (parsed as Record<string, string>) : undefined;
  } catch {
    return undefined;
  }
}
