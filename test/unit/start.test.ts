import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { audience, ensureIdentity, issuer } from "../../local/identity.ts";
import { chooseStartPorts, localParts, readExternal } from "../../local/settings.ts";
import { writeEnvironmentFile, writeStartRecord } from "../../local/settings.ts";
import { welcome } from "../../local/welcome.ts";
import { ensureWorkflowBundle } from "../../local/workflow-bundle.ts";

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

test("workflow code is built once for the same sources, and again when one of them changes", async () => {
  const root = join(directory, "project");
  for (const folder of ["workflows", "domain/pipeline"]) mkdirSync(join(root, folder), { recursive: true });
  const sources = ["workflows/order.ts", "domain/pipeline/task.ts", "package-lock.json"];
  for (const source of sources) writeFileSync(join(root, source), "one");
  const cache = join(directory, "bundles");
  let builds = 0;
  const ensure = () =>
    ensureWorkflowBundle({
      directory: cache,
      root,
      build: async (file) => writeFileSync(file, `build ${++builds}`),
    });
  const first = await ensure();
  expect(await ensure()).toBe(first);
  for (const [index, source] of sources.entries()) {
    writeFileSync(join(root, source), "two");
    const next = await ensure();
    expect(readFileSync(next, "utf8")).toBe(`build ${index + 2}`);
    expect(readdirSync(cache)).toEqual([basename(next)]);
  }
  const failing = ensureWorkflowBundle({
    directory: join(directory, "none"),
    root,
    build: () => Promise.reject(new Error("no disk")),
  });
  await expect(failing).rejects.toThrow("no disk");
});

test("who brings a cluster is told how to register it", () => {
  const shown = { url: "http://127.0.0.1:8400", temporalUi: undefined, namespace: "default" };
  const command = "/api/v1/clusters/my-cluster";
  expect(welcome({ ...shown, example: false, ownCluster: true })).toContain(command);
  expect(welcome({ ...shown, example: true, ownCluster: true })).not.toContain(command);
  expect(welcome({ ...shown, example: false, ownCluster: false })).not.toContain(command);
});
