/** `npm test`: every check and every test, with the time each takes; the last line counts them. Arguments go to vitest. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { onStopRequest } from "./lifetime.ts";
import { localDirectory, projectRoot } from "./paths.ts";
import { processIdentity } from "./process-identity.ts";
import { createRegistry, type Registry } from "./process-registry.ts";
import { createProgress } from "./progress.ts";
import { countResults, type VitestResults } from "./test-results.ts";
import { ensureTools } from "./tools.ts";

/** Scripts of package.json, each of which counts as one test. */
const checks = ["format:check", "lint", "types", "unused"];

const progress = createProgress();
const directory = process.env["CELLWRIGHT_TEST_DIRECTORY"] ?? join(localDirectory, "test");
const resultsFile = join(directory, "results.json");
let stopping = false;
let running: Registry | undefined;
let stopCurrent = (): void => {};

mkdirSync(directory, { recursive: true });
running = await createRegistry(join(directory, "runner")).catch((error: unknown) => {
  console.error(`Another test run is under way: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
onStopRequest((reason) => {
  stopping = true;
  progress.log(`Stopping (${reason}).`);
  stopCurrent();
});

const begin = Date.now();
const counts = { passed: 0, failed: 0 };
for (const check of checks) {
  if (stopping) break;
  counts[(await runCheck(check)) ? "passed" : "failed"]++;
}
if (!stopping) {
  const tests = await runTests();
  counts.passed += tests.passed;
  counts.failed += tests.failed;
}
if (stopping) counts.failed++;
await running.close();
progress.log(
  `Finished after ${Math.round((Date.now() - begin) / 1000)} s${stopping ? ", stopped before the end" : ""}.`,
);
progress.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);

/** Runs a script of package.json quietly; shows its output if it fails. */
async function runCheck(name: string): Promise<boolean> {
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const script = scripts[name];
  if (script === undefined) throw new Error(`package.json has no script "${name}".`);
  let output = "";
  try {
    await progress.during(`${name} (${script})`, async () => {
      const code = await run(name, "/bin/sh", ["-c", script], (text) => (output += text));
      if (code !== 0) throw new Error(`exit code ${code}`);
    });
    return true;
  } catch (error) {
    progress.log(`${output}\n${name} failed: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

async function runTests(): Promise<{ passed: number; failed: number }> {
  try {
    // Here rather than in vitest, so that a long build shows its progress live.
    await ensureTools({ directory: localDirectory, progress });
  } catch (error) {
    progress.log(error instanceof Error ? error.message : String(error));
    return { passed: 0, failed: 1 };
  }
  rmSync(resultsFile, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${resultsFile}`];
  const code = await run("vitest", "vitest", ["run", ...reporters, ...process.argv.slice(2)]);
  let results: VitestResults | undefined;
  try {
    results = JSON.parse(readFileSync(resultsFile, "utf8")) as VitestResults;
  } catch {
    // vitest ended before it could write them: counted as a failure below.
  }
  return countResults(results, code);
}

/** Runs a program in a group of its own, so that a Ctrl-C reaches it once, from here; the guard ends it if this process dies. */
async function run(name: string, command: string, args: string[], collect?: (text: string) => void): Promise<number> {
  const child = spawn(command, args, {
    cwd: projectRoot,
    detached: true,
    stdio: ["ignore", collect === undefined ? "inherit" : "pipe", collect === undefined ? "inherit" : "pipe"],
  });
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => collect?.(text));
  const pid = child.pid ?? 0;
  const target = { pid, identity: (pid && processIdentity(pid)) || "ended", signal: "SIGINT" as const };
  running?.add(name, target);
  stopCurrent = () => child.kill("SIGINT");
  const code = await new Promise<number>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (exitCode) => resolve(exitCode ?? 1));
  });
  stopCurrent = () => {};
  running?.remove(name, target);
  return code;
}
