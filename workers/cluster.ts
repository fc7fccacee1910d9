/** The cluster worker: carries out operations on Kubernetes clusters, and repairs their workloads. Serves every registered cluster, also those registered while it runs. */
import { hostname } from "node:os";
import { Worker } from "@temporalio/worker";
import { clusterOperations } from "../activities/catalogue.ts";
import { connectCluster } from "../activities/kubernetes/connect.ts";
import { createPodReader } from "../activities/kubernetes/pod-reader.ts";
import { startReconciler } from "../activities/kubernetes/reconciler.ts";
import { operationActivities } from "../activities/operation.ts";
import { createDatabase } from "../db/client.ts";
import { readKubeconfig, readRegistrations } from "../db/repositories/clusters.ts";
import type { Registration } from "../db/repositories/clusters.ts";
import { readNamespaces } from "../db/repositories/placements.ts";
import { clusterQueue } from "../domain/release/compile-app.ts";
import { readClusterConfig } from "./config.ts";
import { connectNative, createLog, installRuntime, pause, runProcess, tellReady, untilItWorks } from "./process.ts";
import { createServings } from "./serving.ts";
import type { Serving } from "./serving.ts";

/** Milliseconds between two looks for registered clusters. */
const LOOK_INTERVAL = 1_000;

const config = readClusterConfig();
const log = createLog("cluster", config.logLevel);

runProcess(log, async (signal) => {
  installRuntime(log);
  const database = createDatabase(config.databaseUrl, { applicationName: "cellwright-cluster" });
  const connection = await untilItWorks("Temporal", log, signal, () => connectNative(config.temporal));

  const serve = async (registration: Registration): Promise<Serving> => {
    const { name } = registration;
    const kubeconfig = await readKubeconfig(database.db, config.encryptionKey, name);
    if (kubeconfig === undefined) throw new Error(`cluster ${name} is no longer registered`);
    const cluster = await connectCluster({ cluster: name, kubeconfig, log });
    const end = new AbortController();
    let worker: Worker;
    try {
      worker = await Worker.create({
        connection,
        namespace: config.temporal.namespace,
        taskQueue: clusterQueue(name),
        activities: operationActivities(clusterOperations, {
          db: database.db,
          tenant: config.tenant,
          cluster: name,
          driver: cluster.driver,
          pods: createPodReader(cluster.client),
        }),
        maxHeartbeatThrottleInterval: "1 second",
        shutdownGraceTime: "5 seconds",
      });
    } catch (error) {
      cluster.close();
      throw error;
    }
    const ended = worker.run().catch((error: unknown) => {
      log.error({ err: error, cluster: name }, "the worker of a cluster failed; starting it anew");
    });
    const reconciler = startReconciler({
      cluster: cluster.cluster,
      signal: end.signal,
      name: `reconciler@${hostname()}/${process.pid}`,
      namespaces: () => readNamespaces(database.db, name),
    });
    log.info({ cluster: name, server: registration.server }, "serving");
    return {
      ended,
      async stop() {
        end.abort();
        if (worker.getState() === "RUNNING") worker.shutdown();
        try {
          await ended;
          await reconciler;
        } finally {
          cluster.close();
        }
      },
    };
  };

  const servings = createServings({ serve, log });
  let ready = false;
  while (!signal.aborted) {
    try {
      const registered = await readRegistrations(database.db);
      await servings.adjust(registered.filter((one) => config.only?.includes(one.name) ?? true));
      if (!ready) tellReady(config.readyFile, log);
      ready = true;
    } catch (error) {
      log.warn({ error: error instanceof Error ? error.message : String(error) }, "registered clusters cannot be read");
    }
    await pause(LOOK_INTERVAL, signal);
  }
  await servings.end();
  await connection.close();
  await database.close();
});
