/** What is kept for a time only: audit records and idempotency keys. The oldest go, a few at a time. */
import type { Logger } from "pino";
import type { Database } from "../db/client.ts";
import { loggableError } from "../db/errors.ts";
import { pruneAuditRecords } from "../db/repositories/audit.ts";
import { pruneKeys } from "../db/repositories/idempotency.ts";
import { pause } from "./process.ts";

const DAY = 24 * 60 * 60 * 1000;
/** Milliseconds between two looks. */
const INTERVAL = 10 * 60 * 1000;
/** Rows deleted by one statement: it holds no lock for long, and a first look at an old installation is many of them. */
const AT_ONCE = 1_000;

export type RetentionDeps = {
  db: Database;
  log: Logger;
  signal: AbortSignal;
  /** How long audit records are kept, days. */
  auditDays: number;
  /** How long the first answer to an idempotency key is kept, days. */
  keyDays: number;
};

/** Runs until the signal is aborted. Several processes may do it at a time. */
export async function keepRetention(deps: RetentionDeps): Promise<void> {
  const { log, signal } = deps;
  while (!signal.aborted) {
    try {
      const { auditRecords, keys } = await prune(deps, Date.now());
      if (auditRecords + keys > 0) log.info({ auditRecords, keys }, "what was kept long enough is gone");
    } catch (error) {
      log.warn({ error: loggableError(error) }, "old records could not be deleted; trying again later");
    }
    await pause(INTERVAL, signal);
  }
}

/** Deletes everything that is too old at `now`, unless the signal is aborted meanwhile. */
export async function prune(
  { db, signal, auditDays, keyDays }: Omit<RetentionDeps, "log">,
  now: number,
): Promise<{ auditRecords: number; keys: number }> {
  const all = async (few: (limit: number) => Promise<number>): Promise<number> => {
    let total = 0;
    for (let gone = AT_ONCE; gone === AT_ONCE && !signal.aborted; total += gone) gone = await few(AT_ONCE);
    return total;
  };
  return {
    auditRecords: await all((limit) => pruneAuditRecords(db, new Date(now - auditDays * DAY), limit)),
    keys: await all((limit) => pruneKeys(db, new Date(now - keyDays * DAY), limit)),
  };
}
