/**
 * Keeps what a real node has made on this machine besides processes of ours: it makes the pods' bridge, and when it is asked
 * to end (also by the guard, when the starter has died) ends the node's containers and takes everything away. One that is
 * started again goes on with what is there. Arguments: the directory and the number of the node.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { cleanRealNode } from "./clean.ts";
import { nodePaths, type NodeNetwork } from "./paths.ts";
import { run } from "./run.ts";

const [directory = "", number = ""] = process.argv.slice(2);
const paths = nodePaths(directory, Number(number));
let stopping = false;
const ended = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
}).then(() => (stopping = true));

if (!existsSync(paths.network)) {
  mkdirSync(paths.state, { recursive: true, mode: 0o711 });
  mkdirSync(paths.directory, { recursive: true, mode: 0o711 });
  const network: NodeNetwork = { address: await makeBridge() };
  writeFileSync(`${paths.network}.new`, JSON.stringify(network));
  renameSync(`${paths.network}.new`, paths.network);
}
// Something must keep Node from ending while it only waits.
const alive = setInterval(() => {}, 3_600_000);
await ended;
clearInterval(alive);
await cleanRealNode(paths);

/** Makes the bridge with a network that nothing else on this machine has, and answers with the bridge's address. */
async function makeBridge(): Promise<string> {
  await run("ip", "link", "add", paths.bridge, "type", "bridge");
  for (let attempt = 0; attempt < 100 && !stopping; attempt++) {
    const prefix = `10.${200 + Math.floor(Math.random() * 50)}.${Math.floor(Math.random() * 256)}.`;
    if ((await usersOf(prefix)).length > 0) continue;
    await run("ip", "address", "add", `${prefix}1/24`, "dev", paths.bridge);
    await run("ip", "link", "set", paths.bridge, "up");
    // Somebody else may have chosen the same at the same moment. Then both see it, and both choose again.
    if ((await usersOf(prefix)).every((user) => user === paths.bridge)) return `${prefix}1`;
    await run("ip", "address", "flush", "dev", paths.bridge);
  }
  throw new Error("No free network for pods between 10.200.0.0 and 10.249.255.0.");
}

/** Interfaces with an address that begins so. */
async function usersOf(prefix: string): Promise<string[]> {
  const lines = (await run("ip", "-4", "-oneline", "address", "show")).split("\n");
  return lines.flatMap((line) => {
    const [, name = "", , address = ""] = line.split(/\s+/);
    return address.startsWith(prefix) ? [name] : [];
  });
}
