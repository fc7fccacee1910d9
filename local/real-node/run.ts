import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** PATH with the directories of administration programs, which are not on everybody's. */
export const systemPath = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/**
 * Runs a short program and answers what it wrote.
 * @throws with the end of its error output
 */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      env: { ...process.env, PATH: systemPath },
      timeout: 120_000,
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const { stderr = "", message } = error as { stderr?: string; message: string };
    const end = stderr.trim().split("\n").slice(-5).join("\n");
    throw new Error(`${command} ${args.join(" ")} failed: ${end === "" ? message : end}`, { cause: error });
  }
}
