import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { migrate } from "../../db/migrate.ts";

/** Any constant will do: it keeps test files from making or copying the template at the same time. */
const TEMPLATE_LOCK = 7_301_554;
const TEMPLATE = "cellwright_template";

export interface TestDatabase {
  readonly url: string;
  /** Removes the database, ending whatever is still connected. */
  drop(): Promise<void>;
}

/** A migrated database of one's own, by default on the run's server, copied from a template that the first caller makes. */
export async function createTestDatabase(server = inject("stack").databaseUrl): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await onServer(server, async (client) => {
    await client.query("select pg_advisory_lock($1)", [TEMPLATE_LOCK]);
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [TEMPLATE]);
    if (rowCount === 0) {
      // Named only when it is whole, so that a failed migration is not taken for a template.
      const draft = `${TEMPLATE}_draft`;
      await client.query(`drop database if exists ${draft}`);
      await client.query(`create database ${draft}`);
      await migrate(databaseUrl(server, draft));
      await client.query(`alter database ${draft} rename to ${TEMPLATE}`);
    }
    await client.query(`create database ${name} template ${TEMPLATE}`);
  });
  return {
    url: databaseUrl(server, name),
    drop: () =>
      onServer(server, async (client) => {
        await client.query(`drop database if exists ${name} with (force)`);
      }),
  };
}

function databaseUrl(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

async function onServer(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
