/** What a cluster says about one pod: events, and the end of a container's log. Reads only. */
import { CellwrightFailure } from "../../domain/failures.ts";
import { eventsOf } from "../../domain/workload/reason.ts";
import { LOG_BYTES, type NotedEvent, type PodAnswer, type PodQuestion } from "../../domain/workload/pod-report.ts";
import { paths, type ClusterClient } from "./client.ts";
import { ClusterError, hasStatus } from "./errors.ts";
import type { ContainerStatus, EventObject, List, NodeObject, PodObject } from "./objects.ts";

/** Most events that are handed out, the newest. */
const MOST_EVENTS = 200;
const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";
/** Bound on what is read of a log in order to find its end, bytes: as many lines as may be asked for, each as long as lines get. */
const READ_BYTES = 32 * 1024 * 1024;

export type PodReader = {
  /** @throws CellwrightFailure when the cluster does not answer or refuses */
  read(pod: { namespace: string; name: string }, question: PodQuestion, signal: AbortSignal): Promise<PodAnswer>;
};

/** What a kubelet answers, as if it were the log, when it has that log no more. */
const LOST = /^unable to retrieve container logs for \S+\s*$/;

/** Annotation of a node that kwok plays: with no kubelet and no containers. */
const SIMULATED = "kwok.x-k8s.io/node";

type Where = { namespace: string; name: string };

export function createPodReader(client: ClusterClient): PodReader {
  return {
    async read(where, question, signal) {
      const pod = await find(client, where, signal);
      switch (question.kind) {
        case "events":
          return { kind: "events", exists: pod !== undefined, events: await readEvents(client, where, signal) };
        case "logs":
          return pod === undefined ? gone(client, where, signal) : readLog(client, pod, question, signal);
      }
    },
  };
}

