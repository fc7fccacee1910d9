import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { readKubeconfig } from "../../db/repositories/clusters.ts";
import { createTestApi, type TestApi } from "../support/api.ts";

const SECRET = "t0p-s3cret-token";
const group = "/api/v1/workspace-groups/shop";

function kubeconfig(user: object = { token: SECRET }): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: "https://10.0.0.1:6443" } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
}

function revision(image = "shop/cart:1.0.0", cells: object = { "cell-a": { replicas: 4 }, "cell-b": { replicas: 4 } }) {
  return {
    template: { containers: [{ name: "main", image }] },
    cells,
    release: { strategy: "QUICK", minGroups: 3, beta: true, pause: "ALL", upgrade: "IN_PLACE", readySeconds: 1 },
  };
}

const cell = (name: string, more: object = {}) => ({
  workspace: "main",
  zone: "RZ01",
  az: "az-a",
  cluster: "local",
  nodeSelector: { cell: name },
  ...more,
});

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  // In this order everything refers to what is already there.
  const catalogue: [string, unknown][] = [
    ["/api/v1/clusters/local", { access: "kubeconfig", kubeconfig: kubeconfig() }],
    [group, {}],
    [`${group}/workspaces/main`, { region: "local" }],
    [`${group}/cells/cell-a`, cell("cell-a")],
    [`${group}/cells/cell-b`, cell("cell-b")],
    [`${group}/applications/Shop`, { owner: "Ada" }],
    [`${group}/app-services/cart`, { application: "Shop", namespace: "shop" }],
  ];
  for (const [url, body] of catalogue) {
    const created = await api.call("PUT", url, body);
    if (created.statusCode !== 201) throw new Error(`${url}: ${created.body}`);
  }
});
afterAll(() => api.close());

const problem = (slug: string) => `/problems/${slug}`;

