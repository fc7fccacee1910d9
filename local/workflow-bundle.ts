import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { projectRoot } from "./paths.ts";

/** All that the built code depends on: what workflows are made of, and the versions of the SDK and its bundler. */
const SOURCES = ["workflows", "domain", "package-lock.json"];

/**
 * The file with the workflow code of just these sources, built only when it is not there; those of other sources are
 * removed. @throws whatever `build` throws
 */
export async function ensureWorkflowBundle(options: {
  directory: string;
  build: (file: string) => Promise<void>;
  /** Where the sources are; the project unless told. */
  root?: string;
}): Promise<string> {
  const { directory, build, root = projectRoot } = options;
  const name = `${contentHash(root)}.js`;
  const file = join(directory, name);
  if (existsSync(file)) return file;
  mkdirSync(directory, { recursive: true });
  await build(file);
  for (const other of readdirSync(directory)) if (other !== name) rmSync(join(directory, other), { force: true });
  return file;
}

function contentHash(root: string): string {
  const hash = createHash("sha256");
  for (const file of SOURCES.flatMap((source) => filesBelow(join(root, source)))) {
    const content = readFileSync(file);
    // With name and length before each content, no two trees give the same bytes.
    hash.update(`${relative(root, file)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 32);
}

/** In one order everywhere. A file is the only one below itself. */
function filesBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .toSorted()
    .flatMap((name) => filesBelow(join(path, name)));
}
