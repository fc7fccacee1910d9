// `npm start`, `npm test` and `npm run bench` begin here, on whatever Node the machine has (20 or newer) and without any dependency.
// Installs the dependencies if need be and goes on with the project's own Node.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const programs = { start: "start.ts", test: "test.ts", bench: "bench.ts", "rotate-keys": "rotate-keys.ts" };

const [name = "", ...args] = process.argv.slice(2);
if (!Object.hasOwn(programs, name))
  fail(`Usage: node local/bootstrap.mjs ${Object.keys(programs).join("|")} [options]`);
if (process.platform === "win32") fail("Cellwright's local stack needs Linux or macOS; on Windows, use WSL.");
if (Number(process.versions.node.split(".")[0]) < 20) fail(`Node 20 or newer is needed; this is ${process.version}.`);

await installDependencies();
run(join(modules, ".bin", "node"), [join(root, "local", programs[name]), ...args]);

function fail(message) {
  console.error(message);
  process.exit(1);
}

async function installDependencies() {
  const lockFile = join(root, "package-lock.json");
  const stamp = join(modules, ".cellwright-installed");
  const wanted = createHash("sha256").update(readFileSync(lockFile)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  // An installation by hand leaves npm's own record instead.
  const record = join(modules, ".package-lock.json");
  if (!existsSync(record) || statSync(record).mtimeMs < statSync(lockFile).mtimeMs) await installWithProgress();
  writeFileSync(stamp, wanted);
}

async function installWithProgress() {
  const begin = Date.now();
  const seconds = () => `${((Date.now() - begin) / 1000).toFixed(0)} s`;
  const live = process.stdout.isTTY === true;
  const show = () =>
    process.stdout.write(`${live ? "\r\u001B[K" : ""}Installing dependencies · ${seconds()}${live ? "" : "\n"}`);
  show();
  const timer = setInterval(show, live ? 1_000 : 10_000);
  const [command, ...first] = npmCommand();
  // The development dependencies are the stack: a NODE_ENV=production in the environment must not leave them out.
  const npm = spawn(command, [...first, "ci", "--include=dev", "--no-fund", "--no-audit"], { cwd: root });
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk) => (output += chunk));
  const code = await new Promise((resolve) => {
    npm.once("error", (error) => {
      output += error.message;
      resolve(1);
    });
    npm.once("close", resolve);
  });
  clearInterval(timer);
  if (live) process.stdout.write("\r\u001B[K");
  if (code !== 0) fail(`${output}\nThe dependencies could not be installed ("npm ci" failed, see above).`);
  console.log(`✔ Dependencies installed · ${seconds()}`);
}

/** The npm that runs this script, or else the one on PATH. */
function npmCommand() {
  const path = process.env.npm_execpath;
  if (path?.endsWith("npm-cli.js") && existsSync(path)) return [process.execPath, path];
  if (spawnSync("npm", ["--version"], { stdio: "ignore" }).status !== 0) fail("npm is needed, and it is not on PATH.");
  return ["npm"];
}

function run(command, commandArgs) {
  // Over the ipc channel the program sees that this process has died, even by kill -9, and ends too.
  const child = spawn(command, commandArgs, {
    cwd: root,
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, PATH: `${join(modules, ".bin")}${delimiter}${process.env.PATH ?? ""}` },
  });
  child.once("error", (error) => fail(`${command} could not be run: ${error.message}`));
  // A Ctrl-C also reaches the program directly; it takes signals in quick succession for one.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event !== undefined) endWithNpm(child);
  child.once("exit", (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}

/** npm may be killed without a chance to pass it on. It is the parent, or the parent of the shell in between. */
function endWithNpm(child) {
  const ask = (field, pid) =>
    spawnSync("ps", ["-o", `${field}=`, "-p", String(pid)], { encoding: "utf8" }).stdout?.trim();
  const parent = process.ppid;
  const npm = /(^|\/)-?\w*sh$/.test(ask("comm", parent) ?? "") ? Number(ask("ppid", parent)) : parent;
  const isAlive = () => {
    try {
      return process.kill(npm, 0);
    } catch {
      return false;
    }
  };
  if (npm <= 1 || !isAlive()) return;
  setInterval(() => isAlive() || child.kill("SIGTERM"), 1_000).unref();
}
