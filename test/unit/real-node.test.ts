import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { behaviourOf } from "../../local/image/shop.ts";
import { writeDockerArchive } from "../../local/image/docker-archive.ts";
import { writeTar } from "../../local/image/tar.ts";
import { missingCapabilities } from "../../local/real-node/machine.ts";
import { nodePaths } from "../../local/real-node/paths.ts";
import { readStartOptions } from "../../local/start-options.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cellwright-node-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const untar = (archive: Buffer, ...args: string[]): string => {
  writeFileSync(join(directory, "archive.tar"), archive);
  return execFileSync("tar", ["-f", join(directory, "archive.tar"), "-C", directory, ...args], { encoding: "utf8" });
};

describe("an archive", () => {
  test("is read by tar, with contents and permissions", () => {
    const archive = writeTar([
      { name: "program", content: Buffer.alloc(1_000, "a"), mode: 0o755 },
      { name: "tmp/", content: Buffer.alloc(0), mode: 0o1777 },
      { name: "empty", content: Buffer.alloc(0) },
    ]);
    expect(archive.length % 512).toBe(0);
    const listed = untar(archive, "-tv").split("\n");
    expect(listed.map((line) => line.slice(0, 10))).toEqual(["-rwxr-xr-x", "drwxrwxrwt", "-rw-r--r--", ""]);
    untar(archive, "-x");
    expect(readFileSync(join(directory, "program"), "utf8")).toBe("a".repeat(1_000));
  });

  test("refuses names that its format has no room for", () => {
    expect(() => writeTar([{ name: "a".repeat(101), content: Buffer.alloc(0) }])).toThrow(/too long/);
  });
});

describe("images", () => {
  const image = (tag: string, SHOP_VERSION: string) => ({
    references: [`docker.io/shop/web:${tag}`],
    args: [],
    environment: { SHOP_VERSION },
  });
  const archiveOf = (...images: ReturnType<typeof image>[]) =>
    writeDockerArchive({ program: Buffer.from("program"), architecture: "amd64", images });

  test("name their configurations and layer by their content", () => {
    untar(archiveOf(image("1", "one"), image("2", "two"), image("2-again", "two")), "-x");
    const manifest = JSON.parse(readFileSync(join(directory, "manifest.json"), "utf8")) as {
      Config: string;
      Layers: string[];
    }[];
    expect(new Set(manifest.map(({ Config }) => Config)).size).toBe(2);
    const digestOf = (file: string) =>
      createHash("sha256")
        .update(readFileSync(join(directory, file)))
        .digest("hex");
    for (const { Config, Layers } of manifest) {
      expect(`${digestOf(Config)}.json`).toBe(Config);
      const { rootfs } = JSON.parse(readFileSync(join(directory, Config), "utf8")) as {
        rootfs: { diff_ids: string[] };
      };
      expect(rootfs.diff_ids).toEqual(Layers.map((layer) => `sha256:${digestOf(layer)}`));
    }
  });

  test("are the same bytes every time", () => {
    expect(archiveOf(image("1", "one"))).toEqual(archiveOf(image("1", "one")));
  });

  test.each([
    ["1.1.0", {}],
    ["bad-1", { SHOP_CRASH: "1" }],
    ["bad-unready-2", { SHOP_NEVER_READY: "1" }],
    ["slow-2", { SHOP_START_SECONDS: "5" }],
    ["stubborn-1", { SHOP_STOP_SECONDS: "60" }],
    ["errors-2", { SHOP_ERROR_RATE: "0.5" }],
  ])("of tag %s behave as it says", (tag, behaviour) => {
    expect(behaviourOf(tag)).toEqual({ SHOP_VERSION: tag, ...behaviour });
  });
});

test("a process without the needed capabilities is recognised by its status", () => {
  expect(missingCapabilities("Name:\tnode\nCapEff:\t000001fffeffffff\n")).toEqual([]);
  // Docker's default.
  expect(missingCapabilities("CapEff:\t00000000a80425fb\n")).toEqual(["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
  expect(missingCapabilities("")).toHaveLength(4);
});

test("nodes of different directories or numbers share nothing, and their names fit", () => {
  const all = ["/a", "/b"].flatMap((where) => [1, 2].map((number) => nodePaths(where, number)));
  for (const field of ["directory", "state", "socket", "bridge", "network"] as const) {
    expect(new Set(all.map((paths) => paths[field])).size).toBe(4);
  }
  for (const { bridge, socket } of all) {
    expect(bridge.length).toBeLessThan(16);
    expect(socket.length).toBeLessThan(100);
  }
  expect(nodePaths("/a", 1)).toEqual(nodePaths("/a", 1));
});

describe("options of npm start", () => {
  test.each([
    [[], { example: undefined, realCells: [] }],
    [["--no-example"], { example: false, realCells: [] }],
    [["--example", "--real-node"], { example: true, realCells: ["cell-a", "cell-b"] }],
    [["--real-node=1"], { example: undefined, realCells: ["cell-a"] }],
    [["--help"], undefined],
  ])("%j", (args, options) => {
    expect(readStartOptions(args)).toEqual(options);
  });

  test.each(["--real-nodes", "--real-node=3", "example"])("%s is refused, with the usage", (arg) => {
    expect(() => readStartOptions([arg])).toThrow(new RegExp(`Unknown option ${arg}\nUsage: npm start`));
  });
});
