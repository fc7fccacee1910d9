/** The cluster worker: carries out operations on Kubernetes clusters, and repairs their workloads. Serves every registered cluster, also those registered while it runs. */
import { hostname } from "node:os";
import { Worker } from "@temporalio/worker";
import { clusterOperations } from "../activities/catalogue.ts";
import { connectCluster } from "../activities/kubernetes/connect.ts";
import { startReconciler } from "../activities/kubernetes/reconciler.ts";
import { operationActivities } from "../activities/operation.ts";
import { createDatabase } from "../db/client.ts";
import { readKubeconfig, readRegistrations } from "../db/repositories/clusters.ts";
import type { Registration } from "../db/repositories/clusters.ts";
import { readNamespaces } from "../db/repositories/placements.ts";
import { clusterQueue } from "../domain/release/compile.ts";
import { readClusterConfig } from "./config.ts";
import { connectNative, createLog, installRuntime, pause, runProcess, tellReady, untilItWorks } from "./process.ts";

/** Milliseconds between two looks for registered clusters. */
const LOOK_INTERVAL = 1_000;

const config = readClusterConfig();
const log = createLog("cluster", config.logLevel);

type Served = { registration: Registration; stop: () => Promise<void> };

runProcess(log, async (signal) => {
  installRuntime(log);
  const database = createDatabase(config.databaseUrl, { applicationName: "cellwright-cluster" });
  const connection = await untilItWorks("Temporal", log, signal, () => connectNative(config.temporal));
  const served = new Map<string, Served>();

  const serve = async (registration: Registration): Promise<Served> => {
    const { name } = registration;
    const kubeconfig = await readKubeconfig(database.db, config.encryptionKey, name);
    if (kubeconfig === undefined) throw new Error(`cluster ${name} is no longer registered`);
    const end = new AbortController();
    const cluster = await connectCluster({ cluster: name, kubeconfig, log });
    const worker = await Worker.create({
      connection,
      namespace: config.temporal.namespace,
      taskQueue: clusterQueue(name),
      activities: operationActivities(clusterOperations, {
        db: database.db,
        tenant: config.tenant,
        cluster: name,
        driver: cluster.driver,
      }),
      maxHeartbeatThrottleInterval: "1 second",
      shutdownGraceTime: "5 seconds",
    });
    const running = worker.run();
    const reconciler = startReconciler({
      cluster: cluster.cluster,
      signal: end.signal,
      name: `reconciler@${hostname()}/${process.pid}`,
      namespaces: () => readNamespaces(database.db, name),
    });
    running.catch((error: unknown) => {
      log.error({ err: error, cluster: name }, "the worker of a cluster failed; starting it anew");
      served.delete(name);
      end.abort();
      cluster.close();
    });
    log.info({ cluster: name, server: registration.server }, "serving");
    return {
      registration,
      async stop() {
        end.abort();
        if (worker.getState() === "RUNNING") worker.shutdown();
        await running.catch(() => undefined);
        await reconciler;
        cluster.close();
      },
    };
  };

  let ready = false;
  while (!signal.aborted) {
    try {
      const registered = await readRegistrations(database.db);
      const wanted = registered.filter((one) => config.only?.includes(one.name) ?? true);
      for (const [name, one] of served) {
        const now = wanted.find((registration) => registration.name === name);
        if (now && now.fingerprint === one.registration.fingerprint) continue;
        // Unregistered, or registered anew with another kubeconfig.
        served.delete(name);
        log.info({ cluster: name }, "no longer serving this registration");
        await one.stop();
      }
      for (const registration of wanted) {
        if (served.has(registration.name)) continue;
        try {
          served.set(registration.name, await serve(registration));
        } catch (error) {
          log.error({ err: error, cluster: registration.name }, "a cluster cannot be served; trying again");
        }
      }
      if (!ready) tellReady(config.readyFile, log);
      ready = true;
    } catch (error) {
      log.warn({ error: error instanceof Error ? error.message : String(error) }, "registered clusters cannot be read");
    }
    await pause(LOOK_INTERVAL, signal);
  }
  await Promise.all([...served.values()].map((one) => one.stop()));
  await connection.close();
  await database.close();
});
