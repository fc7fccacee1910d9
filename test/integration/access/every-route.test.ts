/** Every role on every route, in its own group and in another: denied unless granted. */
import { Client as TemporalClient, Connection } from "@temporalio/client";
import type { LightMyRequestResponse, RouteOptions } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { createOrderEngine } from "../../../activities/temporal/orders.ts";
import { createPodReports } from "../../../activities/temporal/pod-reports.ts";
import { orderRoutes } from "../../../api/routes/orders.ts";
import { nameRevisions } from "../../../db/repositories/order-revisions.ts";
import { insertOrder } from "../../../db/repositories/orders.ts";
import { COLUMNS, MATRIX, PUBLIC, type Column } from "../../support/access-matrix.ts";
import { createTestApi, type TestApi } from "../../support/api.ts";

const GROUPS = { own: "own-group", other: "other-group", none: "no-such-group" } as const;
const ORDERS = { own: "1own", other: "1other", none: "1none" } as const;
type Where = keyof typeof GROUPS;

const BOUND: Readonly<Record<string, { role: string; applications?: string[] }>> = {
  V: { role: "viewer" },
  D: { role: "developer", applications: ["Shop"] },
  d: { role: "developer", applications: ["Bank"] },
  O: { role: "operator" },
  A: { role: "approver" },
  M: { role: "admin" },
};

let api: TestApi;
const routes: RouteOptions[] = [];
const tokens = new Map<string, string>();

beforeAll(async () => {
  // Nothing is asked of Temporal: what is let in here is refused by validation.
  const client = new TemporalClient({ connection: Connection.lazy({ address: "127.0.0.1:1" }) });
  api = await createTestApi({ routes: orderRoutes(createOrderEngine(client), createPodReports(client)) }, (app) => {
    app.addHook("onRoute", (route) => void routes.push(route));
  });
  await api.call("PUT", "/api/v1/clusters/own-cluster", { access: "kubeconfig", kubeconfig: kubeconfig("own") });
  await api.call("PUT", "/api/v1/clusters/other-cluster", { access: "kubeconfig", kubeconfig: kubeconfig("other") });
  for (const where of ["own", "other"] as const) {
    const group = `/api/v1/workspace-groups/${GROUPS[where]}`;
    await put(group, {});
    await put(`${group}/workspaces/main`, { region: "eu-1" });
    const cell = { workspace: "main", zone: "RZ01", az: "az-a", cluster: `${where}-cluster` };
    await put(`${group}/cells/cell-a`, cell);
    await put(`${group}/applications/Shop`, { owner: "someone" });
    await put(`${group}/applications/Bank`, { owner: "someone" });
    await put(`${group}/app-services/cart`, { application: "Shop", namespace: where });
    await put(`${group}/role-bindings/unrelated`, { subject: "nobody-else", role: "viewer" });
    const revision = {
      template: { containers: [{ name: "main", image: "shop/cart:1" }] },
      cells: { "cell-a": { replicas: 1 } },
    };
    const made = await api.call("POST", `${group}/app-services/cart/revisions`, revision);
    if (made.statusCode !== 201) throw new Error(made.body);
    const [id, workspaceGroup] = [ORDERS[where], GROUPS[where]];
    const request = { type: "GROUPED", apps: [{ service: "cart", revision: 1 }], dependencies: [] };
    await insertOrder(api.database.db, {
      id,
      kind: "release",
      workflowId: `release/${id}`,
      workspaceGroup,
      title: "one",
      request,
      creator: "someone",
      supersedes: null,
    });
    await nameRevisions(api.database.db, id, workspaceGroup, request.apps);
  }
  for (const [column, body] of Object.entries(BOUND)) {
    const subject = `person-${column}`;
    await put(`/api/v1/workspace-groups/own-group/role-bindings/${body.role}-${column === "d" ? "two" : "one"}`, {
      subject,
      ...body,
    });
    tokens.set(column, await api.token([], { sub: subject }));
  }
  tokens.set("v", await api.token(["viewer"]));
  tokens.set("a", await api.token(["admin"]));
  tokens.set("stranger", await api.token(["root", "operator"], { sub: "stranger" }));
});
afterAll(() => api.close());

