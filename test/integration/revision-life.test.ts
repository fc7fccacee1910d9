/** From draft to revision, and to the end of a service: over the API, with the records of orders as they are written. */
import { eq } from "drizzle-orm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { nameRevisions } from "../../db/repositories/order-revisions.ts";
import { appendEvents } from "../../db/repositories/order-events.ts";
import { insertOrder } from "../../db/repositories/orders.ts";
import { pipelines } from "../../db/schema/index.ts";
import type { RecordedEvent } from "../../domain/pipeline/model.ts";
import { isEnded, type PipelineStateName } from "../../domain/pipeline/states.ts";
import { createTestApi, type TestApi } from "../support/api.ts";

const group = "/api/v1/workspace-groups/shop";
const kubeconfig = stringify({
  apiVersion: "v1",
  kind: "Config",
  clusters: [{ name: "c", cluster: { server: "https://10.0.0.1:6443" } }],
  users: [{ name: "u", user: { token: "t" } }],
  contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
  "current-context": "x",
});

let api: TestApi;
/** Each test has a service of its own. */
let name: string;
let service: string;
let draft: string;
let revisions: string;
let counter = 0;
beforeAll(async () => {
  api = await createTestApi();
  const cell = { workspace: "main", zone: "RZ01", az: "az-a", cluster: "local" };
  const catalogue: [string, unknown][] = [
    ["/api/v1/clusters/local", { access: "kubeconfig", kubeconfig }],
    [group, {}],
    [`${group}/workspaces/main`, { region: "local" }],
    [`${group}/cells/cell-a`, cell],
    [`${group}/cells/cell-b`, cell],
    [`${group}/applications/Shop`, { owner: "Ada" }],
  ];
  for (const [url, content] of catalogue) await put(url, content);
});
afterAll(() => api.close());
beforeEach(async () => {
  name = `svc-${counter++}`;
  service = `${group}/app-services/${name}`;
  draft = `${service}/draft`;
  revisions = `${service}/revisions`;
  await put(service, { application: "Shop", namespace: "shop" });
});

async function put(url: string, content: unknown): Promise<void> {
  const made = await api.call("PUT", url, content);
  if (made.statusCode !== 201) throw new Error(`${url}: ${made.body}`);
}

function body(tag: string, more: { cells?: object; containers?: string[]; value?: string } = {}) {
  const { cells = { "cell-a": { replicas: 2 } }, containers = ["main"], value = "info" } = more;
  return {
    template: {
      containers: containers.map((each) => ({
        name: each,
        image: `shop/${each}:${tag}`,
        env: [{ name: "LEVEL", value }],
      })),
    },
    cells,
  };
}

async function revise(tag: string, more: Parameters<typeof body>[1] = {}): Promise<number> {
  const made = await api.call("POST", revisions, body(tag, more));
  expect(made.statusCode).toBe(201);
  return made.json().number;
}

/** Records an order over a revision of the test's service, as its workflows would. */
async function ordered(number: number, states: PipelineStateName[], ends?: PipelineStateName): Promise<string> {
  const { db } = api.database;
  const id = `o${counter++}`;
  const workflowId = `release/${id}`;
  const app = { service: name, revision: number };
  const request = { type: "GROUPED", apps: [app], dependencies: [] };
  await db.transaction(async (tx) => {
    const order = { id, kind: "release", workflowId, workspaceGroup: "shop", title: `order ${id}`, creator: "ann" };
    await insertOrder(tx, { ...order, request });
    await nameRevisions(tx, id, "shop", [app]);
    const changed = (state: PipelineStateName): RecordedEvent => ({
      type: "pipelineChanged",
      at: Date.now(),
      state,
      committed: true,
      allowed: [],
    });
    const events = states.map(changed);
    await appendEvents(tx, { orderId: id, stream: `${workflowId}/${name}`, subject: name, first: 1, events });
    const end = ends ?? states.at(-1);
    if (end !== undefined && isEnded(end)) {
      await appendEvents(tx, { orderId: id, stream: workflowId, first: 1, events: [changed(end)] });
    }
  });
  return id;
}

