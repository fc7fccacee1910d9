/**
 * The guard outlives its starter for a moment: it reads the starter's children from standard input, one JSON line each,
 * and when that pipe closes (the starter ended, in whatever way, `kill -9` included) it ends the children that are left.
 * It runs detached, so that no Ctrl-C reaches it.
 */
import { createInterface } from "node:readline";
import { endTargets, type Target } from "./process-identity.ts";

/** What the starter tells its guard. */
export type GuardMessage = { add: Target } | { remove: number };

const grace = 5_000;
const targets = new Map<number, Target>();

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as GuardMessage;
  if ("add" in message) targets.set(message.add.pid, message.add);
  else targets.delete(message.remove);
}
await endTargets([...targets.values()], grace);
