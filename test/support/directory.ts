import { rmSync } from "node:fs";
import { join } from "node:path";
import { localDirectory } from "../../local/paths.ts";

/** Where a run of the tests keeps what it makes. Two runs in one checkout at the same time need one each. */
export const testDirectory = process.env["CELLWRIGHT_TEST_DIRECTORY"] ?? join(localDirectory, "test");

/** A directory below it, empty at first. */
export function emptyDirectory(...names: string[]): string {
  const directory = join(testDirectory, ...names);
  rmSync(directory, { recursive: true, force: true });
  return directory;
}
