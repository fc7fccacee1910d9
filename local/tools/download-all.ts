import { dirname } from "node:path";
import { elapsed, type Progress } from "../progress.ts";
import type { Tool } from "./catalogue.ts";
import type { ToolName } from "./names.ts";
import { DownloadError, type DownloadLimits, downloadRelease } from "./download.ts";
import { locateTool } from "./locate.ts";
import type { Release } from "./releases.ts";

/**
 * Downloads those tools that have an official release, all hosts at once; a host that does not answer is asked only once.
 * What could not be had is said in a line each.
 * @returns the paths of those that could
 */
export async function downloadTools(
  tools: readonly Tool[],
  options: { directory: string; progress: Progress; mirror?: string | undefined; limits?: DownloadLimits },
): Promise<{ found: [ToolName, string][]; reasons: string[] }> {
  const { progress } = options;
  const found: [ToolName, string][] = [];
  const reasons: string[] = [];
  const without = tools.filter(({ release }) => release === undefined).map(({ name }) => name);
  if (without.length > 0) reasons.push(`${without.join(", ")}: no official download with a known checksum`);
  const hosts = Map.groupBy(
    tools.flatMap((tool) => (tool.release === undefined ? [] : [{ tool, release: tool.release }])),
    ({ release }) => new URL(release.url).host,
  );
  let bytes = 0;

  async function fromHost(files: readonly { tool: Tool; release: Release }[]): Promise<void> {
    for (const [index, { tool, release }] of files.entries()) {
      const begin = Date.now();
      try {
        const path = await downloadRelease(release, {
          ...options,
          name: tool.name,
          onBytes: (count) => (bytes += count),
          // Of the right version, and made for this machine.
          accept: async (program) => (await locateTool(tool, [dirname(program)])).path !== undefined,
        });
        found.push([tool.name, path]);
        progress.log(`✔ ${tool.name} downloaded (${elapsed(begin)})`);
      } catch (error) {
        if (!(error instanceof DownloadError)) throw error;
        if (!error.unreachable) {
          reasons.push(`${tool.name}: ${error.message}`);
          continue;
        }
        const left = files.slice(index).map((file) => file.tool.name);
        reasons.push(`${left.join(", ")}: ${error.message}`);
        return;
      }
    }
  }
  const megabytes = (): string => `${(bytes / 1024 / 1024).toFixed(0)} MB`;
  if (hosts.size > 0) {
    await progress.during(
      "Downloading official releases",
      () => Promise.all([...hosts.values()].map((files) => fromHost(files))),
      megabytes,
    );
  }
  return { found, reasons };
}
