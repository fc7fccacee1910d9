/** What an order shows of its apps, made of its rows. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { readReleaseOrder } from "../../api/order-view.ts";
import { createDatabase, type DatabaseHandle } from "../../db/client.ts";
import { appendEvents } from "../../db/repositories/order-events.ts";
import { findOrder, insertOrder, storePlan } from "../../db/repositories/orders.ts";
import { workspaceGroups } from "../../db/schema/index.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import type { TaskDefinition } from "../../domain/pipeline/task.ts";
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

const services = ["cart", "stock"];

function appTask(service: string): TaskDefinition {
  const pipeline = { subject: service, workflowId: `release/one/${service}`, workflowType: "releaseApp" };
  return { id: `1.${service}`, title: service, kind: "pipeline", dependsOn: [], pipeline };
}

test("an app that has moved pods offers cancel nowhere; another one does", async () => {
  const { db } = database;
  const request = { type: "GROUPED", dependencies: [], apps: services.map((service) => ({ service, revision: 1 })) };
  const order = { id: "one", workflowId: "release/one", kind: "release", workspaceGroup: "shop" };
  await insertOrder(db, { ...order, title: "one", creator: "ann", request });
  const append = (stream: string, subject: string | undefined, events: RecordedEvent[]): Promise<void> =>
    db.transaction((tx) =>
      appendEvents(tx, { orderId: "one", stream, ...(subject !== undefined && { subject }), first: 1, events }),
    );
  const changed = (committed: boolean): RecordedEvent => ({
    type: "pipelineChanged",
    at: 1,
    state: "RUNNING",
    committed,
    allowed: [],
  });
  const steps = services.map((service) => ({
    workflowId: `release/one/${service}`,
    subject: service,
    tasks: ["1", "2"].map((group): TaskDefinition => ({
      id: `1.${service}.${group}`,
      title: group,
      kind: "activity",
      dependsOn: [],
      group,
    })),
  }));
  const pods = services.flatMap((service) =>
    ["1", "2"].map((group, index) => ({
      task: `1.${service}.${group}`,
      pod: `${service}-${index}`,
      service,
      group,
      cell: "a",
      cluster: "c1",
      change: "IN_PLACE" as const,
    })),
  );
  const pipelines = [{ workflowId: "release/one", tasks: services.map(appTask) }, ...steps];
  await db.transaction((tx) => storePlan(tx, "one", 1, pipelines, pods));
  await append("release/one", undefined, [
    { type: "planned", at: 1, generation: 1, digest: "d" },
    changed(true),
    ...services.map((service): RecordedEvent => ({
      type: "taskChanged",
      at: 1,
      task: `1.${service}`,
      state: "RUNNING",
      attempt: 1,
    })),
  ]);
  await append("release/one/cart", "cart", [changed(true)]);
  await append("release/one/stock", "stock", [changed(false)]);

  const row = await findOrder(db, "one");
  if (row === undefined) throw new Error("The order is not there.");
  const shown = await readReleaseOrder(db, row);
  const offered = (service: string): string[][] => [
    shown.apps.find((app) => app.service === service)?.allowedActions ?? [],
    shown.tasks.find((task) => task.id === `1.${service}`)?.allowedActions ?? [],
  ];
  expect(offered("cart")).toEqual([[], []]);
  expect(offered("stock")).toEqual([["cancel"], ["cancel"]]);
  expect(shown.apps.map((app) => app.groups.map((group) => group.pods.map((pod) => pod.name)))).toEqual([
    [["cart-0"], ["cart-1"]],
    [["stock-0"], ["stock-1"]],
  ]);
});
