/** The Temporal server dies in the middle of a group and comes back some seconds later, with its file as it was. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ReleaseOrder } from "../support/client.ts";
import { changesPod } from "../support/hold-proxy.ts";
import { confirmAll } from "../support/person.ts";
import { createRandom } from "../support/random.ts";
import { judgeProjections } from "../support/records.ts";
import { startServers, type OwnServers } from "../support/servers.ts";
import { beginTrial, judgeTrial, openStage, type Stage } from "../support/trial.ts";
import { until } from "../support/workloads.ts";

let servers: OwnServers;
let stage: Stage;
beforeAll(async () => {
  servers = await startServers(["temporal"]);
  stage = await openStage({ stack: servers.stack }, { services: { cart: 10, web: 2 } });
});
afterAll(async () => {
  await stage.close();
  await servers.stop();
});

/** Between two changes of pods, ms; all of a group's are sent at once and must arrive before the sender loses patience. */
const SPACING = 400;

/** Away for moments, and for longer than a heartbeat may be missing (10 s), so that the move is given to another try. */
test.each([
  { seed: 1, away: 2_000, pause: "ALL" },
  { seed: 2, away: 4_000, pause: "FIRST" },
  { seed: 3, away: 12_000, pause: "OFF" },
] as const)("away for $away ms (seed $seed)", { timeout: 240_000 }, async ({ seed, away, pause }) => {
  const { product, proxy } = stage;
  const { client } = product;
  const random = createRandom(seed);
  proxy.clear();
  const trial = await beginTrial(stage, ["cart", "web"], {
    tag: `t${seed}`,
    release: { strategy: "QUICK", minGroups: 2, beta: true, pause, readySeconds: 1 },
    needs: [["web", "cart"]],
  });

  // Somewhere within the big group of the first app.
  const [, group] = trial.preview.apps.find(({ service }) => service === "cart")!.groups;
  const wanted = random.integer(2, group!.pods.length - 6);
  const names = new Set(group!.pods.map(({ name }) => name));
  // The group's pods are changed one after the other, so that there is a middle to die in.
  const { promise: middle, resolve: isThere } = Promise.withResolvers<void>();
  let sent = 0;
  proxy.delay(
    (request) => [...names].some((name) => changesPod(name)(request)),
    () => {
      sent += 1;
      if (sent === wanted) setTimeout(isThere, sent * SPACING + SPACING / 4);
      return sent * SPACING;
    },
  );
  const outage = (async () => {
    await middle;
    const temporal = servers.server("temporal");
    const killedAt = Date.now();
    await temporal.stop("SIGKILL");
    expect((await client.read(trial.preview.id)).state).toBe("RUNNING");
    await sleep(Math.max(0, killedAt + away - Date.now()));
    await temporal.restart();
    return { killedAt, backAt: Date.now() };
  })();

  const [ended, { killedAt, backAt }] = await Promise.all([
    confirmAll(client, trial.preview.id, { within: 180_000 }),
    outage,
  ]);
  expect(ended.state).toBe("SUCCEEDED");
  const { faults, changes } = await judgeTrial(stage, trial);
  expect([...faults, ...(await judgeProjections(product.database.pool, trial.preview.id))]).toEqual([]);
  // The proof of the moment: some of the group before, something of the order after.
  const group1 = changes.filter(({ pod }) => names.has(pod));
  expect(group1.some(({ storedAt }) => storedAt < killedAt)).toBe(true);
  expect(group1.some(({ storedAt }) => storedAt > killedAt)).toBe(true);
  expect(changes.some(({ receivedAt }) => receivedAt > backAt)).toBe(true);
});

test("while it is away, orders are taken and verbs are put off", { timeout: 240_000 }, async () => {
  const { product, proxy, shop } = stage;
  const { client, database } = product;
  proxy.clear();
  const trial = await beginTrial(stage, ["web"], {
    tag: "t4",
    release: { strategy: "BY_CELL", minGroups: 2, beta: false, pause: "FIRST", readySeconds: 0 },
  });
  const { id } = trial.preview;
  await client.waitFor(id, "AWAITING_CONFIRM");
  const [task] = trial.preview.tasks.filter(({ kind }) => kind === "confirm");
  const confirm = () => client.tryAct(id, "confirm", { task: task!.id, key: "put off" });
  const create = () =>
    client.call<ReleaseOrder>("POST", "/api/v1/release-orders", {
      body: { type: "GROUPED", ...shop.body(["cart"], { title: "taken" }) },
      key: "taken",
    });

  const temporal = servers.server("temporal");
  await temporal.stop("SIGKILL");
  const [refused, taken] = await Promise.all([confirm(), create()]);
  expect(refused).toMatchObject({ status: 503, body: { type: "/problems/unavailable" } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(taken).toMatchObject({ status: 201, body: { state: "INITIALIZING" } });
  expect((await client.call("GET", "/readyz")).status).toBe(503);
  await temporal.restart();

  await client.waitFor(taken.body.id, "READY", 60_000);
  expect((await create()).body.id).toBe(taken.body.id);
  const titled = () => database.pool.query("select 1 from orders where title = 'taken'");
  expect((await titled()).rowCount).toBe(1);
  await until("the API has found it again", async () => (await client.call("GET", "/readyz")).status === 200);
  expect(await confirm()).toMatchObject({ status: 200 });
  expect((await confirmAll(client, id)).state).toBe("SUCCEEDED");
  expect((await judgeTrial(stage, trial)).faults).toEqual([]);
  expect(await judgeProjections(database.pool, id)).toEqual([]);
});
