/** From the API server's objects to the facts that `domain/workload` judges. */
import { ordinalOf, LABELS } from "../../../domain/workload/render.ts";
import type { ContainerFacts, PodFacts } from "../../../domain/workload/updated.ts";
import type { ContainerState, PodObject } from "../objects.ts";
import { POD, epochOf } from "./metadata.ts";

/** Undefined for a pod whose name is not one of the set's. `readySeenAt`: our own observation, if there is one. */
export function podFacts(set: string, pod: PodObject, readySeenAt?: number): PodFacts | undefined {
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
  return {
    name: metadata.name,
    ordinal,
    uid: metadata.uid,
    hash: metadata.labels?.[LABELS.hash] ?? "",
    leaving: metadata.deletionTimestamp !== undefined,
    phase: status.phase ?? "",
    containers: spec.containers.map((container) => containerFacts(pod, container)),
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

function containerFacts(pod: PodObject, { name, image }: { name: string; image: string }): ContainerFacts {
  const status = pod.status?.containerStatuses?.find((container) => container.name === name);
  const ended = status?.state?.terminated ?? status?.lastState?.terminated;
  return {
    name,
    image,
    ...(status?.image === undefined || status.image === "" ? {} : { reportedImage: status.image }),
    ...(status?.containerID === undefined || status.containerID === "" ? {} : { id: status.containerID }),
    ...waitingOf(status?.state),
    ...(ended === undefined || status?.state?.running !== undefined ? {} : { terminated: endingOf(ended) }),
  };
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
