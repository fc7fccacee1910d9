/** `workers/migrate.ts` as a process: what it does with settings that no waiting makes right. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { expect, inject, test } from "vitest";
import { projectRoot } from "../../local/paths.ts";

const { databaseUrl, temporal } = inject("stack");

test.each([
  ["an unknown database", (url: URL) => (url.pathname = "/nowhere"), /database "nowhere" does not exist/],
  ["a wrong password", (url: URL) => (url.password = "wrong"), /password authentication failed/],
])("%s ends it with a clear error", async (_what, spoil, message) => {
  const url = new URL(databaseUrl);
  spoil(url);
  const child = spawn(process.execPath, ["workers/migrate.ts"], {
    cwd: projectRoot,
    env: { ...process.env, DATABASE_URL: url.href, TEMPORAL_ADDRESS: temporal.address },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const log = await text(child.stdout);
  expect(await ended).toBe(1);
  expect(log).toContain("the database of DATABASE_URL cannot be used: ");
  expect(log.replaceAll("\\", "")).toMatch(message);
  expect(log).not.toContain("trying again");
});
