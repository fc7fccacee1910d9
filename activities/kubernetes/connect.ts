/** One cluster, ready for use: client, shared views, driver. */
import { createClusterClient, type ClientOptions, type ClusterClient } from "./client.ts";
import type { Log } from "./log.ts";
import type { WorkloadDriver } from "./port.ts";
import { BOUNDS, type Bounds, type Cluster } from "./statefulset/cluster.ts";
import { createStatefulSetDriver } from "./statefulset/driver.ts";
import { createViews } from "./view.ts";

export type ConnectedCluster = { client: ClusterClient; driver: WorkloadDriver; cluster: Cluster; close(): void };

/** Sends nothing yet. Throws Invalid when the kubeconfig cannot be used. */
export async function connectCluster(
  options: ClientOptions & { log: Log; bounds?: Partial<Bounds> },
): Promise<ConnectedCluster> {
  const client = await createClusterClient(options);
  const views = createViews({ client, log: options.log });
  const cluster: Cluster = {
    client,
    views,
    log: options.log,
    bounds: { ...BOUNDS, ...options.bounds },
    busy: new Set(),
  };
  return { client, cluster, driver: createStatefulSetDriver(cluster), close: () => views.close() };
}
