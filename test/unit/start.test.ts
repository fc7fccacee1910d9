import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { audience, ensureIdentity, issuer } from "../../local/identity.ts";
import { chooseStartPorts, localParts, readExternal } from "../../local/settings.ts";
import { writeEnvironmentFile, writeStartRecord } from "../../local/settings.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cellwright-start-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("servers named by the environment", () => {
  test("replace the local parts", () => {
    const external = readExternal(directory, { DATABASE_URL: "postgres://theirs/db", KUBECONFIG: "" });
    expect(external).toEqual({
      databaseUrl: "postgres://theirs/db",
      temporalAddress: undefined,
      kubeconfig: undefined,
    });
    expect(localParts(external)).toEqual(["temporal", "kubernetes"]);
  });

  test("are not those that the last start wrote into its env file", () => {
    const own = { databaseUrl: "postgres://own/db", temporalAddress: "127.0.0.1:7233", kubeconfig: "/own/kubeconfig" };
    writeStartRecord(directory, { pid: 1, url: "http://127.0.0.1:8400", ...own });
    const sourced = { DATABASE_URL: own.databaseUrl, TEMPORAL_ADDRESS: own.temporalAddress, KUBECONFIG: "/theirs" };
    expect(localParts(readExternal(directory, sourced))).toEqual(["postgres", "temporal"]);
  });
});

test("a port that is taken is replaced, and the new one is kept", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const file = join(directory, "ports.json");
  writeFileSync(file, JSON.stringify({ api: port }));
  const lines: string[] = [];
  const ports = await chooseStartPorts(directory, (line) => lines.push(line));
  server.close();
  expect(ports.api).not.toBe(port);
  expect(lines).toContain(`Port ${port} (api) is taken; using ${ports.api}, also from now on.`);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(ports);
});

test("the env file can be sourced, whatever the values hold, and only its owner reads it", () => {
  const file = join(directory, "env");
  const value = `a'b "c" $HOME \\ d`;
  writeEnvironmentFile(file, { ODD: value, MISSING: undefined });
  const script = '. "$1"; printf "%s|%s" "$ODD" "${MISSING-unset}"';
  expect(execFileSync("/bin/sh", ["-c", script, "sh", file], { encoding: "utf8" })).toBe(`${value}|unset`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("the local identity issues tokens that its public keys verify, also after a restart", async () => {
  const path = join(directory, "identity");
  const first = await ensureIdentity(path);
  const token = await first.issueToken("someone", ["viewer"]);
  const second = await ensureIdentity(path);
  expect(second.encryptionKey).toBe(first.encryptionKey);
  expect(Buffer.from(second.encryptionKey, "base64")).toHaveLength(32);
  const keys = JSON.parse(readFileSync(second.jwksFile, "utf8")) as JSONWebKeySet;
  expect(keys.keys[0]).not.toHaveProperty("d");
  const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { issuer, audience });
  expect(payload).toMatchObject({ sub: "someone", roles: ["viewer"] });
  expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(30 * 24 * 3600);
});
