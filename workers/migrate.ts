/** Brings database and Temporal namespace to what this version needs, and ends. Safe to run again, also by several at once. */
import proto from "@temporalio/proto";
import { migrate } from "../db/migrate.ts";
import { readWorkerConfig } from "./config.ts";
import { connectClient, createLog, runProcess, untilItWorks } from "./process.ts";

const { INDEXED_VALUE_TYPE_KEYWORD, INDEXED_VALUE_TYPE_KEYWORD_LIST } = proto.temporal.api.enums.v1.IndexedValueType;
const SEARCH_ATTRIBUTES = {
  CellwrightKind: INDEXED_VALUE_TYPE_KEYWORD,
  CellwrightOrderId: INDEXED_VALUE_TYPE_KEYWORD,
  CellwrightState: INDEXED_VALUE_TYPE_KEYWORD,
  CellwrightWorkspaceGroup: INDEXED_VALUE_TYPE_KEYWORD,
  CellwrightCreator: INDEXED_VALUE_TYPE_KEYWORD,
  CellwrightApps: INDEXED_VALUE_TYPE_KEYWORD_LIST,
};

const config = readWorkerConfig();
const log = createLog("migrate", config.logLevel);

runProcess(log, async (signal) => {
  await untilItWorks("the database", log, signal, () => migrate(config.databaseUrl));
  const { connection } = await untilItWorks("Temporal", log, signal, () => connectClient(config.temporal));
  const { namespace } = config.temporal;
  const known = await untilItWorks(`Temporal namespace ${namespace}`, log, signal, () =>
    connection.operatorService.listSearchAttributes({ namespace }),
  );
  const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !(name in (known.customAttributes ?? {})));
  if (missing.length > 0) {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
    log.info({ added: missing.map(([name]) => name) }, "search attributes added");
  }
  await connection.close();
});
