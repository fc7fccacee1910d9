/** What Kubernetes' components noted about an object. */
import type { PodEvent } from "../../../domain/workload/reason.ts";
import { paths } from "../client.ts";
import type { EventObject, List } from "../objects.ts";
import type { Cluster } from "./cluster.ts";

/** Events about the object with this uid (a pod, or the set of a pod that does not exist). */
export async function podEvents({ client }: Cluster, namespace: string, uid: string): Promise<PodEvent[]> {
  const list = await client.request<List<EventObject>>({
    method: "GET",
    path: paths.events(namespace),
    query: { fieldSelector: `involvedObject.uid=${uid}`, limit: 50 },
  });
  return list.items.map(toPodEvent);
}

export function toPodEvent(event: EventObject): PodEvent {
  const container = /^spec\.\w+\{(.+)\}$/.exec(event.involvedObject?.fieldPath ?? "")?.[1];
  return {
    type: event.type ?? "Normal",
    reason: event.reason ?? "",
    message: event.message ?? "",
    count: event.series?.count ?? event.count ?? 1,
    at: Date.parse(event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? "") || 0,
    ...(container === undefined ? {} : { container }),
  };
}
