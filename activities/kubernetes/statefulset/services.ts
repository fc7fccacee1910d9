/** The Services of an app service in one namespace; they serve all its cells there. Why a late write is harmless: see `apply.ts`. */
import { stableJson } from "../../../domain/json.ts";
import { LABELS, MANAGED_BY, renderServices } from "../../../domain/workload/render.ts";
import { paths } from "../client.ts";
import { hasStatus } from "../errors.ts";
import type { List, ServiceObject, SetObject } from "../objects.ts";
import type { Desired, Permitted, Placement } from "../port.ts";
import { applyObject, CREATE_ONLY, deleteExactly, exactly, MANAGER, type Cluster } from "./cluster.ts";
import { digest } from "./digest.ts";
import { insistOnRight, keyOf } from "./right.ts";

/** Annotation of a Service: digest of its rendering, and of the order that wrote it last. */
const RENDERING = "cellwright.io/rendering";

/** Creates or corrects the Services that the revision wants. Returns why it cannot, for a person. */
export async function ensureServices(
  cluster: Cluster,
  desired: Desired,
  progress: Permitted,
): Promise<string | undefined> {
  const { placement } = desired;
  for (const manifest of renderServices(desired)) {
    const { name } = manifest.metadata;
    const wanted = digest(`${desired.order}\n${stableJson(manifest)}`);
    const path = paths.service(placement.namespace, name);
    const found = await findService(cluster, placement.namespace, name);
    if (found !== undefined && !isOwn(found, placement)) {
      return `Service ${placement.namespace}/${name} exists and is not Cellwright's for ${placement.service}. Rename it, or the app service or its Service.`;
    }
    if (found?.metadata.annotations?.[RENDERING] === wanted) continue;
    await insistOnRight(keyOf(placement), desired.order, progress);
    // Kubernetes neither gives an address to a headless Service nor takes one away: it keeps what there is, or refuses.
    const changesType = found !== undefined && isHeadless(found) !== isHeadless(manifest);
    if (changesType) await deleteExactly(cluster, path, found);
    await applyObject(cluster, path, MANAGER.template, {
      ...manifest,
      metadata: {
        ...manifest.metadata,
        ...(found === undefined || changesType ? { resourceVersion: CREATE_ONLY } : exactly(found)),
        annotations: { [RENDERING]: wanted },
      },
    });
  }
  return undefined;
}

function isHeadless({ spec }: { spec: { clusterIP?: unknown } }): boolean {
  return spec.clusterIP === "None";
}

/** Removes the app service's Services that are not in `keep`; returns their names. */
export async function removeServices(
  cluster: Cluster,
  placement: Placement,
  keep: ReadonlySet<string>,
  order: string,
  progress: Permitted,
): Promise<string[]> {
  const { items } = await cluster.client.request<List<ServiceObject>>({
    method: "GET",
    path: paths.services(placement.namespace),
    query: { labelSelector: ownSelector(placement) },
  });
  const surplus = items.filter(({ metadata }) => !keep.has(metadata.name));
  for (const service of surplus) {
    await insistOnRight(keyOf(placement), order, progress);
    await deleteExactly(cluster, paths.service(placement.namespace, service.metadata.name), service);
  }
  return surplus.map(({ metadata }) => metadata.name);
}

/** The Services go with the last workload of the app service in the namespace. Returns the names of those that went. */
export async function removeServicesIfUnused(
  cluster: Cluster,
  placement: Placement,
  order: string,
  progress: Permitted,
): Promise<string[]> {
  const sets = await cluster.client.request<List<SetObject>>({
    method: "GET",
    path: paths.sets(placement.namespace),
    query: { labelSelector: ownSelector(placement) },
  });
  if (sets.items.some((set) => set.metadata.deletionTimestamp === undefined)) return [];
  return removeServices(cluster, placement, new Set(), order, progress);
}

export function serviceNames(desired: Desired): Set<string> {
  return new Set(renderServices(desired).map(({ metadata }) => metadata.name));
}

function ownSelector({ workspaceGroup, service }: Placement): string {
  return Object.entries({
    [LABELS.managedBy]: MANAGED_BY,
    [LABELS.workspaceGroup]: workspaceGroup,
    [LABELS.service]: service,
  })
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

function isOwn({ metadata: { labels = {} } }: ServiceObject, placement: Placement): boolean {
  return (
    labels[LABELS.managedBy] === MANAGED_BY &&
    labels[LABELS.workspaceGroup] === placement.workspaceGroup &&
    labels[LABELS.service] === placement.service
  );
}

async function findService({ client }: Cluster, namespace: string, name: string): Promise<ServiceObject | undefined> {
  try {
    return await client.request<ServiceObject>({ method: "GET", path: paths.service(namespace, name) });
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}
