import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import type { Tool } from "./catalogue.ts";

/** The version that a program reports; undefined if it cannot be run or says something else. */
async function reportedVersion(tool: Tool, path: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(path, tool.versionArgs, { timeout: 30_000 });
    return tool.versionPattern.exec(`${stdout}\n${stderr}`)?.[1];
  } catch {
    return undefined;
  }
}

/** Where a tool of the right version is, and what was passed over because its version is another. */
export interface Location {
  path: string | undefined;
  passedOver: { path: string; version: string }[];
}

/** Looks for a tool in the directories, in their order. */
export async function locateTool(tool: Tool, directories: readonly string[]): Promise<Location> {
  const passedOver: Location["passedOver"] = [];
  for (const directory of directories) {
    const path = join(directory, tool.name);
    if (!isExecutable(path)) continue;
    const version = await reportedVersion(tool, path);
    if (version === undefined) continue;
    if (tool.version === undefined || tool.version === version) return { path, passedOver };
    passedOver.push({ path, version });
  }
  return { path: undefined, passedOver };
}

/** The directories of PATH. */
export function pathDirectories(path: string | undefined = process.env["PATH"]): string[] {
  return (path ?? "").split(delimiter).filter((directory) => directory !== "");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
