/**
 * The kernel knows nothing of what orders are about: everything that this file needs of a kind of its own (operations,
 * and a planner that names them) is in this file, and runs on the product's workflows, records and worker code.
 */
import { randomUUID } from "node:crypto";
import { NativeConnection, Worker } from "@temporalio/worker";
import Type, { type Static } from "typebox";
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import type { Operation } from "../../activities/operation.ts";
import { operationActivities } from "../../activities/operation.ts";
import type { Planner } from "../../activities/planning/activities.ts";
import { createPlanningActivities } from "../../activities/planning/activities.ts";
import { createRecordActivities } from "../../activities/records/activities.ts";
import { createOrderEngine } from "../../activities/temporal/orders.ts";
import { findOrder, insertOrder, readTasks } from "../../db/repositories/orders.ts";
import { workspaceGroups } from "../../db/schema/index.ts";
import type { OperationCatalogue, OperationSpec } from "../../domain/pipeline/operation.ts";
import { invoke } from "../../domain/pipeline/operation.ts";
import { ORCHESTRATOR_QUEUE } from "../../domain/pipeline/task.ts";
import { startProduct } from "../support/product.ts";
import type { Product } from "../support/product.ts";

/** What the operations work on: a shelf of books. */
type Library = { shelf: string[]; log: string[]; refuse: Set<string> };

const Params = Type.Object({ book: Type.String() }, { additionalProperties: false });

const shelve: Operation<Library, Static<typeof Params>> = {
  name: "shelveBook",
  description: "Puts a book on the shelf.",
  params: Params,
  latency: "quick",
  idempotency: "A book that is on the shelf stays there.",
  undo: "takeBook",
  async run({ shelf, log, refuse }, { book }, { holder }) {
    log.push(`shelve ${holder}`);
    if (refuse.has(book)) return { outcome: "failed", reason: `${book} does not fit`, changed: false };
    if (!shelf.includes(book)) shelf.push(book);
    return { outcome: "done", summary: `${book} is on the shelf`, changed: true };
  },
};

const take: Operation<Library, Static<typeof Params>> = {
  name: "takeBook",
  description: "Takes a book from the shelf.",
  params: Params,
  latency: "quick",
  idempotency: "A book that is not there need not be taken.",
  async run({ shelf, log }, { book }, { holder }) {
    log.push(`take ${holder}`);
    shelf.splice(0, shelf.length, ...shelf.filter((one) => one !== book));
    return { outcome: "done", summary: `${book} is gone`, changed: true };
  },
};

const operations: readonly Operation<Library, never>[] = [shelve, take];
const catalogue: OperationCatalogue = new Map<string, OperationSpec>(operations.map((one) => [one.name, one]));
const QUEUE = "library";

const planner: Planner = {
  kind: "library",
  subjects: () => [],
  observations: async () => [],
  compile: async (order, generation) => {
    const { books } = order.request as { books: string[] };
    const tasks = books.map((book, index) => ({
      id: `${generation}.${book}`,
      title: `shelve ${book}`,
      kind: "activity" as const,
      dependsOn: books.slice(0, index).map((before) => `${generation}.${before}`),
      ...invoke(catalogue, "shelveBook", { book }, { queue: QUEUE, queueWait: 20_000, summary: book }),
    }));
    return { ok: true, pipelines: [{ workflowId: order.workflowId, tasks }], pods: [], essence: books };
  },
  compileRollback: async () => ({ ok: false, faults: ["books are not put back"] }),
};

const library: Library = { shelf: [], log: [], refuse: new Set() };
let product: Product;
let connection: NativeConnection;
const workers: { worker: Worker; running: Promise<void> }[] = [];