describe("the catalogue", () => {
  test("put again changes nothing; put differently makes a new version", async () => {
    const again = await api.call("PUT", `${group}/applications/Shop`, { owner: "Ada" });
    expect([again.statusCode, again.headers.etag]).toEqual([200, '"1"']);
    const other = await api.call("PUT", `${group}/applications/Shop`, { owner: "Grace", description: "all" });
    expect([other.statusCode, other.headers.etag]).toEqual([200, '"2"']);
    const read = await api.call("GET", `${group}/applications/Shop`);
    expect(read.headers.etag).toBe('"2"');
    expect(read.json()).toMatchObject({ name: "Shop", owner: "Grace", description: "all", version: 2 });
  });

  test("If-Match lets only the present version through", async () => {
    const url = `${group}/workspaces/if-match`;
    expect((await api.call("PUT", url, { region: "r" }, { "if-match": '"1"' })).statusCode).toBe(412);
    expect((await api.call("PUT", url, { region: "r" }, { "if-match": "*" })).statusCode).toBe(412);
    expect((await api.call("GET", url)).statusCode).toBe(404);
    await api.call("PUT", url, { region: "r" });
    const fresh = await api.call("PUT", url, { region: "s" }, { "if-match": '"1"' });
    expect([fresh.statusCode, fresh.headers.etag]).toEqual([200, '"2"']);
    const stale = await api.call("PUT", url, { region: "t" }, { "if-match": '"1"' });
    expect(stale.statusCode).toBe(412);
    expect(stale.json()).toMatchObject({
      type: problem("precondition-failed"),
      detail: expect.stringContaining("version 2"),
    });
    expect((await api.call("PUT", url, { region: "t" }, { "if-match": 'W/"2"' })).statusCode).toBe(412);
    expect((await api.call("PUT", url, { region: "t" }, { "if-match": "2" })).statusCode).toBe(400);
    expect((await api.call("DELETE", url, undefined, { "if-match": '"1"' })).statusCode).toBe(412);
    expect((await api.call("GET", url)).json()).toMatchObject({ region: "s" });
    expect((await api.call("DELETE", url, undefined, { "if-match": '"2"' })).statusCode).toBe(204);
    expect((await api.call("DELETE", url)).statusCode).toBe(404);
  });

  test("of eight replacements of one version at once exactly one succeeds", async () => {
    const url = `${group}/workspaces/race`;
    const made = await Promise.all(Array.from({ length: 8 }, () => api.call("PUT", url, { region: "r" })));
    expect(made.map((each) => each.statusCode).filter((code) => code === 201)).toHaveLength(1);
    expect(made.filter((each) => each.statusCode === 200)).toHaveLength(7);
    const changed = await Promise.all(
      Array.from({ length: 8 }, (_each, index) => api.call("PUT", url, { region: `r${index}` }, { "if-match": '"1"' })),
    );
    expect(changed.map((each) => each.statusCode).filter((code) => code === 200)).toHaveLength(1);
    expect(changed.filter((each) => each.statusCode === 412)).toHaveLength(7);
    await api.call("DELETE", url);
  });

  test("lists page by name with opaque cursors", async () => {
    for (const name of ["page-c", "page-a", "page-b"]) await api.call("PUT", `/api/v1/workspace-groups/${name}`, {});
    const names: string[] = [];
    const cursors: (string | undefined)[] = [];
    let cursor: string | undefined;
    do {
      const part = await api.call(
        "GET",
        `/api/v1/workspace-groups?limit=2${cursor === undefined ? "" : `&cursor=${cursor}`}`,
      );
      expect(part.statusCode).toBe(200);
      names.push(...part.json().items.map((each: { name: string }) => each.name));
      cursor = part.json().nextCursor;
      cursors.push(cursor);
    } while (cursor !== undefined);
    expect(cursors).toEqual([expect.any(String), undefined]);
    const elsewhere = await api.call("GET", `${group}/cells?cursor=${cursors[0]}`);
    expect([elsewhere.statusCode, elsewhere.json().errors[0].field]).toEqual([400, "query:cursor"]);
    expect(names).toEqual(["page-a", "page-b", "page-c", "shop"]);
    for (const name of ["page-c", "page-a", "page-b"]) await api.call("DELETE", `/api/v1/workspace-groups/${name}`);
  });

  test.each(["limit=0", "limit=201", "limit=many", "cursor=xx", "unknown=1", `cursor=${"x".repeat(600)}`])(
    "a list refuses ?%s",
    async (query) => {
      const answer = await api.call("GET", `${group}/cells?${query}`);
      expect(answer.statusCode).toBe(400);
      expect(answer.json().errors[0].field).toMatch(/^query:(limit|cursor|unknown)$/);
    },
  );

  test.each([
    ["GET", "/api/v1/workspace-groups/none"],
    ["GET", "/api/v1/workspace-groups/none/cells"],
    ["GET", "/api/v1/workspace-groups/none/app-services/x/revisions"],
    ["GET", `${group}/cells/none`],
    ["GET", `${group}/app-services/none`],
    ["GET", `${group}/app-services/none/revisions`],
    ["GET", `${group}/app-services/cart/revisions/999999999`],
    ["GET", "/api/v1/clusters/none"],
    ["DELETE", "/api/v1/clusters/none"],
    ["DELETE", `${group}/app-services/cart/revisions/999`],
    ["GET", "/api/v1/none"],
    ["POST", group],
  ] as const)("%s %s is not found, as a problem", async (method, url) => {
    const answer = await api.call(method, url);
    expect(answer.statusCode).toBe(404);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(answer.json()).toMatchObject({ type: problem("not-found"), status: 404, instance: url });
  });

  test("what is put below a missing group is not found", async () => {
    const answer = await api.call("PUT", "/api/v1/workspace-groups/none/workspaces/main", { region: "r" });
    expect(answer.statusCode).toBe(404);
    expect(answer.json().detail).toContain('workspace group "none"');
  });
});