async function find(client: ClusterClient, { namespace, name }: Where, signal: AbortSignal) {
  try {
    return await client.request<PodObject>({ method: "GET", path: paths.pod(namespace, name), signal });
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

/**
 * Events of all pods that have had this name, and those of its workload that name it: they tell why it is not there.
 * Oldest first.
 */
async function readEvents(client: ClusterClient, where: Where, signal: AbortSignal): Promise<NotedEvent[]> {
  const workload = where.name.replace(/-\d+$/, "");
  const [own, of] = await Promise.all([
    listEvents(client, where.namespace, "Pod", where.name, signal),
    listEvents(client, where.namespace, "StatefulSet", workload, signal),
  ]);
  return [...own.map(toNoted("pod")), ...eventsOf(of.map(toNoted("workload")), where.name)]
    .toSorted((a, b) => (a.lastAt ?? "").localeCompare(b.lastAt ?? ""))
    .slice(-MOST_EVENTS);
}

async function listEvents(
  client: ClusterClient,
  namespace: string,
  kind: string,
  name: string,
  signal: AbortSignal,
): Promise<EventObject[]> {
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
  const { items } = await client.request<List<EventObject>>({
    method: "GET",
    path: paths.events(namespace),
    query: { fieldSelector },
    signal,
  });
  return items;
}

function toNoted(about: NotedEvent["about"]): (event: EventObject) => NotedEvent {
  return (event) => {
    const firstAt = event.firstTimestamp ?? event.eventTime ?? undefined;
    const lastAt = event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? undefined;
    const source = event.reportingComponent || event.source?.component;
    return {
      type: event.type ?? "Normal",
      reason: event.reason ?? "",
      message: event.message ?? "",
      count: event.series?.count ?? event.count ?? 1,
      ...(firstAt === undefined ? {} : { firstAt }),
      ...(lastAt === undefined ? {} : { lastAt }),
      ...(source === undefined || source === "" ? {} : { source }),
      about,
    };
  };
}

async function gone(client: ClusterClient, where: Where, signal: AbortSignal): Promise<PodAnswer> {
  const since = (await readEvents(client, where, signal)).at(-1)?.lastAt;
  return { kind: "gone", ...(since === undefined ? {} : { since }) };
}

function statusOf({ status }: PodObject, container: string): ContainerStatus | undefined {
  const all = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  return all.find(({ name }) => name === container);
}

async function readLog(
  client: ClusterClient,
  pod: PodObject,
  question: Extract<PodQuestion, { kind: "logs" }>,
  signal: AbortSignal,
): Promise<PodAnswer> {
  const { namespace, name, annotations = {} } = pod.metadata;
  const { containers: regular, initContainers: initial = [], ephemeralContainers: added = [] } = pod.spec;
  const containers = [...regular, ...initial, ...added].map((container) => container.name);
  const usual = annotations[DEFAULT_CONTAINER];
  const container =
    question.container ?? (usual !== undefined && containers.includes(usual) ? usual : (containers[0] ?? ""));
  if (!containers.includes(container)) return { kind: "unknown-container", containers };
  const ask = (previous: boolean) =>
    client.text({
      path: paths.log(namespace, name),
      query: {
        container,
        previous,
        tailLines: question.tailLines,
        // The server keeps the beginning of what it is asked for, and the end is what is wanted: so this only bounds.
        limitBytes: READ_BYTES,
        ...(question.sinceSeconds === undefined ? {} : { sinceSeconds: question.sinceSeconds }),
      },
      keepBytes: LOG_BYTES,
      timeoutMs: 4_000,
      signal,
    });
  try {
    // The last run that has ended is the present one as long as the next has not begun.
    const isOver = statusOf(pod, container)?.state?.terminated !== undefined;
    let log = await ask(question.previous && !isOver);
    // It may have ended or begun meanwhile; the log of the run before that one is thrown away soon.
    if (question.previous && LOST.test(log.text)) log = await ask(isOver);
    if (LOST.test(log.text)) return { kind: "no-log", container, why: log.text.trim() };
    // Postgres stores no NUL.
    return { kind: "logs", container, containers, text: log.text.replaceAll("\0", "\uFFFD"), truncated: log.truncated };
  } catch (error) {
    const { nodeName } = pod.spec;
    if (isOfKubelet(error) && nodeName !== undefined && (await isSimulated(client, nodeName, signal))) {
      const why = `its node ${nodeName} is a simulated one (kwok) that runs no containers, so there are no logs`;
      return { kind: "no-log", container, why };
    }
    if (hasStatus(error, 404)) return gone(client, { namespace, name }, signal);
    // Not started yet, no previous run, or the node has thrown it away: said by the API server in its own words.
    if (error instanceof ClusterError && error.status === 400)
      return { kind: "no-log", container, why: error.message.split("refused (400): ")[1] ?? error.message };
    if (error instanceof ClusterError && error.status === 403)
      throw new CellwrightFailure(
        "ClusterForbidden",
        `${error.message}; grant Cellwright's identity in cluster ${client.cluster} the right to get pods/log`,
      );
    throw error;
  }
}

/**
 * Whether it may be about the kubelet, of which the API server asks logs: that it knows no address of it, or gets no
 * answer, is an error of the server or takes too long; also one that is played may say that there is no such thing.
 */
function isOfKubelet(error: unknown): boolean {
  return error instanceof ClusterError && (error.type === "ClusterUnreachable" || error.status === 404);
}

/** With the reads before it, it has to fit into one try. Milliseconds. */
const LOOK_MS = 1_000;

/** False also when the cluster does not say: then the first error tells more. */
async function isSimulated(client: ClusterClient, node: string, signal: AbortSignal): Promise<boolean> {
  try {
    const query = { fieldSelector: `metadata.name=${node}` };
    const request = { method: "GET", path: paths.nodes, query, timeoutMs: LOOK_MS, signal } as const;
    const { items } = await client.request<List<NodeObject>>(request);
    return items.some(({ metadata }) => metadata.annotations?.[SIMULATED] !== undefined);
  } catch (error) {
    if (error instanceof CellwrightFailure) return false;
    throw error;
  }
}
