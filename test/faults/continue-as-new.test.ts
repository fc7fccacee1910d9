/**
 * Histories may not grow for ever: a workflow goes on in a new run. With the threshold forced down, an order and its apps
 * do so many times, while people confirm, pause, resume and retry; and nobody may notice.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { changesPod } from "../support/hold-proxy.ts";
import { patiently } from "../support/person.ts";
import { describe, type ActionAnswer, type ReleaseOrder } from "../support/client.ts";
import { readRuns } from "../support/record-witness.ts";
import { beginTrial, judgeTrial, openStage, type Stage } from "../support/trial.ts";

const LIMIT = 50;
const LONG = 240_000;
const SERVICES = ["cart", "db", "web"];

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(
    { env: { CELLWRIGHT_HISTORY_LIMIT: String(LIMIT) } },
    { services: { cart: 3, db: 2, web: 2 } },
  );
}, LONG);
afterAll(() => stage?.close());

/** One verb as it was asked for, and its first answer. */
type Asked = { verb: string; task?: string; key: string; answer: ActionAnswer };

/** A person who does everything with a key of its own. */
function createPerson(order: string) {
  const asked: Asked[] = [];
  const until = Date.now() + LONG;
  const ask = async (verb: string, task?: string): Promise<boolean> => {
    const key = `${asked.length} ${verb} ${task ?? ""}`;
    const options = { key, ...(task !== undefined && { task }) };
    const { status, body } = await patiently(() => stage.product.client.tryAct(order, verb, options), until);
    // Between reading and asking, the order may have gone on; what matters is that nothing else is refused.
    if (status === 409) return false;
    if (status !== 200) throw new Error(`${verb} ${task ?? ""} answered ${status}: ${JSON.stringify(body)}`);
    asked.push({ verb, key, answer: body as unknown as ActionAnswer, ...(task !== undefined && { task }) });
    return true;
  };
  return {
    asked,
    ask,
    /** Asks for everything once more; every answer must be the first one. */
    async repeat(which: readonly Asked[]): Promise<void> {
      for (const { verb, task, key, answer } of which) {
        const options = { key, ...(task !== undefined && { task }) };
        const again = await stage.product.client.tryAct<ActionAnswer>(order, verb, options);
        expect([key, again.status, again.body]).toEqual([key, 200, answer]);
      }
    },
  };
}

/** As if the API had died before it could note the answers: then only the workflow knows them. */
async function forgetAnswers(asked: readonly Asked[]): Promise<void> {
  await stage.product.database.pool.query(
    "update idempotency_keys set status = null, body = null where key = any($1::text[])",
    [asked.map(({ key }) => key)],
  );
}

async function countAccepted(order: string): Promise<number> {
  const { rows } = await stage.product.database.pool.query<{ count: string }>(
    "select count(*) as count from order_events where order_id = $1 and event->>'outcome' = 'accepted'",
    [order],
  );
  return Number(rows[0]!.count);
}

test(
  "an order and its apps continue as new again and again, and nobody notices",
  async () => {
    const { product, proxy } = stage;
    // One pod cannot be changed until a person has looked: its group fails, and is retried.
    proxy.answer(changesPod("cart-cell-b-1"), 422, {
      body: { kind: "Status", status: "Failure", code: 422, reason: "Invalid", message: "not today" },
    });
    const trial = await beginTrial(stage, SERVICES, {
      tag: "2",
      release: { strategy: "QUICK", minGroups: 3, beta: true, pause: "ALL", progressDeadlineSeconds: 5 },
      needs: [["web", "cart"]],
    });
    const { id, workflowId } = trial.preview;
    const person = createPerson(id);
    const runsOf = (service?: string) =>
      readRuns(product.temporal, service === undefined ? workflowId : `${workflowId}/${service}`);
    const afterPause: string[] = [];
    let repeated = 0;
    let retried = 0;
    let order: ReleaseOrder = await product.client.read(id);
    for (let step = 0; order.state !== "SUCCEEDED"; step++) {
      if (Date.now() - trial.since > LONG) throw new Error(`it does not end: ${describe(order)}`);
      if (step % 2 === 0 && (await person.ask("pause"))) {
        afterPause.push((await product.client.read(id)).state);
        await person.ask("resume");
      }
      const mine = order.tasks.filter(({ kind }) => kind !== "pipeline");
      const failed = mine.filter(({ state }) => state === "FAILED").map((task) => task.id);
      if (failed.length > 0) proxy.clear();
      const awaiting = mine.filter(({ allowedActions }) => allowedActions.includes("confirm")).map((task) => task.id);
      const done = await Promise.all([
        ...failed.map((task) => person.ask("retry", task)),
        ...awaiting.map((task) => person.ask("confirm", task)),
      ]);
      retried += done.slice(0, failed.length).filter(Boolean).length;
      if (repeated === 0 && person.asked.length >= 12 && (await runsOf()).length > 2) {
        await forgetAnswers(person.asked);
        await person.repeat(person.asked);
        repeated = person.asked.length;
      }
      await sleep(200);
      order = await product.client.read(id);
    }
    expect(retried).toBeGreaterThan(0);
    expect(repeated).toBeGreaterThan(0);
    expect(new Set(afterPause)).toEqual(new Set(["PAUSED"]));
    // Those of the last runs, after the end.
    const latest = person.asked.slice(-8);
    await forgetAnswers(latest);
    await person.repeat(person.asked);
    // The start, and each of the others once.
    expect(await countAccepted(id)).toBe(1 + person.asked.length);

    const { faults } = await judgeTrial(stage, trial);
    expect(faults).toEqual([]);
    const lengths: Record<string, number[]> = {};
    for (const service of [undefined, ...SERVICES]) {
      const runs = await runsOf(service);
      lengths[service ?? "order"] = runs.map((run) => run.length);
      expect(runs.length).toBeGreaterThan(1);
      expect(runs.slice(0, -1).map((run) => run.end)).toEqual(Array(runs.length - 1).fill("CONTINUED_AS_NEW"));
    }
    console.log(`events of the runs: ${JSON.stringify(lengths)}; ${person.asked.length} verbs, ${repeated} repeated`);
    expect(lengths["order"]!.length).toBeGreaterThan(3);
  },
  LONG,
);
