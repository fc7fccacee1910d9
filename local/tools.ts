import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createSupervisor } from "./processes.ts";
import type { Progress } from "./progress.ts";
import { stackTools, toolCatalogue, type ToolName } from "./tools/catalogue.ts";
import { buildWithGo, requireGo } from "./tools/go-build.ts";
import { locateTool, pathDirectories } from "./tools/locate.ts";

/** The path of each tool that every local stack needs. */
export type Tools = Record<(typeof stackTools)[number], string>;

/**
 * Finds or installs tools, by default those of every local stack. A tool of the right version is taken from, in this order: `<directory>/bin`, the
 * directory that CELLWRIGHT_TOOLS_DIR names, PATH; what is missing is built from Go modules into `<directory>/bin`.
 * @throws when a tool is missing and cannot be built.
 */
export async function ensureTools<Name extends ToolName = keyof Tools>(options: {
  directory: string;
  progress: Progress;
  names?: readonly Name[];
}): Promise<Record<Name, string>> {
  const { progress } = options;
  const own = join(options.directory, "bin");
  const named = process.env["CELLWRIGHT_TOOLS_DIR"];
  const directories = [own, ...(named === undefined || named === "" ? [] : [named]), ...pathDirectories()];
  const catalogue = toolCatalogue();
  const located = await Promise.all(
    (options.names ?? stackTools).map(async (name) => ({ name, ...(await locateTool(catalogue[name], directories)) })),
  );
  const found = new Map<ToolName, string>(
    located.flatMap(({ name, path }) => (path === undefined ? [] : [[name, path] as const])),
  );
  const missing = located.filter(({ path }) => path === undefined);
  if (missing.length > 0) {
    for (const { name, passedOver } of missing) {
      for (const { path, version } of passedOver) {
        progress.log(`${path} is version ${version}; ${catalogue[name].version} is needed.`);
      }
    }
    const names = missing.map(({ name }) => name);
    await requireGo("build missing tools", `, or put these tools on PATH: ${names.join(", ")}`);
    progress.log(`Building ${names.length} tools from Go modules, once: ${names.join(", ")}.`);
    for (const [name, path] of await build(names)) found.set(name, path);
  }
  return Object.fromEntries(found) as Record<Name, string>;

  async function build(names: readonly ToolName[]): Promise<[ToolName, string][]> {
    mkdirSync(own, { recursive: true });
    // Under a guard, so that an interrupted set-up leaves no compiler behind; and only one builds at a time.
    const supervisor = await createSupervisor({ directory: join(options.directory, "tools") });
    try {
      const built: [ToolName, string][] = [];
      for (const [index, name] of names.entries()) {
        const label = `Building ${name} (${index + 1} of ${names.length})`;
        built.push([name, await progress.during(label, () => buildWithGo(supervisor, catalogue[name], own))]);
      }
      return built;
    } finally {
      await supervisor.close();
    }
  }
}