describe("the table of who may do what", () => {
  test("has a line for every route that the API serves, and no other line", () => {
    const served = routes.flatMap((route) => linesOf(route)).filter((name) => !PUBLIC.includes(name));
    expect(served.length).toBeGreaterThan(60);
    expect([...MATRIX.keys()].toSorted()).toEqual([...new Set(served)].toSorted());
  });

  test("holds for every role, in its own group", { timeout: 180_000 }, async () => {
    const before = await content();
    for (const [name, { method, path, allowed }] of MATRIX) {
      for (const column of COLUMNS) {
        const answer = await ask(method, path, "own", tokens.get(column) ?? "");
        expect([name, column, verdict(answer)]).toEqual([name, column, allowed.has(column) ? "let in" : "refused"]);
      }
    }
    // What was let in was not valid, what was refused had no effect.
    expect(await content()).toEqual(before);
  });

  test("and in another group nothing is let in, or told: as if it did not exist", { timeout: 180_000 }, async () => {
    const before = await content();
    for (const [name, { method, path, allowed }] of MATRIX) {
      if (!isInGroup(name)) continue;
      for (const column of COLUMNS) {
        const answer = await ask(method, path, "other", tokens.get(column) ?? "");
        const absent = await ask(method, path, "none", tokens.get(column) ?? "");
        const isBound = column !== "v" && column !== "a";
        // Who may create orders nowhere is refused before anybody looks where.
        const early = name === NEW_ORDER && !BOUND_TO_CREATE.includes(column);
        const expected = isBound ? (early ? "refused" : "hidden") : allowed.has(column) ? "let in" : "refused";
        expect([name, column, verdict(answer)]).toEqual([name, column, expected]);
        const same = told(answer, "other") === told(absent, "none");
        expect([name, column, same || !isBound]).toEqual([name, column, true]);
      }
    }
    expect(await content()).toEqual(before);
  });

  test("who has no role is let in nowhere, and who has no token is not either", { timeout: 120_000 }, async () => {
    const before = await content();
    for (const [name, { method, path }] of MATRIX) {
      for (const where of ["own", "none"] as const) {
        const stranger = await ask(method, path, where, tokens.get("stranger") ?? "");
        expect([name, stranger.statusCode, stranger.json().type]).toEqual([name, 403, "/problems/forbidden"]);
        const nobody = await ask(method, path, where, null);
        expect([name, nobody.statusCode, nobody.json().type]).toEqual([name, 401, "/problems/unauthenticated"]);
      }
    }
    expect(await content()).toEqual(before);
  });

  test("every refusal is in the audit records, with its group", async () => {
    const { rows } = await api.database.pool.query(
      "select method, resource, workspace_group, status from audit_records where status in (401, 403) group by 1, 2, 3, 4",
    );
    const refusals = new Set(rows.map((row) => `${row.method} ${row.resource} ${row.workspace_group} ${row.status}`));
    const missing = [...MATRIX].flatMap(([name, { method, path, allowed }]) => {
      const call = `${method} ${addressOf(path, "own")}`;
      const refused = isInGroup(name) && COLUMNS.some((column) => !allowed.has(column));
      // Who only reads, and as nobody, leaves no record.
      const unknown = method === "GET" ? [] : [`${call} null 401`];
      return [...unknown, ...(refused ? [`${call} own-group 403`] : [])].filter((one) => !refusals.has(one));
    });
    expect(missing).toEqual([]);
  });
});

