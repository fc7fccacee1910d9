import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { choosePorts } from "./ports.ts";
import type { StackPart, StackPorts } from "./stack.ts";
import { readTemporalConfiguration } from "./temporal.ts";

/** What `npm start` keeps about itself; the values are those of local parts only. */
export interface StartRecord {
  pid: number;
  url: string;
  databaseUrl?: string | undefined;
  temporalAddress?: string | undefined;
  kubeconfig?: string | undefined;
}

const recordFile = (directory: string): string => join(directory, "start.json");

export function readStartRecord(directory: string): Partial<StartRecord> {
  return readJson<StartRecord>(recordFile(directory));
}

export function writeStartRecord(directory: string, record: StartRecord): void {
  writeFileSync(recordFile(directory), JSON.stringify(record), { mode: 0o600 });
}

/** Servers that the environment names, instead of local ones. */
export interface External {
  databaseUrl: string | undefined;
  temporalAddress: string | undefined;
  kubeconfig: string | undefined;
}

/**
 * Reads DATABASE_URL, TEMPORAL_ADDRESS and KUBECONFIG. Values that a start in this directory wrote into its `env` file
 * name the local parts: whoever sourced that file in the same shell still gets them.
 */
export function readExternal(directory: string, environment: NodeJS.ProcessEnv): External {
  const own = readStartRecord(directory);
  const given = (name: string, local: string | undefined): string | undefined => {
    const value = environment[name];
    return value === undefined || value === "" || value === local ? undefined : value;
  };
  return {
    databaseUrl: given("DATABASE_URL", own.databaseUrl),
    temporalAddress: given("TEMPORAL_ADDRESS", own.temporalAddress),
    kubeconfig: given("KUBECONFIG", own.kubeconfig),
  };
}

export function localParts(external: External): StackPart[] {
  const parts: [StackPart, string | undefined][] = [
    ["postgres", external.databaseUrl],
    ["temporal", external.temporalAddress],
    ["kubernetes", external.kubeconfig],
  ];
  return parts.filter(([, given]) => given === undefined).map(([part]) => part);
}

export type StartPorts = { [Name in keyof StackPorts]: number } & { api: number };

/**
 * The ports of this start: those of the last one, or the documented ones, and free ones in place of those that are taken.
 * They are kept for the next time.
 */
export async function chooseStartPorts(directory: string, log: (line: string) => void): Promise<StartPorts> {
  const { frontend, ui } = readTemporalConfiguration().ports;
  const kubernetes = { apiserver: 26443, etcd: 22379, etcdPeer: 22380, kwok: 26250 };
  const documented: StartPorts = { api: 8400, postgres: 54329, temporal: frontend, temporalUi: ui, ...kubernetes };
  const file = join(directory, "ports.json");
  const { ports, moved } = await choosePorts({ ...documented, ...readJson<StartPorts>(file) });
  for (const { name, from, to } of moved) log(`Port ${from} (${name}) is taken; using ${to}, also from now on.`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(file, JSON.stringify(ports));
  return ports;
}

/** Writes variables as a file for `source`, readable by its owner only. */
export function writeEnvironmentFile(file: string, variables: Readonly<Record<string, string | undefined>>): void {
  const quote = (value: string): string => `'${value.replaceAll("'", String.raw`'\''`)}'`;
  const lines = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined ? [] : [`export ${name}=${quote(value)}\n`],
  );
  writeFileSync(file, lines.join(""), { mode: 0o600 });
}

function readJson<T>(file: string): Partial<T> {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Partial<T>) : {};
}
