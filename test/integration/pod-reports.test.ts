/** Questions about pods in the database: answered once, for whoever still waits, and never left behind. */
import { sql } from "drizzle-orm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type DatabaseHandle } from "../../db/client.ts";
import { insertOrder } from "../../db/repositories/orders.ts";
import {
  answerPodReport,
  askPodReport,
  findPodReport,
  forgetPodReports,
  takePodReport,
} from "../../db/repositories/pod-reports.ts";
import { podReports, workspaceGroups } from "../../db/schema/index.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let server: TestDatabase;
let database: DatabaseHandle;
beforeAll(async () => {
  server = await createTestDatabase();
  database = createDatabase(server.url);
  const { db } = database;
  await db.insert(workspaceGroups).values({ name: "shop" });
  const order = { id: "one", workflowId: "release/one", kind: "release", workspaceGroup: "shop", title: "one" };
  await insertOrder(db, { ...order, creator: "ann", request: {} });
});
afterAll(async () => {
  await database.close();
  await server.drop();
});

const question = { kind: "events" } as const;
const answer = { kind: "events", exists: true, events: [] } as const;
const ask = (id: string): Promise<void> =>
  askPodReport(database.db, { id, orderId: "one", namespace: "shop", pod: "cart-cell-a-0", question });

test("an answer is taken once, with its question", async () => {
  const { db } = database;
  await ask("a");
  expect(await findPodReport(db, "a")).toMatchObject({ question, answer: null });
  await answerPodReport(db, "a", { ...answer, events: [] });
  expect(await takePodReport(db, "a")).toEqual(answer);
  expect(await takePodReport(db, "a")).toBeUndefined();
});

test("an answer that comes after nobody waits any more is not kept", async () => {
  const { db } = database;
  await ask("b");
  expect(await takePodReport(db, "b")).toBeUndefined();
  await answerPodReport(db, "b", { ...answer, events: [] });
  expect(await findPodReport(db, "b")).toBeUndefined();
});

test("what nobody has taken goes by its age", async () => {
  const { db } = database;
  await ask("old");
  await db.update(podReports).set({ createdAt: sql`now() - interval '3 minutes'` });
  await ask("young");
  expect(await forgetPodReports(db, 120)).toBe(1);
  expect(await findPodReport(db, "young")).toBeDefined();
});
