/** A program of the bench in a process of its own, as what it is compared with: told what to do, and asked when it is done. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export type Program<Message> = {
  /** Resolves when the program has answered that it is done. */
  tell(message: Message): Promise<void>;
  close(): Promise<void>;
};

/** `file`: below `bench/`. It ends with this process: its channel breaks. */
export async function startProgram<Message extends object>(file: string, args: string[]): Promise<Program<Message>> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const ended = once(child, "exit");
  const answer = async (): Promise<void> => {
    const [first] = (await Promise.race([once(child, "message"), ended.then(() => ["ended"])])) as [unknown];
    if (first !== "done") throw new Error(`${file} ended before it was done`);
  };
  await answer();
  return {
    async tell(message) {
      child.send(message);
      await answer();
    },
    async close() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** The other side: `work` gets each message; the first "done" says that the program is ready. */
export function serveProgram(work: (message: unknown) => Promise<void>): void {
  process.on("message", (message) => {
    work(message).then(
      () => process.send?.("done"),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on("disconnect", () => process.exit(0));
  process.send?.("done");
}