/** What a plan of rollback records: the revision that it leads back to. */
async function ledBack(order: string, revision: number | null): Promise<void> {
  await api.database.db
    .update(pipelines)
    .set({ rollback: { revision } })
    .where(eq(pipelines.workflowId, `release/${order}/${name}`));
}

const stateOf = async (number: number) => {
  const { state, current, releasedBy } = (await api.call("GET", `${revisions}/${number}`)).json();
  return { state, current, releasedBy: releasedBy.map((each: { order: string }) => each.order) };
};

describe("the draft", () => {
  test("is put, changed under its version, and thrown away", async () => {
    expect((await api.call("GET", draft)).json().detail).toContain("draft of app service");
    const made = await api.call("PUT", draft, body("1"));
    expect([made.statusCode, made.headers.etag]).toEqual([201, '"1"']);
    expect(made.json()).toMatchObject({
      state: "DRAFT",
      service: name,
      createdBy: "admin-user",
      release: { beta: true },
    });
    expect((await api.call("PUT", draft, body("1"))).headers.etag).toBe('"1"');
    const someone = { authorization: `Bearer ${await api.token(["admin"], { sub: "someone" })}` };
    const changed = await api.call("PUT", draft, body("2"), { ...someone, "if-match": '"1"' });
    expect(changed.json()).toMatchObject({ version: 2, createdBy: "admin-user", updatedBy: "someone" });
    expect((await api.call("PUT", draft, body("3"), { "if-match": '"1"' })).statusCode).toBe(412);
    expect((await api.call("GET", draft)).json()).toEqual(changed.json());
    expect((await api.call("DELETE", draft, undefined, { "if-match": '"1"' })).statusCode).toBe(412);
    expect((await api.call("DELETE", draft)).statusCode).toBe(204);
    expect((await api.call("GET", draft)).statusCode).toBe(404);
    expect((await api.call("PUT", `${group}/app-services/none/draft`, body("1"))).statusCode).toBe(404);
  });

  test("is checked like a revision, all faults at once", async () => {
    const wrong = { ...body("1"), cells: { ["c".repeat(50)]: {} } };
    wrong.template.containers[0]!.image = "Not An Image";
    const refused = await api.call("PUT", draft, wrong);
    expect([refused.statusCode, refused.json().errors.length]).toEqual([422, 2]);
  });

  test("becomes the next revision, once, and is gone", async () => {
    await api.call("PUT", draft, body("1"));
    const submitted = await api.call("POST", `${draft}/actions/submit`, {}, { "idempotency-key": "k" });
    expect(submitted.statusCode).toBe(201);
    expect(submitted.json()).toMatchObject({ number: 1, state: "SUBMITTED", current: false, releasedBy: [] });
    expect((await api.call("GET", `${revisions}/1`)).json()).toEqual(submitted.json());
    expect((await api.call("GET", draft)).statusCode).toBe(404);
    const again = await api.call("POST", `${draft}/actions/submit`, {}, { "idempotency-key": "k" });
    expect(again.json()).toEqual(submitted.json());
    const without = await api.call("POST", `${draft}/actions/submit`);
    expect([without.statusCode, without.json().detail]).toEqual([404, expect.stringContaining("draft of app service")]);
  });

  test("that names unknown cells is kept, and not submitted", async () => {
    await api.call("PUT", draft, body("1", { cells: { "cell-x": {} } }));
    const refused = await api.call("POST", `${draft}/actions/submit`, {});
    expect([refused.statusCode, refused.json().errors[0].field]).toEqual([422, "/cells/cell-x"]);
    expect((await api.call("GET", draft)).statusCode).toBe(200);
    expect(await revise("1")).toBe(1);
  });

  test("submitted eight times at once makes one revision", async () => {
    await api.call("PUT", draft, body("1"));
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.call("POST", `${draft}/actions/submit`, {})));
    const codes = answers.map((each) => each.statusCode).toSorted((one, other) => one - other);
    expect(codes).toEqual([201, ...Array(7).fill(404)]);
    expect((await api.call("GET", revisions)).json().items).toHaveLength(1);
  });

  test("edited while it is submitted is either in the revision or refused, never lost", async () => {
    for (let round = 0; round < 6; round++) {
      await api.call("PUT", draft, body("1"));
      const [edited, submitted] = await Promise.all([
        api.call("PUT", draft, body(`edit-${round}`), { "if-match": '"1"' }),
        api.call("POST", `${draft}/actions/submit`, {}),
      ]);
      expect(submitted.statusCode).toBe(201);
      const image = submitted.json().template.containers[0].image;
      expect([edited.statusCode, image]).toEqual(
        edited.statusCode === 200 ? [200, `shop/main:edit-${round}`] : [412, "shop/main:1"],
      );
      expect((await api.call("GET", draft)).statusCode).toBe(404);
    }
  });
});

