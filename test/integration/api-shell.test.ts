import { generateKeyPair, SignJWT } from "jose";
import { inject } from "vitest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "pg";
import { pino } from "pino";
import { buildApp } from "../../api/app.ts";
import { createDatabase } from "../../db/client.ts";
import { migrate } from "../../db/migrate.ts";
import { AUDIENCE, createTestApi, ISSUER, type TestApi } from "../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api.close());

const url = "/api/v1/workspace-groups/shop";

describe("access", () => {
  test("needs a good token", async () => {
    const stranger = await generateKeyPair("ES256");
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: "x", iss: ISSUER, aud: AUDIENCE, exp: now + 600, roles: ["admin"] };
    const sign = (alg: string, key: Parameters<SignJWT["sign"]>[0]) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid: "test" }).sign(key);
    const unsigned = `${btoa('{"alg":"none"}').replaceAll("=", "")}.${btoa(JSON.stringify(claims)).replaceAll("=", "")}.`;
    const bad: [string, string | null, RegExp][] = [
      ["none", null, /Send a token/],
      ["of another scheme", "Basic YTpi", /Send a token/],
      ["malformed", "Bearer abc", /malformed, or not signed/],
      ["expired", `Bearer ${await api.token(["admin"], { exp: now - 60 })}`, /expired/],
      ["of another issuer", `Bearer ${await api.token(["admin"], { iss: "https://other" })}`, /"iss" names no issuer/],
      ["for another audience", `Bearer ${await api.token(["admin"], { aud: "other" })}`, /"aud"/],
      ["not yet valid", `Bearer ${await api.token(["admin"], { nbf: now + 600 })}`, /"nbf"/],
      ["without subject", `Bearer ${await api.token(["admin"], { sub: "" })}`, /subject/],
      ["with a line break in its subject", `Bearer ${await api.token(["admin"], { sub: "a\nb" })}`, /subject/],
      ["of a stranger", `Bearer ${await sign("ES256", stranger.privateKey)}`, /not signed by a known key/],
      [
        "symmetric",
        `Bearer ${await sign("HS256", new TextEncoder().encode("x".repeat(32)))}`,
        /malformed, or not signed/,
      ],
      ["unsigned", `Bearer ${unsigned}`, /malformed, or not signed/],
    ];
    for (const [what, authorization, detail] of bad) {
      const answer = await api.call("GET", "/api/v1/clusters", undefined, { authorization });
      expect([what, answer.statusCode]).toEqual([what, 401]);
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm="cellwright"/);
      expect(answer.json()).toMatchObject({ type: "/problems/unauthenticated", detail: expect.stringMatching(detail) });
    }
  });

  test("viewers read and do not write; unknown roles do neither", async () => {
    const viewer = { authorization: `Bearer ${await api.token(["viewer"])}` };
    const nobody = { authorization: `Bearer ${await api.token(["root"])}` };
    expect((await api.call("GET", "/api/v1/clusters", undefined, viewer)).statusCode).toBe(200);
    expect((await api.call("GET", "/api/v1/clusters", undefined, nobody)).statusCode).toBe(403);
    for (const [method, path] of [
      ["PUT", url],
      ["DELETE", url],
      ["POST", `${url}/app-services/cart/revisions`],
    ] as const) {
      const refused = await api.call(method, path, method === "DELETE" ? undefined : {}, viewer);
      expect([method, refused.statusCode, refused.json().type]).toEqual([method, 403, "/problems/forbidden"]);
      expect(refused.json().detail).toMatch(/^This needs the role .*"admin".* in workspace group "shop"/);
    }
    expect((await api.call("GET", url)).statusCode).toBe(404);
  });

  test("a route that does not say what it needs cannot be registered", async () => {
    const app = buildApp({
      database: api.database,
      tenant: "test",
      encryptionKey: api.encryptionKey,
      verifyToken: () => Promise.resolve({ kind: "rejected", why: "test" }),
      logger: pino({ level: "silent" }),
      routes: [(v1) => void v1.get("/open", () => "")],
    });
    await expect(app.ready()).rejects.toThrow(/\/api\/v1\/open must declare config.permission/);
    await app.close();
  });

  test("only these routes are public, and every other one says what it needs", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]) {
      expect([path, (await api.call("GET", path, undefined, { authorization: null })).statusCode]).toEqual([path, 200]);
    }
    const { paths } = (await api.call("GET", "/openapi.json")).json();
    for (const [path, operations] of Object.entries(paths as Record<string, object>)) {
      if (!path.startsWith("/api/")) continue;
      const concrete = path.replaceAll("{number}", "1").replaceAll(/\{\w+\}/g, "name");
      for (const method of Object.keys(operations)) {
        const answer = await api.call(method.toUpperCase(), concrete, undefined, { authorization: null });
        expect([method, path, answer.statusCode]).toEqual([method, path, 401]);
      }
    }
  });
});

