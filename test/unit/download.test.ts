import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeTar } from "../../local/image/tar.ts";
import { createProgress } from "../../local/progress.ts";
import { toolCatalogue } from "../../local/tools/catalogue.ts";
import { toolNames } from "../../local/tools/names.ts";
import { downloadTools } from "../../local/tools/download-all.ts";
import { downloadLimits, downloadRelease } from "../../local/tools/download.ts";
import { type Release, releaseOf } from "../../local/tools/releases.ts";
import { readTemporalConfiguration } from "../../local/temporal.ts";
import { ensureTools } from "../../local/tools.ts";
import { choosePort } from "../../local/ports.ts";
import { projectRoot } from "../../local/paths.ts";

let directory: string;
let server: Server | undefined;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "cellwright-download-")), "bin");
});
afterEach(async () => {
  rmSync(join(directory, ".."), { recursive: true, force: true });
  const closing = server;
  server = undefined;
  closing?.closeAllConnections();
  await new Promise((resolve) => (closing === undefined ? resolve(undefined) : closing.close(resolve)));
});

/** A server on loopback; answers with the mirror's URL. */
async function serve(listener: RequestListener): Promise<string> {
  const listening = createServer(listener);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
const program = Buffer.from("#!/bin/sh\necho 'etcd Version: 3.6.4'\n");
const url = "https://downloads.test/v1/etcd";
const plain: Release = { url, sha256: sha256(program) };
/** For servers that keep one waiting on purpose. The others have all the time that a busy machine may need. */
const impatient = { ...downloadLimits, answerWithin: 400, idle: 400, within: 1_500 };
const WAITING = /0.4 s|longer than/;
const left = (): string[] => (existsSync(directory) ? readdirSync(directory) : []);
const etcd = toolCatalogue().etcd;

describe("a download", () => {
  test("is put under its name, executable, and asked for at the mirror", async () => {
    const asked: (string | undefined)[] = [];
    const mirror = await serve((request, response) => {
      asked.push(request.url);
      response.end(program);
    });
    const path = await downloadRelease(plain, { name: "etcd", directory, mirror });
    expect(asked).toEqual(["/downloads.test/v1/etcd"]);
    expect(path).toBe(join(directory, "etcd"));
    expect(readFileSync(path)).toEqual(program);
    expect(left()).toEqual(["etcd"]);
  });

  test.each([1, 511, 70_000])("is taken out of an archive that comes in pieces of %i bytes", async (size) => {
    const other = Buffer.alloc(size > 511 ? 200_000 : 700, "x");
    const archive = gzipSync(
      writeTar([
        { name: "etcd-v1/", content: Buffer.alloc(0), mode: 0o755 },
        { name: "etcd-v1/README", content: other },
        { name: "etcd-v1/etcd", content: program, mode: 0o755 },
        { name: "etcd-v1/etcdctl", content: other },
      ]),
      { level: 0 },
    );
    const mirror = await serve((_, response) => {
      for (let at = 0; at < archive.length; at += size) response.write(archive.subarray(at, at + size));
      response.end();
    });
    const release = { url, sha256: sha256(archive), member: "etcd-v1/etcd" };
    const path = await downloadRelease(release, { name: "etcd", directory, mirror });
    expect(readFileSync(path)).toEqual(program);
    expect(left()).toEqual(["etcd"]);
  });

  test("follows a redirect", async () => {
    const mirror = await serve((request, response) => {
      if (request.url === "/elsewhere") response.end(program);
      else response.writeHead(302, { location: "/elsewhere" }).end();
    });
    expect(readFileSync(await downloadRelease(plain, { name: "etcd", directory, mirror }))).toEqual(program);
  });

  const archive = gzipSync(writeTar([{ name: "other", content: program }]));
  test.each<[string, Release, RequestListener, RegExp]>([
    ["of another checksum", plain, (_, response) => void response.end("x"), /SHA-256 .* not .* thrown away/],
    ["that is not there", plain, (_, response) => void response.writeHead(404).end(), /answered 404/],
    [
      "that is cut",
      plain,
      (_, response) => {
        response.writeHead(200, { "content-length": String(program.length) });
        response.write(program.subarray(0, 10), () => response.destroy());
      },
      /could not be read to its end/,
    ],
    ["that never begins", plain, () => {}, /did not answer within 0.4 s/],
    ["that stops", plain, (_, response) => void response.write(program.subarray(0, 10)), /stopped sending for 0.4 s/],
    [
      "that is too slow",
      plain,
      (_, response) => void setInterval(() => response.write("x"), 100).unref(),
      /took longer than 1.5 s/,
    ],
    ["that is too large", plain, (_, response) => void response.end(Buffer.alloc(2_000)), /is larger than 1000 bytes/],
    [
      "without the program in it",
      { url, sha256: sha256(archive), member: "etcd" },
      (_, response) => void response.end(archive),
      /could not be unpacked: The archive holds no etcd/,
    ],
  ])("%s is refused, and nothing of it is left", { timeout: 15_000 }, async (_, release, listener, message) => {
    const mirror = await serve(listener);
    const limits = { ...(WAITING.test(message.source) ? impatient : downloadLimits), size: 1_000 };
    const download = downloadRelease(release, { name: "etcd", directory, mirror, limits });
    await expect(download).rejects.toThrow(message);
    expect(left()).toEqual([]);
  });

  test("that was left by a process that is gone is taken away", async () => {
    const gone = spawn("true");
    await new Promise((resolve) => gone.once("exit", resolve));
    mkdirSync(join(directory, `.download-${gone.pid}-abcd`), { recursive: true });
    mkdirSync(join(directory, `.download-${process.ppid}-abcd`));
    const mirror = await serve((_, response) => void response.end(program));
    await downloadRelease(plain, { name: "etcd", directory, mirror });
    expect(left().toSorted()).toEqual([`.download-${process.ppid}-abcd`, "etcd"]);
  });

  test("by two processes at once leaves one whole program", async () => {
    const large = Buffer.concat([program, Buffer.alloc(3_000_000, "#")]);
    const mirror = await serve((_, response) => void response.end(large));
    const script = `
      import { downloadRelease } from ${JSON.stringify(join(projectRoot, "local/tools/download.ts"))};
      await downloadRelease(JSON.parse(process.argv[1]), { name: "etcd", directory: process.argv[2], mirror: process.argv[3] });`;
    const release = JSON.stringify({ url, sha256: sha256(large) });
    const codes = await Promise.all(
      [1, 2].map(async () => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script, release, directory, mirror], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        return await new Promise((resolve) => child.once("exit", resolve));
      }),
    );
    expect(codes).toEqual([0, 0]);
    expect(left()).toEqual(["etcd"]);
    expect(readFileSync(join(directory, "etcd"))).toEqual(large);
  });
});

