/** The orchestrator: runs the workflows of all orders, keeps their records, and looks after lost ones. */
import path from "node:path";
import { Worker } from "@temporalio/worker";
import { operationCatalogue } from "../activities/catalogue.ts";
import { createPlanningActivities } from "../activities/planning/activities.ts";
import { createReleasePlanner } from "../activities/planning/release.ts";
import { createAbandonActivities } from "../activities/records/abandon.ts";
import { createRecordActivities } from "../activities/records/activities.ts";
import { createOrderEngine } from "../activities/temporal/orders.ts";
import { createDatabase } from "../db/client.ts";
import { ORCHESTRATOR_QUEUE } from "../domain/pipeline/task.ts";
import { readOrchestratorConfig } from "./config.ts";
import {
  aborted,
  connectClient,
  connectNative,
  createLog,
  installRuntime,
  runProcess,
  tellReady,
  untilItWorks,
} from "./process.ts";
import { keepRetention } from "./retention.ts";
import { keepUp } from "./upkeep.ts";

const config = readOrchestratorConfig();
const log = createLog("orchestrator", config.logLevel);

runProcess(log, async (signal) => {
  installRuntime(log);
  const database = createDatabase(config.databaseUrl, { applicationName: "cellwright-orchestrator" });
  const native = await untilItWorks("Temporal", log, signal, () => connectNative(config.temporal));
  const { client, connection } = await untilItWorks("Temporal", log, signal, () => connectClient(config.temporal));
  const planners = [
    createReleasePlanner({
      db: database.db,
      tenant: config.tenant,
      catalogue: operationCatalogue,
      queueWait: config.queueWait,
    }),
  ];
  const subjectsOf = (kind: string, request: unknown): string[] =>
    planners.find((planner) => planner.kind === kind)?.subjects(request) ?? [];
  const engine = createOrderEngine(client, config.historyLimit);
  const worker = await Worker.create({
    connection: native,
    namespace: config.temporal.namespace,
    taskQueue: ORCHESTRATOR_QUEUE,
    ...(config.bundle === undefined
      ? { workflowsPath: path.join(import.meta.dirname, "../workflows/types.ts") }
      : { workflowBundle: { codePath: config.bundle } }),
    activities: {
      ...createRecordActivities(database.db, engine, subjectsOf),
      ...createPlanningActivities(database.db, planners),
      ...createAbandonActivities(database.db, client),
    },
    maxCachedWorkflows: 500,
    maxHeartbeatThrottleInterval: "1 second",
    shutdownGraceTime: "5 seconds",
  });
  const running = worker.run();
  const upkeep = keepUp({ db: database.db, client, subjectsOf, engine, log, signal });
  const retention = keepRetention({ db: database.db, log, signal, ...config.retention });
  tellReady(config.readyFile, log);
  await Promise.race([aborted(signal), running]);
  if (worker.getState() === "RUNNING") worker.shutdown();
  await running;
  await upkeep;
  await retention;
  await connection.close();
  await native.close();
  await database.close();
});
