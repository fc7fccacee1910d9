/** The API is killed, and stopped, under those who follow an order: they resume, and have every event once. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { projectRoot } from "../../local/paths.ts";
import { follow, followToEnd } from "../support/event-stream.ts";
import { startProduct, type Product } from "../support/product.ts";
import { createRandom } from "../support/random.ts";
import { recordOrder } from "../support/recorded-order.ts";
import { until } from "../support/workloads.ts";

let product: Product;
beforeAll(async () => {
  // Only what reads is at stake: the events are written as workers would write them.
  product = await startProduct({ workers: { orchestrators: 0, clusters: 0 } });
});
afterAll(() => product.stop());

/** `examples/try/follow.sh` as a person runs it. */
async function runScript(order: string): Promise<{ code: number; lines: string[]; said: string }> {
  const script = spawn(join(projectRoot, "examples/try/follow.sh"), [order], {
    env: { ...process.env, CELLWRIGHT_URL: product.url, CELLWRIGHT_TOKEN: product.viewerToken },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  // When the test fails before, it and what it has started would go on asking.
  onTestFinished(() => {
    if (script.exitCode === null && script.signalCode === null) process.kill(-script.pid!, "SIGKILL");
  });
  const [printed, said, [code]] = await Promise.all([text(script.stdout), text(script.stderr), once(script, "close")]);
  return { code: code as number, lines: printed.split("\n").filter(Boolean), said };
}

test("killed again and again while events are written: nothing is lost or doubled", { timeout: 120_000 }, async () => {
  const order = await recordOrder(product.database, "killed");
  const url = product.url + order.path;
  const token = product.viewerToken;
  const connected = [0, 0, 0, 0, 0];
  const followers = Promise.all(
    connected.map((_, index) => followToEnd({ url, token, onConnection: () => (connected[index]! += 1) })),
  );
  const script = runScript("killed");
  const random = createRandom(3);
  const kills = 4;
  let isOver = false;
  let written = 0;
  const writing = (async () => {
    while (!isOver) {
      await order.tasks(2, { app: random.pick(["cart", "web"]) });
      written += 2;
      await sleep(20);
    }
    for (const app of ["cart", "web"]) await order.state("SUCCEEDED", app);
    await order.state("SUCCEEDED");
    return written + 3;
  })();
  // When a kill goes wrong, that is told, and not what follows from it.
  for (const running of [followers, script, writing]) running.catch(() => undefined);
  try {
    for (let round = 0; round < kills; round++) {
      // Whoever has not come back yet would not notice.
      await until("all to follow", async () => connected.every((count) => count > round));
      await sleep(random.integer(100, 1_500));
      await product.processes["api"]!.kill();
      await product.processes["api"]!.start();
    }
  } finally {
    isOver = true;
  }
  const newest = await writing;
  const all = Array.from({ length: newest }, (_, index) => index + 1);
  for (const { events, connections } of await followers) {
    expect(connections).toBeGreaterThan(kills);
    expect(events.map(({ type, id }) => (type === "end" ? type : Number(id)))).toEqual([...all, "end"]);
  }
  // The example with which the documentation shows how it is done.
  const { code, lines } = await script;
  expect([code, lines.map((line) => (JSON.parse(line) as { position: number }).position)]).toEqual([0, all]);
  expect(await runScript("none")).toMatchObject({ code: 1, said: expect.stringContaining("/problems/not-found") });
});

test("stopped in order: streams end at once and say so", async () => {
  const order = await recordOrder(product.database, "stopped");
  await order.tasks(3);
  const streams = await Promise.all(
    [1, 2, 3].map(() => follow({ url: product.url + order.path, token: product.viewerToken })),
  );
  for (const stream of streams) await until("the events", async () => stream.events.length === 3);
  const begin = Date.now();
  await product.processes["api"]!.kill("SIGTERM");
  expect(Date.now() - begin).toBeLessThan(5_000);
  for (const stream of streams) {
    expect(await stream.closed).toBe("ended");
    expect(stream.comments.at(-1)).toBe("this process is ending; connect again with Last-Event-ID");
  }
  await product.processes["api"]!.start();
});