describe("downloads of several tools", () => {
  const lines: string[] = [];
  const progress = createProgress({ write: (text) => lines.push(text) });
  beforeEach(() => void lines.splice(0));

  test("take what is right and say why the others are not", async () => {
    const mirror = await serve((request, response) => {
      if (request.url?.endsWith("/etcd") === true) response.end(program);
      else response.writeHead(404).end();
    });
    const tools = [
      { ...etcd, release: plain },
      { ...toolCatalogue().kubelet, release: { url: "https://other.test/kubelet", sha256: plain.sha256 } },
      { ...toolCatalogue().kwok, release: undefined },
    ];
    const { found, reasons } = await downloadTools(tools, { directory, progress, mirror });
    expect(found).toEqual([["etcd", join(directory, "etcd")]]);
    expect(reasons).toEqual([
      "kwok: no official download with a known checksum",
      expect.stringMatching(/^kubelet: .*other.test\/kubelet answered 404$/),
    ]);
  });

  test("refuse a program that is another version or does not run", async () => {
    const wrong = Buffer.from("#!/bin/sh\necho 'etcd Version: 3.5.0'\n");
    const mirror = await serve((_, response) => void response.end(wrong));
    const tools = [{ ...etcd, release: { url, sha256: sha256(wrong) } }];
    const { found, reasons } = await downloadTools(tools, { directory, progress, mirror });
    expect(found).toEqual([]);
    expect(reasons).toEqual([expect.stringContaining("does not run on this machine")]);
    expect(left()).toEqual([]);
  });

  test.each(["closed", "silent"])("ask a host only once whose door is %s", async (door) => {
    let asked = 0;
    const mirror = door === "closed" ? `http://127.0.0.1:${await choosePort()}` : await serve(() => void asked++);
    const tools = (["etcd", "kubelet", "kubectl"] as const).map((name) => ({
      ...toolCatalogue()[name],
      release: plain,
    }));
    const { found, reasons } = await downloadTools(tools, { directory, progress, mirror, limits: impatient });
    expect(found).toEqual([]);
    expect(reasons).toEqual([
      expect.stringMatching(/^etcd, kubelet, kubectl: 127.0.0.1:\d+ (cannot be|did not answer)/),
    ]);
    expect(asked).toBeLessThan(2);
  });
});

