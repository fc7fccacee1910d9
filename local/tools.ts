import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createSupervisor } from "./processes.ts";
import type { Progress } from "./progress.ts";
import { stackTools, toolCatalogue } from "./tools/catalogue.ts";
import type { ToolName } from "./tools/names.ts";
import { downloadTools } from "./tools/download-all.ts";
import { buildWithGo, requireGo } from "./tools/go-build.ts";
import { locateTool, pathDirectories } from "./tools/locate.ts";

/** The path of each tool that every local stack needs. */
export type Tools = Record<(typeof stackTools)[number], string>;

/** How missing tools are had: by official downloads and, for what cannot be downloaded, by building; or only by one of them. */
const sources = ["auto", "download", "build"] as const;
type Source = (typeof sources)[number];

/**
 * Finds or installs tools, by default those of every local stack. A tool of the right version is taken from, in this order:
 * `<directory>/bin`, the directory that CELLWRIGHT_TOOLS_DIR names, PATH. What is missing goes into `<directory>/bin`: the
 * official release, or else what Go builds from the published modules. CELLWRIGHT_TOOLS=download or =build allows only one
 * of the two; CELLWRIGHT_TOOLS_MIRROR is a URL in place of `https://` in all downloads.
 * @throws when a tool is missing and cannot be had.
 */
export async function ensureTools<Name extends ToolName = keyof Tools>(options: {
  directory: string;
  progress: Progress;
  names?: readonly Name[];
}): Promise<Record<Name, string>> {
  const { progress } = options;
  const own = join(options.directory, "bin");
  const source = readSource(process.env["CELLWRIGHT_TOOLS"]);
  const named = process.env["CELLWRIGHT_TOOLS_DIR"];
  const directories = [own, ...(named === undefined || named === "" ? [] : [named]), ...pathDirectories()];
  const catalogue = toolCatalogue();
  const located = await Promise.all(
    (options.names ?? stackTools).map(async (name) => ({ name, ...(await locateTool(catalogue[name], directories)) })),
  );
  const found = new Map<ToolName, string>(
    located.flatMap(({ name, path }) => (path === undefined ? [] : [[name, path] as const])),
  );
  const missing = (): ToolName[] => located.map(({ name }) => name).filter((name) => !found.has(name));
  for (const { name, passedOver } of located) {
    if (found.has(name)) continue;
    for (const { path, version } of passedOver) {
      progress.log(`${path} is version ${version}; ${catalogue[name].version} is needed.`);
    }
  }
  if (missing().length > 0 && source !== "build") await download();
  if (missing().length > 0) await build();
  return Object.fromEntries(found) as Record<Name, string>;

  async function download(): Promise<void> {
    const mirror = process.env["CELLWRIGHT_TOOLS_MIRROR"]?.replace(/\/+$/, "") || undefined;
    const tools = missing().map((name) => catalogue[name]);
    const { found: downloaded, reasons } = await downloadTools(tools, { directory: own, progress, mirror });
    for (const [name, path] of downloaded) found.set(name, path);
    if (reasons.length === 0) return;
    if (source === "download") {
      throw new Error(
        `Not all tools could be downloaded:\n${reasons.map((reason) => `  ${reason}`).join("\n")}\n` +
          "Put them on PATH, or let them be built: CELLWRIGHT_TOOLS=auto.",
      );
    }
    for (const reason of reasons) progress.log(`Not downloaded: ${reason}.`);
  }

  async function build(): Promise<void> {
    const names = missing();
    await requireGo("build missing tools", `, or put these tools on PATH: ${names.join(", ")}`);
    progress.log(`Building ${names.length} tools from Go modules, once: ${names.join(", ")}.`);
    mkdirSync(own, { recursive: true });
    // Under a guard, so that an interrupted set-up leaves no compiler behind; and only one builds at a time.
    const supervisor = await createSupervisor({ directory: join(options.directory, "tools") });
    try {
      for (const [index, name] of names.entries()) {
        const label = `Building ${name} (${index + 1} of ${names.length})`;
        found.set(name, await progress.during(label, () => buildWithGo(supervisor, catalogue[name], own)));
      }
    } finally {
      await supervisor.close();
    }
  }
}

/** @throws when it is none of the sources */
function readSource(text: string | undefined): Source {
  const given = text === undefined || text === "" ? "auto" : text;
  const source = sources.find((each) => each === given);
  if (source === undefined) throw new Error(`CELLWRIGHT_TOOLS is "${given}"; it must be one of ${sources.join(", ")}.`);
  return source;
}
