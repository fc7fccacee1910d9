/** Brings database and Temporal namespace to what this version needs, and ends. Safe to run again, also by several at once. */
import proto from "@temporalio/proto";
import { isDatabaseUnavailable } from "../db/errors.ts";
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

/** How long servers may take to come up, milliseconds: somebody waits for this process to end, and must be told. */
const PATIENCE = 60_000;

const config = readWorkerConfig();
const log = createLog("migrate", config.logLevel);

runProcess(log, async (signal) => {
  await untilItWorks("the database of DATABASE_URL", log, signal, () => migrate(config.databaseUrl), {
    passing: (error) => isDatabaseUnavailable(error) && !namesNoDatabase(error),
    within: PATIENCE,
  });
  const { address, namespace } = config.temporal;
  const { connection } = await untilItWorks(
    `Temporal at ${address} (TEMPORAL_ADDRESS)`,
    log,
    signal,
    () => connectClient(config.temporal),
    { within: PATIENCE },
  );
  const known = await untilItWorks(
    `namespace ${namespace} of Temporal at ${address}`,
    log,
    signal,
    () => connection.operatorService.listSearchAttributes({ namespace }),
    { within: PATIENCE },
  );
  const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !(name in (known.customAttributes ?? {})));
  if (missing.length > 0) {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
    log.info({ added: missing.map(([name]) => name) }, "search attributes added");
  }
  await connection.close();
});

/** A database that is gone may come back for those that have used it; one that was never there is a wrong setting. */
function namesNoDatabase(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "3D000";
}