describe("bad input", () => {
  const long = (length: number) => "a".repeat(length);
  test.each<[string, unknown, string]>([
    ["/api/v1/workspace-groups/a", {}, "path:group"],
    [`/api/v1/workspace-groups/${long(65)}`, {}, "path:group"],
    ["/api/v1/workspace-groups/Shop", {}, "path:group"],
    ["/api/v1/workspace-groups/a%00b", {}, "path:group"],
    [group, { name: "shop" }, "/name"],
    [group, { description: long(501) }, "/description"],
    [`${group}/workspaces/a`, { region: "r" }, "path:name"],
    [`${group}/workspaces/${long(65)}`, { region: "r" }, "path:name"],
    [`${group}/workspaces/aa`, {}, "/region"],
    [`${group}/workspaces/aa`, { region: "EU West" }, "/region"],
    [`${group}/workspaces/aa`, { region: "r", displayName: " x" }, "/displayName"],
    [`${group}/workspaces/aa`, { region: "r", displayName: long(65) }, "/displayName"],
    [`${group}/cells/Cell`, cell("x"), "path:name"],
    [`${group}/cells/x-`, cell("x"), "path:name"],
    [`${group}/cells/${long(51)}`, cell("x"), "path:name"],
    [`${group}/cells/x`, cell("x", { zone: "X1" }), "/zone"],
    [`${group}/cells/x`, cell("x", { zone: "RZ" }), "/zone"],
    [`${group}/cells/x`, cell("x", { zone: "RZ1234567" }), "/zone"],
    [`${group}/cells/x`, cell("x", { az: "" }), "/az"],
    [`${group}/cells/x`, cell("x", { az: undefined }), "/az"],
    [`${group}/cells/x`, cell("x", { nodeSelector: { "-": "x" } }), "/nodeSelector/-"],
    [`${group}/cells/x`, cell("x", { nodeSelector: { a: 1 } }), "/nodeSelector/a"],
    [`${group}/cells/x`, cell("x", { workspace: "none" }), "/workspace"],
    [`${group}/cells/x`, cell("x", { cluster: "none" }), "/cluster"],
    [`${group}/applications/1a`, { owner: "a" }, "path:name"],
    [`${group}/applications/a-`, { owner: "a" }, "path:name"],
    [`${group}/applications/${long(61)}`, { owner: "a" }, "path:name"],
    [`${group}/applications/a`, {}, "/owner"],
    [`${group}/applications/a`, { owner: "" }, "/owner"],
    [`${group}/applications/a`, { owner: 1 }, "/owner"],
    [`${group}/applications/a`, { owner: "a\0" }, "/owner"],
    [`${group}/app-services/Cart`, { application: "Shop", namespace: "shop" }, "path:name"],
    [`${group}/app-services/${long(51)}`, { application: "Shop", namespace: "shop" }, "path:name"],
    [`${group}/app-services/a`, { application: "none", namespace: "shop" }, "/application"],
    [`${group}/app-services/a`, { application: "Shop", namespace: "kube-system" }, "/namespace"],
    [`${group}/app-services/a`, { application: "Shop", namespace: long(64) }, "/namespace"],
    [`${group}/app-services/a`, { application: "Shop", namespace: "shop", kind: "Deployment" }, "/kind"],
    ["/api/v1/clusters/Local", { access: "kubeconfig", kubeconfig: kubeconfig() }, "path:name"],
    ["/api/v1/clusters/x", { access: "agent", kubeconfig: kubeconfig() }, "/access"],
    ["/api/v1/clusters/x", { access: "kubeconfig" }, "/kubeconfig"],
    ["/api/v1/clusters/x", { access: "kubeconfig", kubeconfig: "" }, "/kubeconfig"],
    ["/api/v1/clusters/x", { access: "kubeconfig", kubeconfig: "a: [" }, "/kubeconfig"],
    ["/api/v1/clusters/x", { access: "kubeconfig", kubeconfig: "a: 1\n---\nb: 2" }, "/kubeconfig"],
    ["/api/v1/clusters/x", { access: "kubeconfig", kubeconfig: "text" }, "/kubeconfig"],
    [
      "/api/v1/clusters/x",
      { access: "kubeconfig", kubeconfig: kubeconfig({ exec: { command: "sh" } }) },
      "/kubeconfig",
    ],
    [`${group}/cells/x`, null, ""],
    [`${group}/cells/x`, [], ""],
  ])("PUT %s %j is 422 for %j", async (url, body, field) => {
    const answer = await api.call("PUT", url, body === null ? "null" : body, { "content-type": "application/json" });
    expect([answer.statusCode, answer.json().errors.map((each: { field: string }) => each.field)]).toEqual([
      422,
      [field],
    ]);
    expect(answer.json()).toMatchObject({ type: problem("validation-failed") });
    // Nothing half done: what was refused is not there, and the group is as it was.
    const after = await api.call("GET", url);
    expect(after.json().version ?? after.statusCode).toBe(url === group ? 1 : field.startsWith("path:") ? 422 : 404);
  });

  test("both unknown references of a cell are named at once", async () => {
    const answer = await api.call("PUT", `${group}/cells/x`, cell("x", { workspace: "none", cluster: "none" }));
    expect(answer.json().errors.map((each: { field: string }) => each.field)).toEqual(["/workspace", "/cluster"]);
  });

  test.each<[string, string | undefined, Record<string, string>, number]>([
    ["malformed JSON", '{"a":', { "content-type": "application/json" }, 400],
    ["a poisoned prototype", '{"__proto__":{"a":1}}', { "content-type": "application/json" }, 400],
    ["an empty JSON body", "", { "content-type": "application/json" }, 400],
    ["no body", undefined, {}, 422],
    ["YAML", "a: 1", { "content-type": "application/yaml" }, 415],
    ["plain text", "{}", { "content-type": "text/plain" }, 415],
    ["too much", `"${"x".repeat(1_100_000)}"`, { "content-type": "application/json" }, 413],
  ])("%s is answered with a problem", async (_what, payload, headers, status) => {
    const answer = await api.call("PUT", group, payload, headers);
    expect(answer.statusCode).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
    expect(answer.json()).toMatchObject({
      status,
      detail: expect.any(String),
      requestId: answer.headers["x-request-id"],
    });
  });
});

