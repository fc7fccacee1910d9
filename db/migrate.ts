import path from "node:path";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate as applyMigrations } from "drizzle-orm/node-postgres/migrator";
import { Client } from "pg";

/** Any constant will do, as long as nothing else in the database locks it. */
const MIGRATION_LOCK = 5_264_170_211;

/**
 * Brings the database to the newest schema. Safe to call from several processes at once: one migrates, the others wait
 * for it and find nothing to do.
 */
export async function migrate(url: string): Promise<void> {
  const client = new Client({ connectionString: url, application_name: "cellwright-migrate" });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    // The lock goes with the connection, also when the process dies in the middle.
    await applyMigrations(drizzle(client), { migrationsFolder: path.join(import.meta.dirname, "migrations") });
  } finally {
    await client.end();
  }
}