describe("audit records", () => {
  test("are left by every mutating call, done or refused, and by no reading one", async () => {
    const viewer = `Bearer ${await api.token(["viewer"])}`;
    const made = await api.call("PUT", url, {}, { "idempotency-key": "k1" });
    const calls = [
      made,
      await api.call("PUT", url, { zzz: 1 }),
      await api.call("PUT", url, {}, { authorization: viewer }),
      await api.call("PUT", url, {}, { authorization: null }),
      await api.call("PUT", url, "{", { "content-type": "application/json" }),
      await api.call("DELETE", `${url}/cells/none`),
      await api.call("DELETE", url),
    ];
    expect(calls.map((each) => each.statusCode)).toEqual([201, 422, 403, 401, 400, 404, 204]);
    await api.call("GET", url);
    await api.call("GET", "/api/v1/nothing");

    const records = (await api.call("GET", `/api/v1/audit-records?resource=${url}&limit=200`))
      .json()
      .items.toReversed();
    const mine = records.filter((each: { requestId: string }) =>
      calls.some((call) => call.headers["x-request-id"] === each.requestId),
    );
    expect(mine.map((each: object) => ({ ...each, id: 0, at: "", requestId: "" }))).toEqual(
      [
        { actor: "admin-user", method: "PUT", resource: url, status: 201, idempotencyKey: "k1" },
        { actor: "admin-user", method: "PUT", resource: url, status: 422, problem: "/problems/validation-failed" },
        { actor: "viewer-user", method: "PUT", resource: url, status: 403, problem: "/problems/forbidden" },
        // Who has not said who they are is not told, and not recorded, where they are.
        { method: "PUT", resource: url, workspaceGroup: undefined, status: 401, problem: "/problems/unauthenticated" },
        { actor: "admin-user", method: "PUT", resource: url, status: 400, problem: "/problems/malformed-request" },
        {
          actor: "admin-user",
          method: "DELETE",
          resource: `${url}/cells/none`,
          status: 404,
          problem: "/problems/not-found",
        },
        { actor: "admin-user", method: "DELETE", resource: url, status: 204 },
      ].map((each) => ({ workspaceGroup: "shop", ...each, id: 0, at: "", requestId: "", sourceIp: "127.0.0.1" })),
    );
    expect(records.some((each: { method: string }) => each.method === "GET")).toBe(false);
  });

  test("are found by actor and request, and page", async () => {
    const authorization = `Bearer ${await api.token(["admin"], { sub: "pager" })}`;
    for (let turn = 0; turn < 3; turn++) await api.call("PUT", "/api/v1/workspace-groups/paged", {}, { authorization });
    const first = (await api.call("GET", "/api/v1/audit-records?actor=pager&limit=2")).json();
    const second = (
      await api.call("GET", `/api/v1/audit-records?actor=pager&limit=2&cursor=${first.nextCursor}`)
    ).json();
    const found = [...first.items, ...second.items];
    expect(found.map((each: { status: number }) => each.status)).toEqual([200, 200, 201]);
    expect(second.nextCursor).toBeUndefined();
    const one = (await api.call("GET", `/api/v1/audit-records?requestId=${found[0].requestId}`)).json();
    expect(one.items).toEqual([found[0]]);
  });

  test("that cannot be stored undo the change that they would tell of", async () => {
    await api.database.pool.query(
      "alter table audit_records add constraint no_more check (resource not like '%unaudited%')",
    );
    const answer = await api.call("PUT", "/api/v1/workspace-groups/unaudited", {});
    expect([answer.statusCode, answer.json().type]).toEqual([500, "/problems/internal"]);
    expect((await api.call("GET", "/api/v1/workspace-groups/unaudited")).statusCode).toBe(404);
    expect(api.logs()).toContain("the audit record of a request could not be stored");
    await api.database.pool.query("alter table audit_records drop constraint no_more");
  });

  test("that cannot be stored for what is done elsewhere are told of", async () => {
    const elsewhere = await createTestApi({
      routes: [
        (v1) => void v1.post("/elsewhere", { config: { permission: "clusters.write" } }, () => ({ done: true })),
      ],
    });
    expect((await elsewhere.call("POST", "/api/v1/elsewhere", {})).json()).toEqual({ done: true });
    await elsewhere.database.pool.query("drop table audit_records");
    const answer = await elsewhere.call("POST", "/api/v1/elsewhere", {});
    expect([answer.statusCode, answer.json().type]).toEqual([503, "/problems/unaudited"]);
    await elsewhere.close();
  });
});