describe("revisions", () => {
  const revisions = `${group}/app-services/cart/revisions`;

  test("are numbered, complete, immutable and listed newest first", async () => {
    const first = await api.call("POST", revisions, revision());
    expect(first.statusCode).toBe(201);
    const { number } = first.json();
    expect(first.json()).toMatchObject({
      service: "cart",
      createdBy: "admin-user",
      cells: { "cell-a": { replicas: 4 }, "cell-b": { replicas: 4 } },
      release: { strategy: "QUICK", progressDeadlineSeconds: 120 },
      template: { labels: {}, containers: [{ name: "main", env: [], ports: [] }] },
    });
    const second = await api.call("POST", revisions, revision("shop/cart:1.1.0"));
    expect(second.json().number).toBe(number + 1);
    expect((await api.call("GET", `${revisions}/${number}`)).json()).toEqual(first.json());
    expect((await api.call("PUT", `${revisions}/${number}`, revision())).statusCode).toBe(404);
    const listed = (await api.call("GET", `${revisions}?limit=1`)).json();
    expect(listed.items.map((each: { number: number }) => each.number)).toEqual([number + 1]);
    const rest = (await api.call("GET", `${revisions}?limit=1&cursor=${listed.nextCursor}`)).json();
    expect(rest.items[0].number).toBe(number);
  });

  test("posted at once get numbers without gaps or repetition", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.call("POST", revisions, revision())));
    const numbers = answers.map((each) => each.json().number).toSorted((one, other) => one - other);
    expect(numbers).toEqual(Array.from({ length: 8 }, (_each, index) => numbers[0] + index));
  });

  test("with the same idempotency key are made once, also at the same time", async () => {
    const key = { "idempotency-key": "release 1.2.0" };
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => api.call("POST", revisions, revision("a:1"), key)),
    );
    expect(answers.map((each) => each.statusCode)).toEqual(Array(6).fill(201));
    expect(new Set(answers.map((each) => JSON.stringify(sorted(each.json())))).size).toBe(1);
    expect(answers.filter((each) => each.headers["idempotency-replayed"] === "true")).toHaveLength(5);
    const shuffled = Object.fromEntries(Object.entries(revision("a:1")).toReversed());
    expect((await api.call("POST", revisions, shuffled, key)).json().number).toBe(answers[0]?.json().number);

    const other = await api.call("POST", revisions, revision("a:2"), key);
    expect([other.statusCode, other.json().type]).toEqual([422, problem("idempotency-key-reused")]);
    // The key is the caller's own.
    const someone = { ...key, authorization: `Bearer ${await api.token(["admin"], { sub: "someone" })}` };
    expect((await api.call("POST", revisions, revision("a:2"), someone)).json().createdBy).toBe("someone");
    for (const bad of ["", "é", "x".repeat(256)]) {
      expect((await api.call("POST", revisions, revision(), { "idempotency-key": bad })).statusCode).toBe(400);
    }
  });

  test("a refused request does not use its key up", async () => {
    const key = { "idempotency-key": "refused first" };
    const body = revision("a:1", { "cell-late": {} });
    expect((await api.call("POST", revisions, body, key)).statusCode).toBe(422);
    await api.call("PUT", `${group}/cells/cell-late`, cell("cell-late"));
    const made = await api.call("POST", revisions, body, key);
    expect(made.statusCode).toBe(201);
    await api.call("DELETE", `${revisions}/${made.json().number}`);
    await api.call("DELETE", `${group}/cells/cell-late`);
  });

  test("naming unknown cells are refused, naming the cells, and take no number", async () => {
    const before = (await api.call("POST", revisions, revision())).json().number;
    const answer = await api.call("POST", revisions, revision("a:1", { "cell-a": {}, "cell-x": {}, "cell-y": {} }));
    expect(answer.statusCode).toBe(422);
    expect(answer.json().errors.map((each: { field: string }) => each.field)).toEqual([
      "/cells/cell-x",
      "/cells/cell-y",
    ]);
    expect((await api.call("POST", revisions, revision())).json().number).toBe(before + 1);
    expect((await api.call("POST", `${group}/app-services/none/revisions`, revision())).statusCode).toBe(404);
  });

  test("that would mean another service's workload are refused", async () => {
    await api.call("PUT", `${group}/cells/b`, cell("b"));
    await api.call("PUT", `${group}/cells/a-b`, cell("a-b"));
    await api.call("PUT", `${group}/app-services/svc-a`, { application: "Shop", namespace: "shop" });
    await api.call("PUT", `${group}/app-services/svc`, { application: "Shop", namespace: "shop" });
    expect(
      (await api.call("POST", `${group}/app-services/svc-a/revisions`, revision("a:1", { b: {} }))).statusCode,
    ).toBe(201);
    const clash = await api.call("POST", `${group}/app-services/svc/revisions`, revision("a:1", { "a-b": {} }));
    expect(clash.statusCode).toBe(422);
    expect(clash.json().errors).toEqual([
      { field: "/cells/a-b", message: expect.stringContaining('app service "svc-a"') },
    ]);
  });

  test("that would mean another service's Kubernetes Service are refused", async () => {
    const services = `${group}/app-services`;
    const withApi = (body = revision()) => ({
      ...body,
      access: { services: [{ name: "api", type: "ClusterIP", ports: [{ port: 80 }] }] },
    });
    const put = (at: string, namespace: string) => api.call("PUT", at, { application: "Shop", namespace });
    const post = async (at: string, body: object) => {
      const { statusCode, ...answer } = await api.call("POST", `${at}/revisions`, body);
      return { statusCode, errors: answer.json().errors };
    };
    const taken = (field: string, message: RegExp) => ({
      statusCode: 422,
      errors: [{ field, message: expect.stringMatching(message) }],
    });
    const names: [string, string][] = [
      ["web", "front"],
      ["web-api", "front"],
      ["web-apis", "front"],
      ["blog-api", "front"],
      ["blog", "front"],
    ];
    for (const [name, namespace] of names) await put(`${services}/${name}`, namespace);
    // Whichever comes second; the same service again and names that only look alike are no matter.
    expect((await post(`${services}/web`, withApi())).statusCode).toBe(201);
    expect((await post(`${services}/web`, withApi())).statusCode).toBe(201);
    expect((await post(`${services}/web-apis`, withApi())).statusCode).toBe(201);
    const first =
      /needs the Kubernetes Service "web-api" in namespace "front" of cluster "local".*app service "web"; use another app service name/;
    expect(await post(`${services}/web-api`, revision())).toEqual(taken("/cells/cell-a", first));
    expect((await post(`${services}/blog-api`, revision())).statusCode).toBe(201);
    const second = /makes the Kubernetes Service "blog-api".*app service "blog-api"; use another Service name/;
    expect(await post(`${services}/blog`, withApi())).toEqual(taken("/access/services/0/name", second));
    expect((await post(`${services}/blog`, revision())).statusCode).toBe(201);

    // Another group: its name is not told.
    const other = "/api/v1/workspace-groups/shop-too";
    await api.call("PUT", other, {});
    await api.call("PUT", `${other}/workspaces/main`, { region: "local" });
    await api.call("PUT", `${other}/cells/own`, cell("own"));
    await api.call("PUT", `${other}/applications/Shop`, { owner: "Ada" });
    for (const [name, namespace] of [
      ["web", "front"],
      ["blog", "back"],
    ] as const)
      await put(`${other}/app-services/${name}`, namespace);
    const foreign = /needs the Kubernetes Service "web" .*another workspace group/;
    expect(await post(`${other}/app-services/web`, revision("a:1", { own: {} }))).toEqual(taken("/cells/own", foreign));
    expect((await post(`${other}/app-services/blog`, revision("a:1", { own: {} }))).statusCode).toBe(201);
    // Nothing is claimed where nothing runs.
    expect((await post(`${services}/web-api`, revision("a:1", {}))).statusCode).toBe(201);
    // Who had the name before there was this rule keeps it.
    const former = "insert into revision_cells (workspace_group, service, number, cell)";
    await api.database.pool.query(`${former} values ('shop', 'web-api', 1, 'cell-a')`);
    expect((await post(`${services}/web-api`, revision())).statusCode).toBe(201);
    expect((await post(`${services}/web`, withApi())).statusCode).toBe(201);
  });

  test("with bad content are refused with every fault", async () => {
    const bad = { ...revision("Not An Image"), cells: { ["c".repeat(50)]: {} } };
    const answer = await api.call("POST", revisions, bad);
    expect(answer.statusCode).toBe(422);
    expect(answer.json().errors).toHaveLength(2);
    expect(answer.json().errors[0]).toMatchObject({ field: "/template/containers/0/image" });
    const text = await api.call("POST", revisions, revision("a:1", { "cell-a": { replicas: "3" } }));
    expect([text.statusCode, text.json().errors[0].field]).toEqual([422, "/cells/cell-a/replicas"]);
  });
});