describe("lists", () => {
  const names = async (url: string, column: Column | "stranger", key = "name"): Promise<string[]> => {
    const answer = await api.call("GET", `/api/v1${url}`, undefined, { authorization: `Bearer ${tokens.get(column)}` });
    expect([url, answer.statusCode]).toEqual([url, 200]);
    return answer.json().items.map((item: Record<string, string>) => item[key]);
  };

  test("show only what is in groups that one may read", async () => {
    for (const column of ["V", "D", "d", "O", "A", "M"] as const) {
      expect(await names("/workspace-groups", column)).toEqual(["own-group"]);
      expect(await names("/clusters", column)).toEqual(["own-cluster"]);
      expect(await names("/orders", column, "id")).toEqual(["1own"]);
      expect(await names("/release-orders", column, "id")).toEqual(["1own"]);
    }
    for (const column of ["v", "a"] as const) {
      expect(await names("/workspace-groups", column)).toEqual(["other-group", "own-group"]);
      expect(await names("/clusters", column)).toEqual(["other-cluster", "own-cluster"]);
      expect((await names("/orders", column, "id")).toSorted()).toEqual(["1other", "1own"]);
    }
  });

  test("of another group, and clusters of other groups, look as if they did not exist", async () => {
    const authorization = `Bearer ${tokens.get("M")}`;
    for (const [there, absent] of [
      ["/orders?workspaceGroup=other-group", "/orders?workspaceGroup=no-such-group"],
      ["/audit-records?workspaceGroup=other-group", "/audit-records?workspaceGroup=no-such-group"],
      ["/clusters/other-cluster", "/clusters/no-such-cluster"],
    ]) {
      const [one, two] = [
        await api.call("GET", `/api/v1${there}`, undefined, { authorization }),
        await api.call("GET", `/api/v1${absent}`, undefined, { authorization }),
      ];
      expect([there, one.statusCode, two.statusCode]).toEqual([there, 404, 404]);
      expect(one.json().detail.replaceAll("other-", "")).toBe(two.json().detail.replaceAll("no-such-", ""));
    }
  });
});

describe("own services", () => {
  const as = (column: string) => ({ authorization: `Bearer ${tokens.get(column)}` });
  const order = (services: string[], more: object = {}) => ({
    workspaceGroup: "own-group",
    title: "t",
    type: "GROUPED",
    apps: services.map((service) => ({ service })),
    ...more,
  });

  test("an order is one's own only if all its services are", async () => {
    await put("/api/v1/workspace-groups/own-group/app-services/ledger", { application: "Bank", namespace: "bank" });
    const create = (column: string, body: object) => api.call("POST", "/api/v1/release-orders", body, as(column));
    expect((await create("D", order(["ledger"]))).statusCode).toBe(403);
    expect((await create("D", order(["cart", "ledger"]))).statusCode).toBe(403);
    // What does not exist is nobody's own.
    expect((await create("D", order(["cart", "no-such"]))).statusCode).toBe(403);
    // Let in, and refused for its content: there is no such revision.
    const bad = await create("D", { ...order([]), apps: [{ service: "cart", revision: 99 }] });
    expect([bad.statusCode, bad.json().errors[0].field]).toEqual([422, "/apps/0/revision"]);
    expect((await create("O", order(["cart", "ledger"]))).statusCode).toBe(422);

    await api.database.pool.query(
      "insert into revisions (workspace_group, service, number, spec, created_by) values ('own-group', 'ledger', 1, '{}', 'x')",
    );
    await nameRevisions(api.database.db, ORDERS.own, "own-group", [{ service: "ledger", revision: 1 }]);
    const pause = (column: string) =>
      api.call("POST", "/api/v1/release-orders/1own/actions/pause", { zzz: 1 }, as(column));
    expect((await pause("D")).statusCode).toBe(403);
    expect((await pause("d")).statusCode).toBe(403);
    expect((await pause("O")).statusCode).toBe(422);
    // Who takes an order's place ends it.
    const supersede = await create("D", { ...order(["cart"]), supersedes: "1own" });
    expect([supersede.statusCode, supersede.json().type]).toEqual([403, "/problems/forbidden"]);

    // Two bindings together make both one's own.
    await put("/api/v1/workspace-groups/own-group/role-bindings/bank", {
      subject: "person-D",
      role: "developer",
      applications: ["Bank"],
    });
    expect((await pause("D")).statusCode).toBe(422);
    await api.call("DELETE", "/api/v1/workspace-groups/own-group/role-bindings/bank");
    expect((await pause("D")).statusCode).toBe(403);
  });

  test("roles come by claims of groups as well, and end with their binding", async () => {
    const token = await api.token([], { sub: "late", groups: ["team-cart", 7, ""] });
    const read = () =>
      api.call("GET", "/api/v1/workspace-groups/own-group", undefined, { authorization: `Bearer ${token}` });
    expect((await read()).statusCode).toBe(403);
    const binding = "/api/v1/workspace-groups/own-group/role-bindings/team";
    await put(binding, { groupClaim: "team-cart", role: "viewer" });
    expect((await read()).statusCode).toBe(200);
    await api.call("DELETE", binding);
    expect((await read()).statusCode).toBe(403);
  });
});