describe("containers", () => {
  test("keep their names from revision to revision", async () => {
    await revise("1", { containers: ["main", "side"] });
    const renamed = await api.call("POST", revisions, body("2", { containers: ["main", "log"] }));
    expect(renamed.statusCode).toBe(422);
    expect(renamed.json().errors).toEqual([
      {
        field: "/template/containers/1/name",
        message: expect.stringContaining("side of the newest revision would go"),
      },
    ]);
    expect(await revise("2", { containers: ["main"] })).toBe(2);
    expect(await revise("3", { containers: ["main", "log"] })).toBe(3);
  });
});

describe("copies", () => {
  test("of a revision fill the draft, and replace one only when it is named", async () => {
    await revise("1");
    await revise("2");
    const copy = `${revisions}/1/actions/copy-to-draft`;
    const copied = await api.call("POST", copy, {});
    expect(copied.json()).toMatchObject({ base: 1, version: 1, template: { containers: [{ image: "shop/main:1" }] } });
    expect(copied.json()).not.toHaveProperty("number");
    const edited = await api.call("PUT", draft, body("3"));
    expect(edited.json()).toMatchObject({ base: 1, version: 2 });
    const refused = await api.call("POST", copy, {});
    expect([refused.statusCode, refused.json().detail]).toEqual([409, expect.stringContaining("version 2")]);
    expect((await api.call("POST", copy, {}, { "if-match": '"1"' })).statusCode).toBe(412);
    const replaced = await api.call("POST", `${revisions}/2/actions/copy-to-draft`, {}, { "if-match": '"2"' });
    expect(replaced.json()).toMatchObject({ base: 2, version: 3 });
    expect((await api.call("POST", `${revisions}/9/actions/copy-to-draft`, {})).statusCode).toBe(404);
  });

  test("go out and come in as documents, and only fill the draft", async () => {
    await revise("1", { value: "loud" });
    const out = await api.call("GET", `${revisions}/1/export`);
    expect(out.headers["content-disposition"]).toBe(`attachment; filename="${name}-1.json"`);
    expect(out.json()).toMatchObject({
      apiVersion: "cellwright.io/v1",
      kind: "Revision",
      metadata: { workspaceGroup: "shop", service: name, number: 1, createdBy: "admin-user" },
    });
    const imported = await api.call("POST", `${draft}/actions/import`, out.json());
    expect(imported.statusCode).toBe(201);
    expect(imported.json()).not.toHaveProperty("base");
    expect((await api.call("GET", revisions)).json().items).toHaveLength(1);
    const submitted = (await api.call("POST", `${draft}/actions/submit`, {})).json();
    const { spec } = out.json<{ spec: object }>();
    expect(submitted).toMatchObject(spec);

    const wrong = {
      ...out.json(),
      spec: { ...spec, template: { containers: [{ name: "main", image: "A B" }] } },
    };
    const refused = await api.call("POST", `${draft}/actions/import`, wrong);
    expect([refused.statusCode, refused.json().errors[0].field]).toEqual([422, "/spec/template/containers/0/image"]);
    const other = await api.call("POST", `${draft}/actions/import`, { ...out.json<object>(), apiVersion: "v2" });
    expect([other.statusCode, other.json().errors[0].field]).toEqual([422, "/apiVersion"]);
    expect((await api.call("GET", draft)).statusCode).toBe(404);
  });
});

