/** The document that describes the API is valid, and says enough of every operation. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { Client, Connection } from "@temporalio/client";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createOrderEngine } from "../../../activities/temporal/orders.ts";
import { createPodReports } from "../../../activities/temporal/pod-reports.ts";
import { buildApp } from "../../../api/app.ts";
import type { App } from "../../../api/dependencies.ts";
import { BODY_EXAMPLES } from "../../../api/openapi/examples.ts";
import { orderRoutes } from "../../../api/routes/orders.ts";
import { createDatabase, type DatabaseHandle } from "../../../db/client.ts";
import { readEncryptionKey } from "../../../db/encryption.ts";
import { schemaFaults } from "../../../domain/catalogue/faults.ts";

type Media = Record<string, { schema?: object; example?: unknown }>;
type Operation = {
  operationId?: string;
  summary?: string;
  tags?: string[];
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Media; required?: boolean };
  responses: Record<string, { description: string; content?: Media }>;
};
type Document = {
  tags: { name: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; responses: Record<string, object> };
};

let app: App;
let database: DatabaseHandle;
let text: string;
let document: Document;
/** With everything that is referred to in its place. */
let whole: Document;
let operations: { name: string; path: string; operation: Operation }[];
beforeAll(async () => {
  // Neither is connected to: describing needs no server.
  const client = new Client({ connection: Connection.lazy({ address: "127.0.0.1:1" }) });
  database = createDatabase("postgres://nobody@127.0.0.1:1/none");
  app = buildApp({
    database,
    tenant: "test",
    encryptionKey: readEncryptionKey(Buffer.alloc(32, 1).toString("base64")),
    verifyToken: () => Promise.resolve({ kind: "rejected", why: "nobody is let in here" }),
    logger: pino({ level: "silent" }),
    routes: orderRoutes(createOrderEngine(client, undefined), createPodReports(client)),
  });
  await app.ready();
  text = (await app.inject("/openapi.json")).body;
  document = JSON.parse(text);
  const validator = new Validator();
  await validator.validate(JSON.parse(text));
  whole = validator.resolveRefs() as Document;
  operations = Object.entries(whole.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
  );
});
afterAll(async () => {
  await app.close();
  await database.close();
});

test("it is a valid OpenAPI 3.1 document", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  expect(errors).toBeUndefined();
  expect([valid, validator.version]).toEqual([true, "3.1"]);
});

test("what many operations share is said once: everything referred to is there, and everything named is referred to", () => {
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? "");
  const { schemas, responses } = document.components;
  const named = Object.entries({ schemas, responses }).flatMap(([kind, parts]) =>
    Object.keys(parts).map((name) => `#/components/${kind}/${name}`),
  );
  expect([...new Set(references)].toSorted()).toEqual(named.toSorted());
  const { put } = document.paths["/api/v1/workspace-groups/{group}/app-services/{service}/draft"]!;
  expect(put).toMatchObject({
    requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/RevisionBody" } } } },
    responses: {
      200: { content: { "application/json": { schema: { $ref: "#/components/schemas/RevisionDraft" } } } },
      412: { $ref: "#/components/responses/Problem412" },
    },
  });
  expect(schemas["RevisionBody"]).toMatchObject({
    type: "object",
    properties: { template: { $ref: "#/components/schemas/PodTemplateBody" } },
  });
  // Written out it has four times as much.
  expect(text.length).toBeLessThan(250_000);
  expect(JSON.stringify(whole.paths).length).toBeGreaterThan(3 * text.length);
});

test("every operation has a name of its own, a summary, and a tag that is explained", () => {
  expect(operations.length).toBeGreaterThan(30);
  const explained = new Set(document.tags.map(({ name }) => name));
  const poor = operations.filter(
    ({ operation: { operationId = "", summary, tags = [] } }) =>
      !/^[a-z][A-Za-z]+$/.test(operationId) ||
      summary === undefined ||
      tags.length === 0 ||
      !tags.every((tag) => explained.has(tag)),
  );
  expect(poor.map(({ name }) => name)).toEqual([]);
  const names = operations.map(({ operation }) => operation.operationId);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test("every operation names the parameters in its path", () => {
  for (const { name, path, operation } of operations) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
    const named = (operation.parameters ?? []).filter((each) => each.in === "path").map((each) => each.name);
    expect([name, named.toSorted()]).toEqual([name, inPath.toSorted()]);
  }
});

test("every operation that needs a token says how it is refused, by an example", () => {
  for (const { name, path, operation } of operations) {
    if (!path.startsWith("/api/")) continue;
    const problems = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
    expect([name, problems.map(([status]) => status)]).toEqual([
      name,
      expect.arrayContaining(["400", "401", "403", "503"]),
    ]);
    for (const [status, { content }] of problems) {
      const media = content?.["application/problem+json"];
      expect([name, status, media?.example]).toEqual([
        name,
        status,
        expect.objectContaining({ status: Number(status) }),
      ]);
      expect([name, status, schemaFaults(whole.components.schemas["Problem"]!, media?.example)]).toEqual([
        name,
        status,
        [],
      ]);
    }
  }
});

test("every body that is needed has an example, which the operation accepts", () => {
  const lacking = operations.filter(
    ({ operation: { requestBody } }) =>
      requestBody?.required === true && Object.values(requestBody.content).some(({ example }) => example === undefined),
  );
  expect(lacking.map(({ operation }) => operation.operationId)).toEqual([]);
  const found: string[] = [];
  for (const { operation } of operations) {
    for (const { schema, example } of Object.values(operation.requestBody?.content ?? {})) {
      if (example === undefined) continue;
      found.push(operation.operationId ?? "");
      expect([operation.operationId, schemaFaults(schema ?? {}, example)]).toEqual([operation.operationId, []]);
    }
  }
  expect(found.toSorted()).toEqual(Object.keys(BODY_EXAMPLES).toSorted());
});

test("the page that shows it is public, loads from this server only, and has all it loads", async () => {
  for (const url of ["/docs", "/docs/"]) {
    const page = await app.inject(url);
    expect([url, page.statusCode, page.headers["content-type"]]).toEqual([url, 200, "text/html; charset=utf-8"]);
    expect(page.headers["content-security-policy"]).toContain("default-src 'none'; script-src 'self';");
    expect(page.body).not.toMatch(/https?:\/\//);
    const loaded = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(loaded.length).toBeGreaterThan(4);
    for (const file of loaded) {
      const path = new URL(file, `http://page${url}`).pathname;
      expect([file, (await app.inject(path)).statusCode]).toEqual([file, 200]);
    }
  }
  expect((await app.inject("/docs/json")).json()).toEqual(document);
  expect((await app.inject("/docs/static/none.js")).json()).toMatchObject({ type: "/problems/not-found" });
});
