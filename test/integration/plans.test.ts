/** Plans that can no longer be asked for do not stay in the database. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type DatabaseHandle } from "../../db/client.ts";
import {
  insertOrder,
  readPods,
  readSnapshots,
  readTasks,
  storePlan,
  storeSnapshot,
} from "../../db/repositories/orders.ts";
import { forgetOldPlans } from "../../db/repositories/plans.ts";
import { workspaceGroups } from "../../db/schema/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let server: TestDatabase;
let database: DatabaseHandle;
beforeAll(async () => {
  server = await createTestDatabase();
  database = createDatabase(server.url);
  await database.db.insert(workspaceGroups).values({ name: "shop" });
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

async function orderWithPlans(id: string, generations: number[]): Promise<void> {
  const { db } = database;
  const common = { kind: "release", workspaceGroup: "shop", title: id, request: {}, creator: "ann" };
  await insertOrder(db, { id, workflowId: `release/${id}`, ...common });
  for (const generation of generations) {
    const task = `${generation}.move`;
    await storeSnapshot(db, { orderId: id, generation, source: "c1", observation: { generation } });
    await db.transaction((tx) =>
      storePlan(
        tx,
        id,
        generation,
        [{ workflowId: `release/${id}`, tasks: [{ id: task, title: task, kind: "gate", dependsOn: [] }] }],
        [{ task, pod: "cart-0", service: "cart", group: "1", cell: "a", cluster: "c1", change: "CREATE" }],
      ),
    );
  }
}

/** Which generations are still there: of tasks, pods and snapshots. */
async function kept(id: string, generation: number): Promise<number[]> {
  const { db } = database;
  const parts = [
    await readTasks(db, id, generation),
    await readPods(db, id, [`${generation}.move`]),
    await readSnapshots(db, id, generation),
  ];
  return parts.map((rows) => rows.length);
}

test("plans below the one in force go, with their pods and snapshots; it and later ones stay", async () => {
  await orderWithPlans("one", [1, 2, 3]);
  await orderWithPlans("two", [1]);
  await database.db.transaction((tx) => forgetOldPlans(tx, "one", 2));
  expect(await kept("one", 1)).toEqual([0, 0, 0]);
  expect(await kept("one", 2)).toEqual([1, 1, 1]);
  expect(await kept("one", 3)).toEqual([1, 1, 1]);
  expect(await kept("two", 1)).toEqual([1, 1, 1]);
});
