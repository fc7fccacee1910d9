import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { keepPodStates } from "../../../activities/kubernetes/operations/pod-states.ts";
import { createDatabase, type DatabaseHandle } from "../../../db/client.ts";
import { mayChange } from "../../../db/repositories/locks.ts";
import { supersedingRun } from "../../../db/repositories/runs.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { until } from "../../support/workloads.ts";

let database: TestDatabase;
let handle: DatabaseHandle;
beforeAll(async () => {
  database = await createTestDatabase();
  handle = createDatabase(database.url, { statementTimeout: 200 });
  await handle.pool.query("insert into workspace_groups (name) values ('shop')");
  for (const id of ["o1", "o2"]) {
    await handle.pool.query(
      "insert into orders (id, kind, workflow_id, workspace_group, title, request, creator) values ($1, 'release', $1, 'shop', $1, '{}', 'eve')",
      [id],
    );
  }
});
afterAll(async () => {
  await handle.close();
  await database.drop();
});

test("an order may change a service while it runs and holds the lock", async () => {
  const { db, pool } = handle;
  expect(await mayChange(db, "o0", "cart")).toContain("no such order");
  expect(await mayChange(db, "o1", "cart")).toContain("does not hold the lock");
  await pool.query("insert into locks (workspace_group, service, order_id) values ('shop', 'cart', 'o1')");
  expect(await mayChange(db, "o1", "cart")).toBeUndefined();
  expect(await mayChange(db, "o1", "stock")).toContain("does not hold the lock of stock");
  expect(await mayChange(db, "o2", "cart")).toContain("held by order o1");
  // An abandoned order keeps its locks, and may not act all the same.
  await pool.query("update orders set state = 'ABANDONED', ended_at = now() where id = 'o1'");
  expect(await mayChange(db, "o1", "cart")).toContain("has ended (ABANDONED)");
});

test("a later run of an app's pipeline makes what earlier ones set going void", async () => {
  const { db, pool } = handle;
  const task = async (id: string, subject: string, kind: string, attempt: number) =>
    pool.query(
      `insert into tasks (order_id, id, generation, stream, subject, kind, place, definition, attempt)
       values ('o2', $1, 1, 'o2/' || $2, $2, $3, 0, '{}', $4)`,
      [id, subject, kind, attempt],
    );
  await task("move", "cart", "activity", 3);
  await task("other", "stock", "activity", 1001);
  await task("pipeline", "cart", "pipeline", 1001);
  expect(await supersedingRun(db, "o2", "cart", 1)).toBeUndefined();
  await task("freeze", "cart", "activity", 1001);
  expect(await supersedingRun(db, "o2", "cart", 1000)).toContain("attempt 1001");
  expect(await supersedingRun(db, "o2", "cart", 1001)).toBeUndefined();
  expect(await supersedingRun(db, "o1", "cart", 1)).toBeUndefined();
});

test("a state that could not be written is written later, though nothing changes any more", async () => {
  const { db, pool } = handle;
  await pool.query(
    `insert into task_pods (order_id, task_id, pod, service, group_id, cell, cluster, place)
     values ('o2', 't1', 'cart-cell-a-0', 'cart', 'g1', 'cell-a', 'east', 0)`,
  );
  const stored = async () => (await pool.query("select state from task_pods where order_id = 'o2'")).rows[0]?.state;
  const other = await pool.connect();
  await other.query("begin");
  await other.query("lock table task_pods in share mode");
  const states = keepPodStates(db, { order: "o2", task: "t1" }, 1);
  states.report([{ cell: "cell-a", name: "cart-cell-a-0", state: "UPDATED" }]);
  // Longer than the write may take.
  await sleep(800);
  expect(await stored()).toBe("NOT_UPDATED");
  await other.query("rollback");
  other.release();
  await until("the state is stored", async () => (await stored()) === "UPDATED", 10_000);
  await states.finish(new AbortController().signal);
});