describe("ensureTools", () => {
  const progress = createProgress({ write: () => {} });
  beforeEach(() => {
    for (const name of ["CELLWRIGHT_TOOLS_DIR", "PATH"]) vi.stubEnv(name, "");
  });
  afterEach(() => void vi.unstubAllEnvs());
  const ensure = () => ensureTools({ directory: join(directory, ".."), progress, names: ["etcd", "kwok"] });

  test("with downloads only says what could not be had and what to do", async () => {
    const mirror = await serve((_, response) => void response.end("not etcd"));
    vi.stubEnv("CELLWRIGHT_TOOLS", "download");
    vi.stubEnv("CELLWRIGHT_TOOLS_MIRROR", `${mirror}/`);
    await expect(ensure()).rejects.toThrow(
      /kwok: no official download.*\n.*etcd: .*SHA-256.*\n.*CELLWRIGHT_TOOLS=auto/,
    );
    expect(left()).toEqual([]);
  });

  test("goes on to build what could not be downloaded, and asks nobody when it shall only build", async () => {
    let asked = 0;
    const mirror = await serve((_, response) => {
      asked++;
      response.end("not etcd");
    });
    vi.stubEnv("CELLWRIGHT_TOOLS_MIRROR", mirror);
    // There is no Go on this PATH: that it is missed shows that building was next.
    await expect(ensure()).rejects.toThrow(/Go is needed to build missing tools.*etcd, kwok/);
    expect(asked).toBe(1);
    vi.stubEnv("CELLWRIGHT_TOOLS", "build");
    await expect(ensure()).rejects.toThrow(/Go is needed/);
    expect(asked).toBe(1);
  });

  test("refuses a word that it does not know", async () => {
    vi.stubEnv("CELLWRIGHT_TOOLS", "guess");
    await expect(ensure()).rejects.toThrow('CELLWRIGHT_TOOLS is "guess"; it must be one of auto, download, build.');
  });
});

describe("the official releases", () => {
  const known = toolNames.filter((name) => name !== "kwok");

  test.each(["linux-x64", "linux-arm64"])("have every tool but kwok for %s", (platform) => {
    const versions = { temporal: "1.5.1", etcd: "3.6.4" } as Record<string, string>;
    const all = toolNames.map((name) => releaseOf(name, versions[name] ?? "1.34.4", platform));
    expect(all.filter((release) => release !== undefined)).toHaveLength(known.length);
    for (const release of all) expect(release?.sha256 ?? "0".repeat(64)).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(all.map((release) => release?.sha256)).size).toBe(toolNames.length);
  });

  test("are of the versions that are pinned", () => {
    // Kept together: who raises a version looks up its checksums, or the tool is built.
    const versions = { temporal: readTemporalConfiguration().cli, kubectl: "1.34.4" } as Record<string, string>;
    const missing = Object.values(toolCatalogue()).filter(
      ({ name, version }) => releaseOf(name, versions[name] ?? version ?? "", "linux-x64") === undefined,
    );
    expect(missing.map(({ name }) => name)).toEqual(["kwok"]);
    expect(releaseOf("etcd", "3.6.5", "linux-x64")).toBeUndefined();
    expect(releaseOf("etcd", "3.6.4", "plan9-mips")).toBeUndefined();
  });
});
