/** Role bindings as a resource, the search of audit records, the dashboard, and what is kept for a time only. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tokenVerifier } from "../../../api/access/issuers.ts";
import { insertOrder } from "../../../db/repositories/orders.ts";
import { PIPELINE_STATES } from "../../../domain/pipeline/states.ts";
import { prune } from "../../../workers/retention.ts";
import { createTestApi, type TestApi } from "../../support/api.ts";
import { startTokenIssuer } from "../../support/token-issuer.ts";

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api.close());

const as = async (subject: string, groups: string[] = []) => ({
  authorization: `Bearer ${await api.token([], { sub: subject, groups })}`,
});
const groupPath = (group: string) => `/api/v1/workspace-groups/${group}`;
const newGroup = async (): Promise<string> => {
  const name = `g${randomBytes(5).toString("hex")}`;
  await api.call("PUT", groupPath(name), {});
  return name;
};
const bind = (group: string, name: string, body: object) =>
  api.call("PUT", `${groupPath(group)}/role-bindings/${name}`, body);

describe("role bindings", () => {
  test("are put, read, listed and deleted like everything in the catalogue", async () => {
    const group = await newGroup();
    await api.call("PUT", `${groupPath(group)}/applications/Shop`, { owner: "x" });
    const body = { subject: "alice", role: "developer", applications: ["Shop"] };
    const made = await bind(group, "alice", body);
    expect([made.statusCode, made.json()]).toEqual([
      201,
      expect.objectContaining({ name: "alice", version: 1, ...body }),
    ]);
    expect((await bind(group, "alice", body)).headers["etag"]).toBe('"1"');
    const replaced = await bind(group, "alice", { groupClaim: "team", role: "viewer" });
    expect([replaced.statusCode, replaced.json().version, replaced.json().subject]).toEqual([200, 2, undefined]);
    const path = `${groupPath(group)}/role-bindings/alice`;
    expect((await api.call("PUT", path, body, { "if-match": '"1"' })).statusCode).toBe(412);
    const listed = (await api.call("GET", `${groupPath(group)}/role-bindings`)).json().items;
    expect(listed).toEqual([replaced.json()]);
    expect((await api.call("DELETE", path)).statusCode).toBe(204);
    expect((await api.call("GET", path)).statusCode).toBe(404);
  });

  test("that make no sense are refused, with the field", async () => {
    const group = await newGroup();
    const bad: [object, string][] = [
      [{ role: "viewer" }, ""],
      [{ subject: "a", groupClaim: "b", role: "viewer" }, "/groupClaim"],
      [{ subject: "a", role: "root" }, "/role"],
      [{ subject: "a b", role: "viewer" }, "/subject"],
      [{ subject: "a", role: "admin", applications: ["Shop"] }, "/applications"],
      [{ subject: "a", role: "developer", applications: [] }, "/applications"],
      [{ subject: "a", role: "developer", applications: ["Shop"] }, "/applications/0"],
    ];
    for (const [body, field] of bad) {
      const answer = await bind(group, "x", body);
      expect([body, answer.statusCode]).toEqual([body, 422]);
      expect(answer.json().errors[0].field).toBe(field);
    }
  });

  test("go with their group, and are not there again with a new one of its name", async () => {
    const group = await newGroup();
    await bind(group, "boss", { subject: "boss", role: "admin" });
    const boss = await as("boss");
    expect((await api.call("DELETE", groupPath(group), undefined, boss)).statusCode).toBe(204);
    await api.call("PUT", groupPath(group), {});
    expect((await api.call("GET", groupPath(group), undefined, boss)).statusCode).toBe(403);
  });

  test("an administrator of a group rules it, and nothing else", async () => {
    const [group, other] = [await newGroup(), await newGroup()];
    await bind(group, "boss", { groupClaim: "bosses", role: "admin" });
    const boss = await as("b", ["bosses"]);
    const put = (path: string, body: object) => api.call("PUT", path, body, boss);
    expect((await put(`${groupPath(group)}/role-bindings/x`, { subject: "x", role: "operator" })).statusCode).toBe(201);
    expect((await put(`${groupPath(group)}/workspaces/main`, { region: "eu-1" })).statusCode).toBe(201);
    expect((await put(`${groupPath(other)}/role-bindings/x`, { subject: "x", role: "admin" })).statusCode).toBe(404);
    expect((await put(groupPath("brand-new-group"), {})).statusCode).toBe(404);
    expect((await put("/api/v1/clusters/x", { access: "kubeconfig", kubeconfig: "{}" })).statusCode).toBe(403);
    expect((await api.call("GET", groupPath("brand-new-group"))).statusCode).toBe(404);
  });

  test("an administrator of a group puts cells only on clusters onto which the group was let", async () => {
    const [group, other] = [await newGroup(), await newGroup()];
    await bind(group, "boss", { subject: `boss-${group}`, role: "admin" });
    const boss = await as(`boss-${group}`);
    for (const name of ["let-in", "foreign"]) {
      await api.database.pool.query(
        "insert into clusters (name, access, server, fingerprint, kubeconfig) values ($1, 'kubeconfig', 'https://x', 'x', '')",
        [name],
      );
    }
    for (const one of [group, other]) await api.call("PUT", `${groupPath(one)}/workspaces/main`, { region: "eu-1" });
    const put = (where: string, name: string, cluster: string, headers = {}) => {
      const body = { workspace: "main", zone: "RZ01", az: "az-a", cluster };
      return api.call("PUT", `${groupPath(where)}/cells/${name}`, body, headers);
    };
    expect((await put(other, "cell-a", "foreign")).statusCode).toBe(201);
    const refusals = [];
    for (const cluster of ["let-in", "foreign", "none"]) refusals.push(await put(group, "cell-a", cluster, boss));
    expect(refusals.map((one) => `${one.statusCode} ${one.json().errors[0].field}`)).toEqual(
      Array(3).fill("422 /cluster"),
    );
    expect(new Set(refusals.map((one) => one.json().detail)).size).toBe(1);
    expect((await put(group, "cell-a", "let-in")).statusCode).toBe(201);
    expect((await put(group, "cell-b", "let-in", boss)).statusCode).toBe(201);
  });
});

describe("audit records", () => {
  test("are searched by everything that they hold", async () => {
    const group = await newGroup();
    await bind(group, "o", { subject: `op-${group}`, role: "operator" });
    const operator = await as(`op-${group}`);
    const begin = new Date().toISOString();
    const made = await api.call("PUT", `${groupPath(group)}/applications/Shop`, { owner: "x" });
    await api.call("PUT", `${groupPath(group)}/applications/Shop`, { zzz: 1 });
    await api.call("DELETE", `${groupPath(group)}/applications/Shop`, undefined, operator);
    await api.call("GET", groupPath("elsewhere"), undefined, operator);
    await api.call("PUT", `${groupPath(group)}/applications/Shop`, { owner: "y" }, { authorization: null });
    // Who only reads, and as nobody, leaves no record.
    await api.call("GET", `${groupPath(group)}/applications`, undefined, { authorization: null });

    const search = async (query: string, headers = operator) => {
      const answer = await api.call("GET", `/api/v1/audit-records?${query}`, undefined, headers);
      return answer.json().items.map((item: { method: string; status: number }) => `${item.method} ${item.status}`);
    };
    const mine = `workspaceGroup=${group}&from=${begin}`;
    expect(await search(mine)).toEqual(["DELETE 403", "PUT 422", "PUT 201"]);
    expect(await search(`from=${begin}`)).toEqual(["DELETE 403", "PUT 422", "PUT 201"]);
    expect(await search(`${mine}&method=PUT`)).toEqual(["PUT 422", "PUT 201"]);
    expect(await search(`${mine}&outcome=success`)).toEqual(["PUT 201"]);
    expect(await search(`${mine}&outcome=refused`)).toEqual(["DELETE 403", "PUT 422"]);
    expect(await search(`${mine}&outcome=denied`)).toEqual(["DELETE 403"]);
    expect(await search(`${mine}&outcome=failed`)).toEqual([]);
    expect(await search(`${mine}&problem=/problems/forbidden`)).toEqual(["DELETE 403"]);
    expect(await search(`${mine}&problem=validation-failed`)).toEqual(["PUT 422"]);
    expect(await search(`${mine}&actor=admin-user`)).toEqual(["PUT 422", "PUT 201"]);
    expect(await search(`${mine}&resource=${groupPath(group)}/app`)).toEqual(["DELETE 403", "PUT 422", "PUT 201"]);
    expect(await search(`${mine}&resource=${groupPath(group)}/cells`)).toEqual([]);
    expect(await search(`workspaceGroup=${group}&to=${begin}`)).toEqual(["PUT 201", "PUT 201"]);
    expect(await search(`${mine}&requestId=${String(made.headers["x-request-id"])}`)).toEqual(["PUT 201"]);
    // What concerns no group, and what was asked of groups of which one is not: administrators see it.
    const admin = { authorization: `Bearer ${await api.token(["admin"])}` };
    expect(await search(`from=${begin}`, admin)).toEqual(["PUT 401", "GET 404", "DELETE 403", "PUT 422", "PUT 201"]);
    expect(await search(`actor=op-${group}&workspaceGroup=elsewhere`, admin)).toEqual(["GET 404"]);

    const first = (await api.call("GET", `/api/v1/audit-records?${mine}&limit=2`, undefined, operator)).json();
    const cursor = encodeURIComponent(first.nextCursor);
    expect(await search(`${mine}&limit=2&cursor=${cursor}`)).toEqual(["PUT 201"]);
  });

  test("cannot be asked for what makes no sense", async () => {
    for (const query of [
      "from=yesterday",
      "from=2026-02-31",
      "to=2026-01-01T25:00:00Z",
      "outcome=odd",
      "method=put",
      "cursor=x",
    ]) {
      const answer = await api.call("GET", `/api/v1/audit-records?${query}`);
      expect([query, answer.statusCode, answer.json().type]).toEqual([query, 400, "/problems/malformed-request"]);
      expect(answer.json().errors[0].field).toBe(`query:${query.split("=")[0]}`);
    }
    expect(
      (await api.call("GET", "/api/v1/audit-records?from=2026-01-01&to=2026-01-02T00:00:00%2B02:00")).statusCode,
    ).toBe(200);
  });
});

describe("the dashboard", () => {
  test("counts what one may read: open orders, and those that ended in the last day", async () => {
    const [group, other] = [await newGroup(), await newGroup()];
    await bind(group, "v", { subject: `viewer-${group}`, role: "viewer" });
    await bind(other, "v", { subject: `both-${group}`, role: "viewer" });
    await bind(group, "b", { subject: `both-${group}`, role: "approver" });
    let made = 0;
    const order = async (where: string, state: string, endedHoursAgo?: number) => {
      const id = `${where}${made++}`;
      const rest = {
        kind: "release",
        workflowId: `release/${id}`,
        title: "t",
        request: {},
        creator: "x",
        supersedes: null,
      };
      await insertOrder(api.database.db, { id, workspaceGroup: where, ...rest });
      await api.database.pool.query(
        "update orders set state = $2, ended_at = now() - make_interval(hours => $3) where id = $1",
        [id, state, endedHoursAgo ?? null],
      );
    };
    for (const state of PIPELINE_STATES) await order(group, state, isOver(state) ? 1 : undefined);
    await order(group, "SUCCEEDED", 25);
    await order(group, "RUNNING");
    await order(other, "BLOCKED");
    for (const name of ["one", "two"]) {
      await api.call("PUT", `${groupPath(group)}/applications/Shop`, { owner: "x" });
      await api.call("PUT", `${groupPath(group)}/app-services/${name}`, { application: "Shop", namespace: "shop" });
    }

    const see = async (path: string, subject: string) =>
      (await api.call("GET", `/api/v1${path}`, undefined, await as(subject))).json();
    const counted = await see("/dashboard", `viewer-${group}`);
    expect(counted.orders.buckets).toEqual({
      NOT_RELEASED: 2,
      RELEASING: 4,
      BLOCKED: 1,
      WAITING_CONFIRM: 2,
      SUCCEEDED: 1,
      ABNORMAL: 5,
    });
    expect(counted.orders.states).toEqual({
      ...Object.fromEntries(PIPELINE_STATES.map((state) => [state, 1])),
      RUNNING: 2,
    });
    expect(counted).toMatchObject({ workspaceGroups: 1, services: 2, cells: 0, clusters: 0 });
    const { orders: _orders, ...rest } = await see(`/workspace-groups/${group}/dashboard`, `both-${group}`);
    expect(rest).toEqual({ workspaceGroups: 1, services: 2, cells: 0, clusters: 0 });
    expect((await see("/dashboard", `both-${group}`)).orders.buckets.BLOCKED).toBe(2);
    expect((await see("/dashboard", `both-${group}`)).workspaceGroups).toBe(2);
    const all = (await api.call("GET", "/api/v1/dashboard")).json();
    expect(all.workspaceGroups).toBeGreaterThanOrEqual(2);
    expect((await api.call("GET", "/api/v1/workspace-groups/no-such/dashboard")).statusCode).toBe(404);
  });
});

describe("what is kept for a time", () => {
  test("audit records and keys go when they are old, however many, and no earlier", async () => {
    const apart = await createTestApi();
    const { pool, db } = apart.database;
    await pool.query(`insert into audit_records (at, method, resource, source_ip, request_id, status)
      select now() - make_interval(days => n / 10), 'PUT', '/x', 'x', 'x', 200 from generate_series(0, 4999) n`);
    await pool.query(`insert into idempotency_keys (subject, route, key, body_hash, created_at)
      select 'x', 'POST /x', n::text, 'h', now() - make_interval(hours => n) from generate_series(0, 2399) n`);
    const signal = new AbortController().signal;
    const settings = { db, signal, auditDays: 400, keyDays: 7 };
    // A minute early, so that the rows on the edge are surely there.
    expect(await prune(settings, Date.now() - 60_000)).toEqual({ auditRecords: 990, keys: 2_231 });
    expect(await prune(settings, Date.now() - 60_000)).toEqual({ auditRecords: 0, keys: 0 });
    const { rows } = await pool.query(
      "select (select max(now() - at) <= '401 days' from audit_records) as audit, (select max(now() - created_at) <= '169 hours' from idempotency_keys) as keys",
    );
    expect(rows).toEqual([{ audit: true, keys: true }]);
    await apart.close();
  });
});

describe("an issuer that cannot be reached", () => {
  test("is 503, not 401, and says so; then everything works", async () => {
    const issuer = await startTokenIssuer("cellwright");
    const kid = await issuer.addKey();
    const apart = await createTestApi({
      verifyToken: tokenVerifier(
        {
          oidc: { issuer: issuer.url, audience: "cellwright", groupsClaim: "groups", prefix: "oidc:" },
          administrators: { subjects: [], groups: ["oidc:ops"] },
        },
        { respite: 0 },
      ),
    });
    const headers = { authorization: `Bearer ${await issuer.token(kid, { groups: ["ops"] })}` };
    await issuer.stop();
    const away = await apart.call("GET", "/api/v1/workspace-groups", undefined, headers);
    expect([away.statusCode, away.json().type, away.headers["retry-after"]]).toEqual([
      503,
      "/problems/unavailable",
      "5",
    ]);
    expect(away.json().detail).toMatch(/The token cannot be checked: the keys of the token issuer .*ECONNREFUSED/);
    expect(away.headers["www-authenticate"]).toBeUndefined();
    await issuer.start();
    expect((await apart.call("PUT", groupPath("made"), {}, headers)).statusCode).toBe(201);
    const records = (await apart.call("GET", "/api/v1/audit-records?outcome=success", undefined, headers)).json().items;
    expect(records[0]).toMatchObject({ actor: "oidc:alice", workspaceGroup: "made" });
    await apart.close();
    await issuer.stop();
  });
});

function isOver(state: string): boolean {
  return ["SUCCEEDED", "CANCELLED", "ROLLED_BACK", "SUPERSEDED", "TERMINATED", "ABANDONED"].includes(state);
}
