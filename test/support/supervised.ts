/** Supervises a few programs in the directory that its first argument names and says their pids; for tests that kill it. */
import { createSupervisor } from "../../local/processes.ts";

const [directory = "", ...names] = process.argv.slice(2);
const programs: Record<string, { command: string; args: string[] }> = {
  obedient: { command: "sleep", args: ["600"] },
  stubborn: { command: "/bin/sh", args: ["-c", "trap '' TERM; while :; do sleep 1; done"] },
};

const supervisor = await createSupervisor({ directory });
const pids: number[] = [];
for (const name of names) {
  const program = programs[name];
  if (program === undefined) throw new Error(`There is no program "${name}".`);
  pids.push((await supervisor.start({ name, ...program })).pid);
}
console.log(JSON.stringify(pids));
setInterval(() => {}, 1_000);
