/** The API process: composes, listens, closes. */
import { createOrderEngine } from "../activities/temporal/orders.ts";
import { createPodReports } from "../activities/temporal/pod-reports.ts";
import { createDatabase } from "../db/client.ts";
import { readApiConfig } from "../workers/config.ts";
import { aborted, connectClient, createLog, runProcess, tellReady, untilItWorks } from "../workers/process.ts";
import { buildApp } from "./app.ts";
import { tokenVerifier } from "./access/issuers.ts";
import { orderRoutes } from "./routes/orders.ts";

const config = readApiConfig();
const log = createLog("api", config.logLevel);

runProcess(log, async (signal) => {
  const database = createDatabase(config.databaseUrl, { applicationName: "cellwright-api" });
  const { client, connection } = await untilItWorks("Temporal", log, signal, () => connectClient(config.temporal));
  const app = buildApp({
    database,
    tenant: config.tenant,
    encryptionKey: config.encryptionKey,
    verifyToken: tokenVerifier(config.tokens),
    logger: log,
    trustProxy: config.trustProxy,
    readiness: [
      {
        name: "temporal",
        check: () => connection.workflowService.describeNamespace({ namespace: config.temporal.namespace }),
      },
    ],
    routes: orderRoutes(createOrderEngine(client, config.historyLimit), createPodReports(client)),
  });
  const address = await app.listen({ host: config.host, port: config.port });
  log.info({ address }, "listening");
  tellReady(config.readyFile, log);
  await aborted(signal);
  await app.close();
  await connection.close();
  await database.close();
});
