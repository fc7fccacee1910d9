import { drizzle, type NodePgDatabase, type NodePgQueryResultHKT } from "drizzle-orm/node-postgres";
import type { PgDatabase } from "drizzle-orm/pg-core";
import { Pool } from "pg";

export type Database = NodePgDatabase;

/** A transaction, or the database itself where a single statement is enough. */
export type Tx = PgDatabase<NodePgQueryResultHKT>;

export interface DatabaseOptions {
  /** Most connections held at once; 10 unless told. */
  readonly connections?: number;
  /** Bound for one statement and for waiting on a lock, in milliseconds; 15 s unless told. */
  readonly statementTimeout?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  /** Told when an idle connection breaks, e.g. because the server restarts; the pool replaces it by itself. */
  readonly onConnectionLost?: (error: Error) => void;
}

export interface DatabaseHandle {
  readonly db: Database;
  readonly pool: Pool;
  close(): Promise<void>;
}

/** Opens a pool of connections lazily: succeeds even while the server is away. */
export function createDatabase(url: string, options: DatabaseOptions = {}): DatabaseHandle {
  const pool = new Pool({
    connectionString: url,
    max: options.connections ?? 10,
    connectionTimeoutMillis: 5_000,
    // A person's start or confirmation, after a quiet time, need not wait for new ones to be authenticated.
    idleTimeoutMillis: 300_000,
    // What lies between may drop a quiet connection without a word; then this tells, within half a minute.
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: options.statementTimeout ?? 15_000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: options.applicationName ?? "cellwright",
    keepAlive: true,
  });
  // Without a listener a broken idle connection would end the process.
  pool.on("error", (error) => options.onConnectionLost?.(error));
  return { db: drizzle(pool), pool, close: () => pool.end() };
}