beforeAll(async () => {
  product = await startProduct({ workers: { orchestrators: 0, clusters: 0 }, api: false });
  const { db } = product.database;
  const { temporal, workflowBundle } = inject("stack");
  connection = await NativeConnection.connect({ address: temporal.address });
  const common = { connection, namespace: product.temporalNamespace };
  workers.push(
    ...[
      await Worker.create({
        ...common,
        taskQueue: ORCHESTRATOR_QUEUE,
        workflowBundle: { codePath: workflowBundle },
        activities: {
          ...createRecordActivities(db, createOrderEngine(product.temporal), () => []),
          ...createPlanningActivities(db, [planner]),
        },
      }),
      await Worker.create({ ...common, taskQueue: QUEUE, activities: operationActivities(operations, library) }),
    ].map((worker) => ({ worker, running: worker.run() })),
  );
  await db.insert(workspaceGroups).values({ name: "readers" });
});

afterAll(async () => {
  for (const { worker } of workers) worker.shutdown();
  await Promise.all(workers.map((one) => one.running));
  await connection?.close();
  await product?.stop();
});

/** An order of the library, READY. Returns what acts on it. */
async function prepare(books: string[]) {
  const { db } = product.database;
  const id = randomUUID();
  const workflowId = `library/${id}`;
  const row = {
    id,
    kind: "library",
    workflowId,
    workspaceGroup: "readers",
    title: "books",
    request: { books },
    creator: "ann",
  };
  await db.transaction((tx) => insertOrder(tx, row));
  // Workflow types are names for people: all are one implementation.
  await product.temporal.workflow.start("releaseOrder", {
    workflowId,
    taskQueue: ORCHESTRATOR_QUEUE,
    args: [{ orderId: id, kind: "library", title: "books", workspaceGroup: "readers", creator: "ann", subjects: [] }],
  });
  const engine = createOrderEngine(product.temporal);
  const stateOf = async () => (await findOrder(db, id))?.state;
  await vi.waitFor(async () => expect(await stateOf()).toBe("READY"), { timeout: 20_000, interval: 100 });
  return {
    id,
    digest: (await findOrder(db, id))?.digest ?? "",
    stateOf,
    tasks: async () => (await readTasks(db, id, 1)).map((task) => [task.id, task.state, task.attempt]),
    act: (verb: "start" | "cancel" | "retry", digest?: string) =>
      engine.act(
        workflowId,
        { id: randomUUID(), actor: { subject: "ann", role: "admin" }, verb, ...(digest && { digest }) },
        30_000,
      ),
    until: (state: string) =>
      vi.waitFor(async () => expect(await stateOf()).toBe(state), { timeout: 20_000, interval: 100 }),
  };
}

test("operations of a new kind of order run, fail, are retried and succeed", async () => {
  library.refuse.add("emma");
  const one = await prepare(["dune", "emma"]);
  expect(await one.act("start", one.digest)).toMatchObject({ kind: "answered", answer: { ok: true } });
  await one.until("FAILED");
  expect(library.shelf).toEqual(["dune"]);
  library.refuse.clear();
  expect(await one.act("retry")).toMatchObject({ kind: "answered", answer: { ok: true } });
  await one.until("SUCCEEDED");
  expect(library.shelf).toEqual(["dune", "emma"]);
  expect(library.log).toEqual(["shelve 1.dune#1.1", "shelve 1.emma#1.1", "shelve 1.emma#2.1"]);
  expect(await one.tasks()).toEqual([
    ["1.dune", "SUCCEEDED", 1],
    ["1.emma", "SUCCEEDED", 2],
  ]);
});

test("and are taken back in reverse when it is cancelled", async () => {
  library.log.length = 0;
  library.shelf.length = 0;
  library.refuse.add("iliad");
  const one = await prepare(["ulysses", "persuasion", "iliad"]);
  await one.act("start", one.digest);
  await one.until("FAILED");
  expect(library.shelf).toEqual(["ulysses", "persuasion"]);
  expect(await one.act("cancel")).toMatchObject({ kind: "answered", answer: { ok: true, state: "CANCELLED" } });
  expect(library.shelf).toEqual([]);
  expect(library.log.slice(3)).toEqual(["take 1.iliad#2.1", "take 1.persuasion#2.1", "take 1.ulysses#2.1"]);
});
