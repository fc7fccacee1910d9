import { execFile } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Supervisor } from "../processes.ts";
import type { Tool } from "./catalogue.ts";

/** The newest `go` directive among the modules that are built. */
const minimalGo = [1, 25] as const;

/**
 * @param task what Go is needed for, as in "Go is needed to …"
 * @param otherwise what would do instead, behind the advice to install Go
 * @throws when there is no Go that could do it; the message says what to do.
 */
export async function requireGo(task: string, otherwise: string): Promise<void> {
  const wish = `Install Go ${minimalGo.join(".")} or newer (https://go.dev/doc/install)${otherwise}.`;
  let output: string;
  try {
    output = (await promisify(execFile)("go", ["version"])).stdout;
  } catch {
    throw new Error(`Go is needed to ${task}, and there is no "go" on PATH. ${wish}`);
  }
  if (!isGoRecentEnough(output)) throw new Error(`Go is too old to ${task} (${output.trim()}). ${wish}`);
}

/** Judges the output of `go version`. Development versions without a number pass. */
export function isGoRecentEnough(output: string): boolean {
  const match = /go(\d+)\.(\d+)/.exec(output.replace("go version", ""));
  if (match === null) return output.includes("devel");
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > minimalGo[0] || (major === minimalGo[0] && minor >= minimalGo[1]);
}

/**
 * Builds a tool from Go modules into `directory`; there is either the whole program under its name, or none.
 * @throws with the end of Go's output.
 */
export async function buildWithGo(supervisor: Supervisor, tool: Tool, directory: string): Promise<string> {
  const workshop = join(directory, `${tool.name}.new`);
  rmSync(workshop, { recursive: true, force: true });
  mkdirSync(workshop, { recursive: true });
  const { build } = tool;
  const result = join(workshop, tool.name);
  const flags = [`-ldflags=${build.flags}`];
  await supervisor.run({
    name: tool.name,
    command: "go",
    ...(build.kind === "install"
      ? { args: ["install", ...flags, build.package], env: { GOBIN: workshop, GOFLAGS: "", GOWORK: "off" } }
      : {
          args: ["build", ...flags, "-o", result, build.package],
          cwd: fileURLToPath(build.directory),
          env: { GOFLAGS: "-mod=readonly", GOWORK: "off" },
        }),
  });
  const path = join(directory, tool.name);
  renameSync(result, path);
  rmSync(workshop, { recursive: true, force: true });
  return path;
}