describe("trouble", () => {
  test("an unexpected failure says nothing of its inside, and is logged without parameters", async () => {
    const broken = await createTestApi();
    await broken.database.pool.query("alter table workspace_groups rename column description to gone");
    const answer = await broken.call("PUT", url, { description: "private words" });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ type: "/problems/internal", requestId: expect.any(String) });
    expect(answer.body).not.toMatch(/column|select|private/);
    expect(broken.logs()).toContain("42703");
    expect(broken.logs()).not.toContain("private words");
    await broken.close();
  });

  test("a database that is away is 503 with Retry-After, and everything works again when it is back", async () => {
    const away = await createTestApi();
    expect((await away.call("GET", "/readyz")).json()).toEqual({ status: "ready" });
    const name = new URL(away.databaseUrl).pathname.slice(1);
    await onServer(`alter database ${name} with allow_connections false`);
    await onServer(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    for (const [method, path] of [
      ["GET", "/readyz"],
      ["GET", "/api/v1/clusters"],
      ["PUT", url],
    ] as const) {
      const answer = await away.call(method, path, method === "PUT" ? {} : undefined);
      expect([method, path, answer.statusCode]).toEqual([method, path, 503]);
      expect(answer.headers["retry-after"]).toBe("2");
      expect(answer.json()).toMatchObject({ type: "/problems/unavailable" });
    }
    expect((await away.call("GET", "/healthz")).statusCode).toBe(200);
    await onServer(`alter database ${name} with allow_connections true`);
    expect((await away.call("GET", "/readyz")).statusCode).toBe(200);
    expect((await away.call("PUT", url, {})).statusCode).toBe(201);
    await away.close();
  });

  test("a server that nobody can reach is 503", async () => {
    const database = createDatabase("postgres://nobody@127.0.0.1:1/none");
    const app = buildApp({
      database,
      tenant: "test",
      encryptionKey: api.encryptionKey,
      verifyToken: () =>
        Promise.resolve({
          kind: "accepted",
          identity: { subject: "x", groups: [], roles: ["admin"], expiresAt: new Date() },
        }),
      logger: pino({ level: "silent" }),
      readiness: [{ name: "orders", check: () => Promise.reject(new Error("internal address 10.1.1.1")) }],
    });
    const answer = await app.inject({ url: "/api/v1/clusters", headers: { authorization: "Bearer x" } });
    expect(answer.statusCode).toBe(503);
    const ready = await app.inject({ url: "/readyz" });
    expect([ready.statusCode, ready.json().detail]).toEqual([503, expect.stringContaining("database, orders")]);
    expect(ready.body).not.toContain("10.1.1.1");
    await app.close();
    await database.close();
  });

  test("migrations may be started by several processes at once, and again", async () => {
    const name = `migrated_${process.pid}`;
    await onServer(`create database ${name}`);
    const target = new URL(inject("stack").databaseUrl);
    target.pathname = `/${name}`;
    await Promise.all([migrate(target.href), migrate(target.href), migrate(target.href)]);
    await migrate(target.href);
    const database = createDatabase(target.href);
    const applied = await database.pool.query(
      "select count(distinct hash) = count(*) as once from drizzle.__drizzle_migrations",
    );
    expect(applied.rows).toEqual([{ once: true }]);
    await database.close();
    await onServer(`drop database ${name} with (force)`);
  });
});

describe("what describes the API", () => {
  test("the OpenAPI document is whole: 3.1, secured, with problems, and every reference resolves", async () => {
    const document = (await api.call("GET", "/openapi.json")).json();
    expect(document.openapi).toBe("3.1.0");
    expect(document.components.securitySchemes.bearer).toMatchObject({ type: "http", scheme: "bearer" });
    const put = document.paths["/api/v1/workspace-groups/{group}/cells/{name}"].put;
    expect(Object.keys(put.responses)).toEqual([
      "200",
      "201",
      "400",
      "401",
      "403",
      "404",
      "409",
      "412",
      "413",
      "415",
      "422",
      "503",
    ]);
    expect(put.parameters.map((each: { name: string }) => each.name)).toEqual(
      expect.arrayContaining(["group", "name", "if-match"]),
    );
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(references.length).toBeGreaterThan(0);
    for (const reference of new Set(references)) {
      const found = reference
        .split("/")
        .reduce<unknown>((node, step) => (node as Record<string, unknown> | undefined)?.[step], document);
      expect([reference, found]).toEqual([reference, expect.any(Object)]);
    }
    expect(text).toContain("application/problem+json");
  });

  test("the metrics count by route pattern and status", async () => {
    await api.call("GET", "/api/v1/workspace-groups/nowhere");
    await api.call("GET", "/api/v1/no-such-route");
    const { body } = await api.call("GET", "/metrics");
    expect(body).toMatch(
      /cellwright_http_requests_total\{method="GET",route="\/api\/v1\/workspace-groups\/:group",status="404"\} \d+/,
    );
    expect(body).toMatch(/route="unmatched",status="404"/);
    expect(body).toMatch(/^process_uptime_seconds \d/m);
    expect(body).not.toContain("nowhere");
  });
});

async function onServer(statement: string): Promise<void> {
  const client = new Client({ connectionString: inject("stack").databaseUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
