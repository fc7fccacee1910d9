/** Postgres dies in the middle of a group, or between two, and comes back ten seconds later. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Refusal, Reply } from "../support/client.ts";
import { changesPod } from "../support/hold-proxy.ts";
import { confirmAll } from "../support/person.ts";
import { createRandom } from "../support/random.ts";
import { judgeProjections } from "../support/records.ts";
import { startServers, type OwnServers } from "../support/servers.ts";
import { beginTrial, judgeTrial, openStage, type Stage, type Trial } from "../support/trial.ts";
import { podChanges } from "../support/witness.ts";

/** How long it is away, ms. */
const AWAY = 10_000;
const LIMIT = { timeout: 240_000 };

let servers: OwnServers;
let stage: Stage;
beforeAll(async () => {
  servers = await startServers(["postgres"]);
  stage = await openStage({ stack: servers.stack }, { services: { cart: 12, web: 2 } });
});
afterAll(async () => {
  await stage.close();
  await servers.stop();
});

/** Kills Postgres, does something meanwhile, and brings it back. Answers with when that was. */
async function withoutPostgres(meanwhile: () => Promise<void>): Promise<{ killedAt: number; backAt: number }> {
  const postgres = servers.server("postgres");
  await postgres.stop("SIGKILL");
  const killedAt = Date.now();
  await meanwhile();
  await sleep(Math.max(0, killedAt + AWAY - Date.now()));
  const backAt = Date.now();
  await postgres.restart();
  return { killedAt, backAt };
}

function expectAway({ status, headers, body }: Reply<Refusal>): void {
  expect({ status, type: body.type }).toEqual({ status: 503, type: "/problems/unavailable" });
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
}

/** Every call is answered, at once, that it should be tried again. */
async function expectEverythingAway(order: string): Promise<void> {
  const { client } = stage.product;
  const begin = Date.now();
  const revisions = `/api/v1/workspace-groups/${stage.shop.group}/app-services/cart/revisions`;
  expectAway(await client.call("GET", `/api/v1/release-orders/${order}`));
  expectAway(await client.call("GET", "/api/v1/release-orders"));
  expectAway(
    await client.call("POST", revisions, {
      body: {
        template: { containers: [{ name: "main", image: "shop/cart:9" }] },
        cells: { "cell-a": { replicas: 1 } },
      },
    }),
  );
  expectAway(
    await client.call("POST", "/api/v1/release-orders", {
      body: { type: "GROUPED", ...stage.shop.body(["cart"]) },
      key: "away",
    }),
  );
  expectAway(await client.tryAct(order, "pause", { body: { reason: "test" } }));
  expect((await client.call("GET", "/readyz")).status).toBe(503);
  expect((await client.call("GET", "/healthz")).status).toBe(200);
  expect(Date.now() - begin).toBeLessThan(5_000);
}

async function expectGood(trial: Trial): Promise<void> {
  const { pool } = stage.product.database;
  const { id } = trial.preview;
  const { faults } = await judgeTrial(stage, trial);
  expect([...faults, ...(await judgeProjections(pool, id))]).toEqual([]);
  const { rows } = await pool.query("select pod, state from task_pods where order_id = $1 and state <> 'UPDATED'", [
    id,
  ]);
  expect(rows).toEqual([]);
  expect((await pool.query("select 1 from locks")).rowCount).toBe(0);
}

test("in the middle of a group: its pods go on, nothing twice, nothing missing", LIMIT, async () => {
  const { product, proxy, shop } = stage;
  const random = createRandom(1);
  proxy.clear();
  proxy.delay(changesPod(), () => random.integer(0, 6_000));
  const trial = await beginTrial(stage, ["cart", "web"], {
    tag: "p1",
    release: { strategy: "QUICK", minGroups: 2, beta: true, pause: "ALL", readySeconds: 1 },
    needs: [["web", "cart"]],
  });
  const names = new Set(trial.preview.apps[0]!.groups[1]!.pods.map(({ name }) => name));
  const changes = () => podChanges(product.auditLog, shop.namespace, trial.since).filter(({ pod }) => names.has(pod));
  const outage = (async () => {
    while (changes().length < 3) await sleep(30);
    return withoutPostgres(() => expectEverythingAway(trial.preview.id));
  })();
  const [ended, { killedAt, backAt }] = await Promise.all([
    confirmAll(product.client, trial.preview.id, { within: 180_000 }),
    outage,
  ]);
  expect(ended.state).toBe("SUCCEEDED");
  await expectGood(trial);

  const within = (at: number | undefined): boolean => at !== undefined && at > killedAt && at < backAt;
  const all = changes();
  expect(all.filter(({ storedAt }) => storedAt < killedAt).length).toBeGreaterThan(0);
  expect(all.filter(({ receivedAt }) => within(receivedAt)).length).toBeGreaterThan(3);
  expect(all.filter(({ upAt }) => within(upAt)).length).toBeGreaterThan(3);
});

test("between two groups: a confirm is not lost and not done twice", LIMIT, async () => {
  const { product, proxy, shop } = stage;
  const { client } = product;
  proxy.clear();
  const trial = await beginTrial(stage, ["web"], {
    tag: "p2",
    release: { strategy: "BY_CELL", minGroups: 2, beta: false, pause: "ALL", readySeconds: 0 },
  });
  const { id } = trial.preview;
  await client.waitFor(id, "AWAITING_CONFIRM");
  const [task] = trial.preview.tasks.filter(({ kind }) => kind === "confirm");
  const confirm = () => client.tryAct(id, "confirm", { task: task!.id, key: "once" });
  const count = podChanges(product.auditLog, shop.namespace, trial.since).length;
  await withoutPostgres(async () => {
    expectAway(await confirm());
    expectAway(await confirm());
  });
  expect(podChanges(product.auditLog, shop.namespace, trial.since)).toHaveLength(count);

  const first = await confirm();
  expect(first).toMatchObject({ status: 200 });
  expect((await confirm()).body).toEqual(first.body);
  expect((await confirmAll(client, id)).state).toBe("SUCCEEDED");
  await expectGood(trial);
});