describe("what is depended on", () => {
  test("is not deleted, and the dependants are named, until they are gone", async () => {
    const own = "/api/v1/workspace-groups/chain";
    const steps: [string, unknown, RegExp | undefined][] = [
      [
        "/api/v1/clusters/chain",
        { access: "kubeconfig", kubeconfig: kubeconfig() },
        /cell "c1" of workspace group "chain"/,
      ],
      [own, {}, /workspace "ws", cell "c1", application "App", app service "svc"/],
      [`${own}/workspaces/ws`, { region: "r" }, /cell "c1"/],
      [`${own}/cells/c1`, cell("c1", { workspace: "ws", cluster: "chain" }), /revision 1 of app service "svc"/],
      [`${own}/applications/App`, { owner: "a" }, /app service "svc"/],
    ];
    const service = `${own}/app-services/svc`;
    for (const [url, body] of steps) expect((await api.call("PUT", url, body)).statusCode).toBe(201);
    expect((await api.call("PUT", service, { application: "App", namespace: "n" })).statusCode).toBe(201);
    const revisions = `${own}/app-services/svc/revisions`;
    expect((await api.call("POST", revisions, revision("a:1", { c1: {} }))).statusCode).toBe(201);

    for (const [url, , dependants] of steps) {
      const refused = await api.call("DELETE", url);
      expect([url, refused.statusCode, refused.json().type]).toEqual([url, 409, problem("in-use")]);
      expect(refused.json().detail).toMatch(dependants ?? /./);
    }
    expect((await api.call("DELETE", `${revisions}/1`)).statusCode).toBe(204);
    // A number is not given again.
    expect((await api.call("POST", revisions, revision("a:1", { c1: {} }))).json().number).toBe(2);
    expect((await api.call("DELETE", `${revisions}/2`)).statusCode).toBe(204);
    expect((await api.call("DELETE", `${service}?confirm=svc`)).statusCode).toBe(204);
    for (const name of [4, 3, 2, 1, 0].map((index) => steps[index]?.[0] ?? "")) {
      expect([name, (await api.call("DELETE", name)).statusCode]).toEqual([name, 204]);
    }
  });

  test("by a table that the catalogue does not know is not deleted either", async () => {
    const revisions = `${group}/app-services/cart/revisions`;
    const { number } = (await api.call("POST", revisions, revision())).json();
    await api.database.pool.query(`create table later_orders (g text, s text, n int,
      foreign key (g, s, n) references revisions (workspace_group, service, number))`);
    await api.database.pool.query("insert into later_orders values ('shop', 'cart', $1)", [number]);
    const refused = await api.call("DELETE", `${revisions}/${number}`);
    expect([refused.statusCode, refused.json().type]).toEqual([409, problem("in-use")]);
    expect(refused.json().dependants).toEqual(["at least one of the later orders"]);
    expect((await api.call("GET", `${revisions}/${number}`)).statusCode).toBe(200);
    await api.database.pool.query("drop table later_orders");
    expect((await api.call("DELETE", `${revisions}/${number}`)).statusCode).toBe(204);
  });

  test("keeps its identity", async () => {
    await api.call("POST", `${group}/app-services/cart/revisions`, revision());
    await api.call("PUT", `${group}/applications/Other`, { owner: "a" });
    const service = await api.call("PUT", `${group}/app-services/cart`, {
      application: "Other",
      namespace: "elsewhere",
    });
    expect(service.statusCode).toBe(409);
    expect(service.json().detail).toMatch(/application \(now "Shop"\) and namespace \(now "shop"\)/i);
    const moved = await api.call("PUT", `${group}/cells/cell-a`, cell("cell-a", { zone: "RZ02" }));
    expect(moved.statusCode).toBe(409);
    expect(moved.json().detail).toMatch(/zone of cell "cell-a" cannot change while it is used by revision/i);
    const relabelled = await api.call(
      "PUT",
      `${group}/cells/cell-a`,
      cell("cell-a", { nodeSelector: { cell: "cell-a", disk: "ssd" } }),
    );
    expect(relabelled.statusCode).toBe(409);
    expect(relabelled.json().detail).toMatch(
      /^nodeSelector of cell "cell-a" cannot change while it is used by revision/i,
    );
    const region = await api.call("PUT", `${group}/workspaces/main`, { region: "other" });
    expect([region.statusCode, region.json().detail]).toEqual([409, expect.stringContaining('cell "cell-a"')]);
  });
});

