/** What is known of the orders before one, from their records: successes, revisions that may have left something, locks. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type DatabaseHandle } from "../../db/client.ts";
import { giveBackLocks, locksOf, takeOverLocks } from "../../db/repositories/locks.ts";
import { appendEvents } from "../../db/repositories/order-events.ts";
import { lastSuccesses, nameRevisions, recentRevisions } from "../../db/repositories/order-revisions.ts";
import { acquireLocks, findOrder, insertOrder, storePlan } from "../../db/repositories/orders.ts";
import { hasRecorded } from "../../db/repositories/runs.ts";
import { applications, appServices, revisions, workspaceGroups } from "../../db/schema/index.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import type { PipelineStateName, TaskState } from "../../domain/pipeline/states.ts";
import type { TaskDefinition } from "../../domain/pipeline/task.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const workspaceGroup = "shop";
const services = ["cart", "web"];
let server: TestDatabase;
let database: DatabaseHandle;
beforeAll(async () => {
  server = await createTestDatabase();
  database = createDatabase(server.url);
  const { db } = database;
  await db.insert(workspaceGroups).values({ name: workspaceGroup });
  await db.insert(applications).values({ workspaceGroup, name: "shop", owner: "ann" });
  for (const name of services) {
    await db
      .insert(appServices)
      .values({ workspaceGroup, name, application: "shop", namespace: "shop", kind: "StatefulSet" });
    for (const number of [1, 2, 3]) {
      await db.insert(revisions).values({ workspaceGroup, service: name, number, spec: {} as never, createdBy: "ann" });
    }
  }
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

/** An order with a plan of one task per service, and its records. */
async function make(id: string, revision: number, supersedes?: string) {
  const { db } = database;
  const workflowId = `release/${id}`;
  const row = { id, kind: "release", workflowId, workspaceGroup, title: id, request: {}, creator: "ann" };
  await insertOrder(db, { ...row, supersedes: supersedes ?? null });
  await nameRevisions(
    db,
    id,
    workspaceGroup,
    services.map((service) => ({ service, revision })),
  );
  const apps = services.map((subject): TaskDefinition => ({
    id: `1.${subject}`,
    title: subject,
    kind: "pipeline",
    dependsOn: [],
    pipeline: { workflowType: "appRelease", workflowId: `${workflowId}/${subject}`, subject },
  }));
  const steps = services.map((subject) => ({
    workflowId: `${workflowId}/${subject}`,
    subject,
    tasks: [{ id: `1.${subject}.move`, title: "move", kind: "activity", dependsOn: [] } satisfies TaskDefinition],
  }));
  await db.transaction((tx) => storePlan(tx, id, 1, [{ workflowId, tasks: apps }, ...steps], []));
  const written = new Map<string, number>();
  const append = async (event: RecordedEvent, subject?: string): Promise<void> => {
    const stream = subject === undefined ? workflowId : `${workflowId}/${subject}`;
    const first = (written.get(stream) ?? 0) + 1;
    written.set(stream, first);
    const about = subject === undefined ? {} : { subject };
    await db.transaction((tx) => appendEvents(tx, { orderId: id, stream, ...about, first, events: [event] }));
  };
  await append({ type: "planned", at: 1, generation: 1, digest: "d" });
  return {
    id,
    workflowId,
    append,
    state: (state: PipelineStateName, app?: string, committed = true) =>
      append({ type: "pipelineChanged", at: Date.now(), state, committed, allowed: [] }, app),
    task: (app: string, state: TaskState, attempt = 1) =>
      append({ type: "taskChanged", at: 1, task: `1.${app}`, state, attempt }),
    /** Ends an app as a workflow does. */
    async app(app: string, state: PipelineStateName, task: TaskState, committed = true): Promise<void> {
      await this.state(state, app, committed);
      await this.task(app, task);
    },
    lock: () => db.transaction((tx) => acquireLocks(tx, id, workspaceGroup, services)),
    order: async () => (await findOrder(db, id))!,
  };
}

test("an order that was made before the last success and acted after it may have left something", async () => {
  const { db } = database;
  const waiting = await make("waiting", 3);
  const never = await make("never", 1);
  const hotfix = await make("hotfix", 2);
  await hotfix.state("SUCCEEDED", "cart");
  await hotfix.state("SUCCEEDED");
  await waiting.state("FAILED", "cart");

  const success = (await lastSuccesses(db, await waiting.order(), ["cart"])).get("cart");
  expect(success?.revision).toBe(2);
  expect(await recentRevisions(db, workspaceGroup, "cart", success?.since)).toEqual([3, 2]);
  expect((await lastSuccesses(db, await never.order(), ["web"])).size).toBe(0);
});

test("what a successor has not set right goes back to the order that left it, whichever way the successor ends", async () => {
  const { db } = database;
  const first = await make("first", 2);
  await first.lock();
  await first.state("SUPERSEDED");
  const second = await make("second", 3, first.id);
  await db.transaction((tx) => takeOverLocks(tx, { from: first.id, to: second.id, services }));
  expect(await locksOf(db, second.id)).toEqual(services);
  // It rolls cart back, and has not begun with web, which is as the first one left it.
  await second.app("cart", "ROLLED_BACK", "CANCELLED");
  await second.task("web", "CANCELLED");
  await second.state("ROLLED_BACK");
  expect([await locksOf(db, first.id), await locksOf(db, second.id)]).toEqual([["web"], []]);
  expect((await first.order()).allowedActions).toEqual(["release-locks"]);

  // A third one takes over, releases web, and is superseded itself: nothing of it is left to go back.
  const third = await make("third", 3, first.id);
  await db.transaction((tx) => takeOverLocks(tx, { from: first.id, to: third.id, services }));
  await third.app("web", "SUCCEEDED", "SUCCEEDED", false);
  await third.state("SUCCEEDED");
  expect([await locksOf(db, first.id), await locksOf(db, third.id)]).toEqual([[], []]);
});

test("along a chain, no lock of what is half changed is lost", async () => {
  const { db } = database;
  const a = await make("a", 1);
  await a.lock();
  await a.state("SUPERSEDED");
  const b = await make("b", 2, a.id);
  await db.transaction((tx) => takeOverLocks(tx, { from: a.id, to: b.id, services }));
  await b.app("cart", "TERMINATED", "CANCELLED");
  await b.task("web", "CANCELLED");
  await b.state("SUPERSEDED");
  // The next one only covers what the second has begun.
  const c = await make("c", 3, b.id);
  await db.transaction((tx) => takeOverLocks(tx, { from: b.id, to: c.id, services: ["cart"] }));
  const held = async () => [await locksOf(db, a.id), await locksOf(db, b.id), await locksOf(db, c.id)];
  expect(await held()).toEqual([["web"], [], ["cart"]]);
  // It gives up before it began.
  await db.transaction((tx) => giveBackLocks(tx, c.id));
  expect(await held()).toEqual([["web"], ["cart"], []]);
});

test("a run of an app's pipeline has recorded something once its tasks are recorded afresh", async () => {
  const { db } = database;
  const order = await make("runs", 1);
  const stream = `${order.workflowId}/cart`;
  const attempt = (count: number) =>
    order.append({ type: "taskChanged", at: 1, task: "1.cart.move", state: "WAITING", attempt: count }, "cart");
  expect(await hasRecorded(db, order.id, stream, 2)).toBe(false);
  await attempt(7);
  expect(await hasRecorded(db, order.id, stream, 2)).toBe(false);
  await attempt(1_000);
  expect(await hasRecorded(db, order.id, stream, 2)).toBe(true);
  expect(await hasRecorded(db, order.id, stream, 3)).toBe(false);
});