async function put(path: string, body: object): Promise<void> {
  const answer = await api.call("PUT", path, body);
  if (answer.statusCode >= 300) throw new Error(`PUT ${path}: ${answer.body}`);
}

/** The lines of the table that a route is, one for each of its verbs. */
function linesOf({ method, url, schema }: RouteOptions): string[] {
  const params = schema?.params as { properties?: { verb?: { enum: string[] } } } | undefined;
  const paths = url.endsWith("/:verb")
    ? (params?.properties?.verb?.enum ?? []).map((verb) => url.replace(":verb", verb))
    : [url];
  // Fastify answers HEAD wherever it answers GET, by the same route.
  const methods = [method].flat().filter((one) => one !== "HEAD");
  return methods
    .flatMap((one) => paths.map((path) => `${one} ${path.replace("/api/v1", "")}`))
    .filter((name) => !name.startsWith("GET /docs"));
}

const NEW_ORDER = "POST /release-orders";
const BOUND_TO_CREATE: readonly Column[] = ["D", "d", "O", "M"];

function isInGroup(name: string): boolean {
  return /:group|:id/.test(name) || name === NEW_ORDER;
}

function kubeconfig(name: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "x",
    clusters: [{ name: "c", cluster: { server: `https://${name}.invalid:6443` } }],
    users: [{ name: "u", user: { token: "t" } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
  });
}

const NAMES: Readonly<Record<string, string>> = {
  workspaces: "main",
  cells: "cell-a",
  applications: "Shop",
  "app-services": "cart",
  "role-bindings": "unrelated",
  clusters: "own-cluster",
};

function addressOf(path: string, where: Where): string {
  return `/api/v1${path
    .replace(":group", GROUPS[where])
    .replace(":id", ORDERS[where])
    .replace(":service", "cart")
    .replace(/([a-z-]+)\/:name/, (_all, kind: string) => `${kind}/${NAMES[kind]}`)
    .replace(":number", "1")
    .replace(":other", "1")
    .replace(":task", "1.cart")
    .replace(":pod", "cart-cell-a-0")}`;
}

/** Makes a call whose content is not valid, so that it has no effect even when it is let in. */
function ask(method: string, path: string, where: Where, token: string | null): Promise<LightMyRequestResponse> {
  const isNewOrder = `${method} ${path}` === NEW_ORDER;
  // A new order says in its body where it belongs: that must be valid to be looked at.
  const apps = [{ service: "cart", revision: 99 }];
  const order = { workspaceGroup: GROUPS[where], title: "t", type: "GROUPED", apps };
  const body = method === "POST" || method === "PUT" ? (isNewOrder ? order : { zzz: 1 }) : undefined;
  return api.call(method, addressOf(path, where), body, {
    accept: "application/json",
    authorization: token === null ? null : `Bearer ${token}`,
    ...(method === "DELETE" && { "if-match": "not a tag" }),
  });
}

function verdict(answer: LightMyRequestResponse): string {
  const { statusCode } = answer;
  if (statusCode === 401 || statusCode === 403) return "refused";
  if (statusCode === 404 && /^There is no (workspace group|\w+ order)/.test(answer.json().detail)) return "hidden";
  return statusCode < 500 ? "let in" : `failed ${statusCode}`;
}

/** What an answer says, but for the names that were asked for. */
function told(answer: LightMyRequestResponse, where: Where): string {
  const { requestId: _one, instance: _two, ...rest } = answer.json();
  return JSON.stringify(rest).replaceAll(GROUPS[where], "GROUP").replaceAll(ORDERS[where], "ORDER");
}

/** Everything stored but the audit records, as a number for each table. */
async function content(): Promise<Record<string, string>> {
  const { rows } = await api.database.pool.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'audit_records' order by 1",
  );
  const hashes: Record<string, string> = {};
  for (const { name } of rows) {
    const hash = await api.database.pool.query(
      `select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as hash from "${name}" t`,
    );
    hashes[name] = hash.rows[0].hash;
  }
  return hashes;
}