describe("clusters", () => {
  test("are encrypted at rest, and never answered or logged", async () => {
    const url = "/api/v1/clusters/secretive";
    const put = await api.call("PUT", url, { access: "kubeconfig", kubeconfig: kubeconfig() });
    const answers = [put, await api.call("GET", url), await api.call("GET", "/api/v1/clusters")];
    for (const answer of answers) {
      expect(answer.body).not.toContain(SECRET);
      expect(answer.body).not.toContain('"kubeconfig":');
    }
    expect(put.json()).toMatchObject({
      access: "kubeconfig",
      server: "https://10.0.0.1:6443",
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const { db, pool } = api.database;
    const stored = await pool.query("select kubeconfig, encode(kubeconfig, 'escape') as text from clusters");
    expect(stored.rows.length).toBeGreaterThan(0);
    for (const row of stored.rows) expect(row.text).not.toContain(SECRET);
    expect(await readKubeconfig(db, api.encryptionKey, "secretive")).toBe(kubeconfig());
    expect(await readKubeconfig(db, api.encryptionKey, "none")).toBeUndefined();
    // A sealed kubeconfig does not open in another cluster's row.
    await pool.query(
      "update clusters set kubeconfig = (select kubeconfig from clusters where name = 'local') where name = 'secretive'",
    );
    await expect(readKubeconfig(db, api.encryptionKey, "secretive")).rejects.toThrow();
    await api.call("DELETE", url);
    expect(api.logs()).toContain("request completed");
    expect(api.logs()).not.toContain(SECRET);
    expect(api.logs()).not.toContain("Bearer");
  });

  test("with exec are refused without repeating what is in them", async () => {
    const body = {
      access: "kubeconfig",
      kubeconfig: kubeconfig({ exec: { command: "steal", env: [{ value: SECRET }] } }),
    };
    const refused = await api.call("PUT", "/api/v1/clusters/evil", body);
    expect([refused.statusCode, refused.json().errors]).toEqual([
      422,
      [{ field: "/kubeconfig", message: expect.stringContaining("users[0].user.exec would run a command") }],
    ]);
    expect(refused.body).not.toMatch(/steal|t0p/);
    const broken = await api.call("PUT", "/api/v1/clusters/evil", {
      access: "kubeconfig",
      kubeconfig: `token: "${SECRET}`,
    });
    expect(broken.json().errors[0].message).toMatch(/not one YAML document: \w+ at line 1/);
    expect(broken.body).not.toContain(SECRET);
  });

  test("whose YAML multiplies itself are refused quickly", async () => {
    const bomb = [
      "a: &a [x,x,x,x,x,x,x,x,x]",
      ..."bcdefghi".split("").map((letter, index) => {
        const before = "abcdefgh"[index];
        return `${letter}: &${letter} [${Array(9).fill(`*${before}`).join(",")}]`;
      }),
    ].join("\n");
    const answer = await api.call("PUT", "/api/v1/clusters/bomb", { access: "kubeconfig", kubeconfig: bomb });
    expect(answer.statusCode).toBe(422);
  });
});

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
