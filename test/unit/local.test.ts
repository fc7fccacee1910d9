import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { choosePort, choosePorts, isPortFree } from "../../local/ports.ts";
import { createProgress, elapsed } from "../../local/progress.ts";
import { countResults } from "../../local/test-results.ts";
import { toolCatalogue } from "../../local/tools/catalogue.ts";
import { isGoRecentEnough } from "../../local/tools/go-build.ts";
import { locateTool, pathDirectories } from "../../local/tools/locate.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cellwright-unit-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A program that answers any arguments with this text. */
function program(folder: string, name: string, answer: string): string {
  const path = join(directory, folder);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, name), `#!/bin/sh\ncat <<'TEXT'\n${answer}\nTEXT\n`);
  chmodSync(join(path, name), 0o755);
  return path;
}

describe("locateTool", () => {
  const catalogue = toolCatalogue();

  test.each([
    ["etcd", "etcd Version: 3.6.4\nGit SHA: abc\nGo Version: go1.26.8"],
    ["temporal", "temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)"],
    ["temporal", "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"],
    ["kube-apiserver", "Kubernetes v1.34.4"],
    ["kwok", "kwok version v0.7.0 go1.26.8 (linux/amd64)"],
    ["kubectl", "Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0"],
  ] as const)("accepts %s that says %j", async (name, answer) => {
    const folder = program("bin", name, answer);
    expect(await locateTool(catalogue[name], [folder])).toEqual({ path: join(folder, name), passedOver: [] });
  });

  test("passes over another version and takes the next directory's", async () => {
    const old = program("old", "etcd", "etcd Version: 3.4.23");
    const right = program("right", "etcd", "etcd Version: 3.6.4");
    expect(await locateTool(catalogue.etcd, [join(directory, "none"), old, right])).toEqual({
      path: join(right, "etcd"),
      passedOver: [{ path: join(old, "etcd"), version: "3.4.23" }],
    });
  });

  test("does not take a longer version for the wanted one", async () => {
    const folder = program("bin", "kube-apiserver", "Kubernetes v1.34.40");
    expect((await locateTool(catalogue["kube-apiserver"], [folder])).path).toBeUndefined();
  });

  test("passes over a program that fails or is not executable", async () => {
    const folder = program("bin", "kwok", "kwok version v0.7.0");
    chmodSync(join(folder, "kwok"), 0o644);
    expect(await locateTool(catalogue.kwok, [folder])).toEqual({ path: undefined, passedOver: [] });
    expect(await locateTool(catalogue.etcd, [program("bin", "etcd", "no version")])).toEqual({
      path: undefined,
      passedOver: [],
    });
  });

  test("reads PATH without its empty entries", () => {
    expect(pathDirectories("/usr/bin::/opt/bin")).toEqual(["/usr/bin", "/opt/bin"]);
  });
});

test.each([
  ["go version go1.26.8 linux/amd64", true],
  ["go version go1.25.0 darwin/arm64", true],
  ["go version go1.24.9 linux/amd64", false],
  ["go version go2.0 linux/amd64", true],
  ["go version devel +abc linux/amd64", true],
  ["nonsense", false],
])("isGoRecentEnough(%j) is %s", (output, expected) => {
  expect(isGoRecentEnough(output)).toBe(expected);
});

describe("ports", () => {
  test("takes the preferred port, and says so when it had to take another", async () => {
    const server = createServer();
    const busy = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
    const free = await choosePort();
    expect(await isPortFree(busy)).toBe(false);
    const { ports, moved } = await choosePorts({ taken: busy, any: undefined });
    expect(ports.taken).not.toBe(busy);
    expect(moved).toEqual([{ name: "taken", from: busy, to: ports.taken }]);
    expect(new Set([free, ports.taken, ports.any]).size).toBe(3);
    server.close();
  });

  test("never gives one port twice", async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, () => choosePort()));
    expect(new Set(ports).size).toBe(50);
  });
});

describe("progress", () => {
  test("shows one line at the end where there is no terminal", async () => {
    const lines: string[] = [];
    const progress = createProgress({ write: (text: string) => lines.push(text) });
    await progress.during("Building", async () => {});
    await expect(progress.during("Failing", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(lines.map((line) => line.replace(/[\d.]+ s/, "0 s"))).toEqual(["✔ Building · 0 s\n", "✘ Failing · 0 s\n"]);
  });

  test.each([
    [0, "0.0 s"],
    [59_940, "59.9 s"],
    [60_000, "1 min 00 s"],
    [605_000, "10 min 05 s"],
  ])("writes %d ms as %s", (milliseconds, text) => {
    expect(elapsed(0, milliseconds)).toBe(text);
  });
});

describe("countResults", () => {
  const loaded = { status: "passed", assertionResults: [{}] };

  test("counts tests", () => {
    const results = { numPassedTests: 3, numFailedTests: 1, testResults: [{ ...loaded, status: "failed" }] };
    expect(countResults(results, 1)).toEqual({ passed: 3, failed: 1 });
  });

  test("counts a file that could not be loaded, and a failure outside of all tests", () => {
    const unloaded = { status: "failed", assertionResults: [] };
    expect(countResults({ numPassedTests: 2, numFailedTests: 0, testResults: [loaded, unloaded] }, 1)).toEqual({
      passed: 2,
      failed: 1,
    });
    expect(countResults({ numPassedTests: 2, numFailedTests: 0, testResults: [loaded] }, 1)).toEqual({
      passed: 2,
      failed: 1,
    });
    expect(countResults(undefined, 0)).toEqual({ passed: 0, failed: 1 });
  });
});