describe("comparing", () => {
  test("shows fields and cells, and Kubernetes' view as text, without values of variables", async () => {
    await revise("1", { value: "s3cret-1" });
    await revise("2", { value: "s3cret-2", cells: { "cell-a": { replicas: 3 }, "cell-b": { replicas: 1 } } });
    const diff = await api.call("GET", `${revisions}/1/diff/2`);
    expect(diff.json()).toMatchObject({
      from: 1,
      to: 2,
      cells: [
        { cell: "cell-a", change: "CHANGED", pods: { from: 2, to: 3 }, recreate: [expect.stringContaining("LEVEL")] },
        { cell: "cell-b", change: "ADDED", pods: { from: 0, to: 1 } },
      ],
    });
    expect(diff.json().fields.map((each: { field: string }) => each.field)).toEqual([
      "/cells/cell-a/replicas",
      "/cells/cell-b",
      "/template/containers/main/env/LEVEL/value",
      "/template/containers/main/image",
    ]);
    const text = await api.call("GET", `${revisions}/1/diff/2?format=kubernetes`);
    expect(text.headers["content-type"]).toMatch(/^text\/plain/);
    expect(text.body).toMatch(/# cell cell-a, cluster local\n--- a\/StatefulSet\/shop\//);
    expect(diff.body + text.body).not.toContain("s3cret");
    expect((await api.call("GET", `${revisions}/1/diff/9`)).statusCode).toBe(404);
    expect((await api.call("GET", `${revisions}/1/diff/2?format=xml`)).statusCode).toBe(400);
  });

  test("with what runs follows the records", async () => {
    await revise("1");
    await revise("2");
    const changes = async (number: number) => api.call("GET", `${revisions}/${number}/changes`);
    expect((await changes(1)).json()).toMatchObject({ to: 1, cells: [{ change: "ADDED" }] });
    await ordered(1, ["RUNNING", "SUCCEEDED"]);
    expect((await changes(2)).json()).toMatchObject({ from: 1, to: 2, cells: [{ change: "CHANGED" }] });
    expect((await changes(1)).json()).toMatchObject({ from: 1, fields: [], cells: [{ change: "UNCHANGED" }] });
    const open = await ordered(2, ["RUNNING", "FAILED"]);
    expect((await changes(2)).json()).toMatchObject({ status: 409, detail: expect.stringContaining(open) });
  });
});

describe("a revision's state", () => {
  test("tells who released it, and which one runs, also after rollbacks", async () => {
    for (const tag of ["1", "2", "3"]) await revise(tag);
    expect(await stateOf(1)).toEqual({ state: "SUBMITTED", current: false, releasedBy: [] });
    const first = await ordered(1, ["RUNNING", "SUCCEEDED"]);
    expect(await stateOf(1)).toEqual({ state: "RELEASED", current: true, releasedBy: [first] });

    // Succeeded as an app, and then rolled back with its order: it was released, and does not run.
    const second = await ordered(2, ["RUNNING", "SUCCEEDED", "ROLLING_BACK", "ROLLED_BACK"]);
    await ledBack(second, 1);
    expect(await stateOf(2)).toEqual({ state: "RELEASED", current: false, releasedBy: [second] });
    expect((await stateOf(1)).current).toBe(true);

    await ordered(3, ["RUNNING", "FAILED", "TERMINATED"]);
    expect(await stateOf(3)).toEqual({ state: "SUBMITTED", current: false, releasedBy: [] });
    expect((await stateOf(1)).current).toBe(false);
    const again = await ordered(1, ["RUNNING", "SUCCEEDED"]);
    expect(await stateOf(1)).toEqual({ state: "RELEASED", current: true, releasedBy: [again, first] });
    const listed = (await api.call("GET", revisions)).json().items;
    expect(listed.map((each: { state: string; current: boolean }) => [each.state, each.current])).toEqual([
      ["SUBMITTED", false],
      ["RELEASED", false],
      ["RELEASED", true],
    ]);
  });
});

describe("deleting a service", () => {
  const remove = (confirm?: string) =>
    api.call("DELETE", `${service}${confirm === undefined ? "" : `?confirm=${confirm}`}`);

  test("takes its name, typed", async () => {
    expect([(await remove()).statusCode, (await remove("other")).statusCode]).toEqual([400, 400]);
    expect((await remove("other")).json().errors).toEqual([
      { field: "query:confirm", message: expect.stringContaining(name) },
    ]);
    const stale = await api.call("DELETE", `${service}?confirm=${name}`, undefined, { "if-match": '"7"' });
    expect(stale.statusCode).toBe(412);
    expect((await remove(name)).statusCode).toBe(204);
    expect((await api.call("GET", service)).statusCode).toBe(404);
  });

  test("takes draft and revisions along; one of the same name counts on", async () => {
    await revise("1");
    await revise("2");
    await api.call("PUT", draft, body("3"));
    expect((await remove(name)).statusCode).toBe(204);
    await api.call("PUT", service, { application: "Shop", namespace: "shop" });
    expect((await api.call("GET", draft)).statusCode).toBe(404);
    expect((await api.call("GET", revisions)).json().items).toEqual([]);
    expect(await revise("1")).toBe(3);
    expect((await remove(name)).statusCode).toBe(204);
    await api.call("PUT", service, { application: "Shop", namespace: "shop" });
    expect(await revise("1")).toBe(4);
  });

  test.each<[string, PipelineStateName[], number | null | undefined, number, RegExp]>([
    ["runs", ["RUNNING", "SUCCEEDED"], undefined, 409, /revision 1, by release order o\d+, with 2 pods in cell-a/],
    ["is being released", ["RUNNING"], undefined, 409, /used by release order o\d+ \(INITIALIZING\)/],
    ["was left half way", ["RUNNING", "TERMINATED"], undefined, 409, /has ended TERMINATED after it had changed/],
    ["was rolled back to another", ["RUNNING", "ROLLED_BACK"], 1, 409, /runs: revision 1/],
    ["was rolled back to nothing", ["RUNNING", "ROLLED_BACK"], null, 204, /^$/],
  ])("that %s", async (_what, states, back, status, detail) => {
    await revise("1");
    const order = await ordered(1, states);
    if (back !== undefined) await ledBack(order, back);
    const answer = await remove(name);
    expect([answer.statusCode, answer.body === "" ? "" : answer.json().detail]).toEqual([
      status,
      expect.stringMatching(detail),
    ]);
    expect((await api.call("GET", service)).statusCode).toBe(status === 204 ? 404 : 200);
  });

  test("that was taken away is possible, and what its orders came to is not the next one's", async () => {
    await revise("1");
    await ordered(1, ["RUNNING", "SUCCEEDED"]);
    const nowhere = await revise("1", { cells: {} });
    await ordered(nowhere, ["RUNNING", "SUCCEEDED"]);
    expect((await remove(name)).statusCode).toBe(204);
    await api.call("PUT", service, { application: "Shop", namespace: "shop" });
    await revise("1");
    expect(await stateOf(3)).toEqual({ state: "SUBMITTED", current: false, releasedBy: [] });
    expect((await api.call("GET", `${revisions}/3/changes`)).json()).toMatchObject({ cells: [{ change: "ADDED" }] });
  });

  test("while its lock is held names the order", async () => {
    await revise("1");
    const order = await ordered(1, ["RUNNING", "ROLLED_BACK"]);
    await ledBack(order, null);
    await api.database.pool.query("insert into locks (workspace_group, service, order_id) values ('shop', $1, $2)", [
      name,
      order,
    ]);
    const refused = await remove(name);
    expect([refused.statusCode, refused.json().dependants]).toEqual([409, [`release order ${order} (ROLLED_BACK)`]]);
  });
});
