/** Reads what an order plans from. Acts on nothing. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { LABELS, MANAGED_BY, workloadName } from "../../../domain/workload/render.ts";
import { paths } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { List, NodeObject, PodObject } from "../objects.ts";
import type { Observation, ObservationFault, ObservedPod, Placement, WorkloadObservation } from "../port.ts";
import { eachAtOnce, findSet, insist, listPods, type Cluster } from "./cluster.ts";
import { podFacts } from "./facts.ts";
import { isOurs, isUnclaimed, POD, readNotes, targetHash } from "./metadata.ts";
import {
  describeRight,
  isGranted,
  RIGHTS,
  rulesOf,
  type ResourceRule,
  type Right,
  type RulesReview,
} from "./rights.ts";

/** Workloads looked at at once. */
const LOOKS = 8;

type Look = { workload?: WorkloadObservation; faults: ObservationFault[] };

export async function observeWorkloads(
  cluster: Cluster,
  { namespace, placements }: { namespace: string; placements: Placement[] },
): Promise<Observation> {
  const { unreachableMs, lookMs } = cluster.bounds;
  const impatient = { ...cluster, bounds: { ...cluster.bounds, unreachableMs: Math.min(unreachableMs, lookMs) } };
  // Another try looks only at what has not been seen yet.
  let general: ObservationFault[] | undefined;
  const looks = new Map<Placement, Look>();
  await insist(impatient, async () => {
    const left = placements.filter((placement) => !looks.has(placement));
    const looking = eachAtOnce(left, LOOKS, async (placement) => {
      looks.set(placement, await observeOne(cluster, placement));
    });
    // Lists may take longer than a cluster that does not answer is waited for; and what is wrong in general is why they fail.
    looking.catch(() => undefined);
    general ??= await generalFaults(cluster, namespace);
    if (general.length === 0) await looking;
  });
  if (general !== undefined && general.length > 0) return { workloads: [], faults: general };
  const observation: Observation = { workloads: [], faults: [] };
  for (const placement of placements) {
    const { workload, faults = [] } = looks.get(placement) ?? {};
    if (workload !== undefined) observation.workloads.push({ service: placement.service, ...workload });
    observation.faults.push(...faults);
  }
  return observation;
}

/** What would be wrong for every workload of the namespace. */
async function generalFaults(cluster: Cluster, namespace: string): Promise<ObservationFault[]> {
  return (await Promise.all([namespaceFaults(cluster, namespace), missingRights(cluster, namespace)])).flat();
}

async function namespaceFaults({ client }: Cluster, namespace: string): Promise<ObservationFault[]> {
  try {
    const { metadata, status } = await client.request<{ metadata: object; status?: { phase?: string } }>({
      method: "GET",
      path: paths.namespace(namespace),
    });
    const isLeaving = status?.phase === "Terminating" || "deletionTimestamp" in metadata;
    return isLeaving ? [{ message: `Namespace ${namespace} of cluster ${client.cluster} is being deleted` }] : [];
  } catch (error) {
    if (!(error instanceof CellwrightFailure)) throw error;
    if (error.type === "NotFound")
      return [{ message: `Namespace ${namespace} does not exist in cluster ${client.cluster}; create it there` }];
    if (error.type === "ClusterForbidden") return [{ message: error.message }];
    throw error;
  }
}

/**
 * One request tells all that our identity may, as long as the authorizers of the cluster can list it. What they do not
 * list is asked for right by right: some only answer questions.
 */
async function missingRights(cluster: Cluster, namespace: string): Promise<ObservationFault[]> {
  const rules = await readRules(cluster, namespace);
  const doubtful = RIGHTS.filter((right) => !isGranted(rules, right));
  const answers = await Promise.all(
    doubtful.map(async (right) => ((await isAllowed(cluster, namespace, right)) ? [] : [describeRight(right)])),
  );
  const missing = answers.flat();
  if (missing.length === 0) return [];
  const where = `in cluster ${cluster.client.cluster} may not ${missing.join(", ")} in namespace ${namespace}`;
  return [{ message: `Our identity ${where}; grant it these rights` }];
}

async function readRules({ client }: Cluster, namespace: string): Promise<ResourceRule[]> {
  try {
    const review = await client.request<{ status?: RulesReview }>({
      method: "POST",
      path: paths.rulesReviews,
      body: { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } },
    });
    return rulesOf(review.status);
  } catch (error) {
    if (hasStatus(error, 403)) return [];
    throw error;
  }
}

async function isAllowed({ client }: Cluster, namespace: string, right: Right): Promise<boolean> {
  const review = await client.request<{ status?: { allowed?: boolean } }>({
    method: "POST",
    path: paths.accessReviews,
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: { namespace, ...right } },
    },
  });
  return review.status?.allowed === true;
}

async function observeOne(cluster: Cluster, placement: Placement): Promise<Look> {
  const { cell, namespace, service } = placement;
  const key = { namespace, name: workloadName(service, cell) };
  const labels = { [LABELS.managedBy]: MANAGED_BY, [LABELS.service]: service, [LABELS.cell]: cell };
  const [nodes, set, listed] = await Promise.all([
    countNodes(cluster, placement),
    findSet(cluster, key),
    listPods(cluster, { ...key, labels }),
  ]);
  const faults: ObservationFault[] = [];
  if (nodes === 0)
    faults.push({
      cell,
      message: `Cell ${cell} has no nodes: none in cluster ${cluster.client.cluster} has the labels ${selectorOf(placement)}`,
    });
  if (set === undefined) return { workload: { cell, nodes, pods: [] }, faults };
  if (!isOurs(set, placement)) {
    faults.push({
      cell,
      message: `StatefulSet ${namespace}/${key.name} exists and is not Cellwright's (of this workspace group, service and cell); rename it or the app service`,
    });
    return { faults };
  }
  const pods = listed.toSorted((a, b) => ordinal(key.name, a) - ordinal(key.name, b));
  const notes = readNotes(set);
  // Made, but no order has made it its own: for an order it is as if there were none.
  if (isUnclaimed(notes)) return { workload: { cell, nodes, pods: [] }, faults };
  const target = targetHash(set);
  const promoted =
    target !== undefined &&
    set.status?.currentRevision === target &&
    pods.every((pod) => pod.metadata.deletionTimestamp !== undefined || pod.metadata.labels?.[LABELS.hash] === target);
  return {
    workload: {
      cell,
      nodes,
      workload: {
        replicas: set.spec.replicas ?? 1,
        revision: notes.revision,
        shape: notes.shape,
        fixed: notes.fixed,
        promoted,
      },
      pods: pods.map((pod) => observedPod(key.name, pod)),
    },
    faults,
  };
}

function observedPod(set: string, pod: PodObject): ObservedPod {
  const shape = pod.metadata.annotations?.[POD.shape];
  return {
    name: pod.metadata.name,
    ready: pod.metadata.deletionTimestamp === undefined && podFacts(set, pod)?.ready === true,
    images: Object.fromEntries(pod.spec.containers.map(({ name, image }) => [name, image])),
    ...(shape !== undefined && { shape }),
  };
}

function ordinal(set: string, pod: PodObject): number {
  return podFacts(set, pod)?.ordinal ?? Number.POSITIVE_INFINITY;
}

async function countNodes({ client }: Cluster, placement: Placement): Promise<number> {
  const list = await client.request<List<NodeObject>>({
    method: "GET",
    path: paths.nodes,
    query: { labelSelector: selectorOf(placement) },
    timeoutMs: 20_000,
  });
  return list.items.length;
}

function selectorOf({ nodeSelector }: Placement): string {
  return Object.entries(nodeSelector)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}
