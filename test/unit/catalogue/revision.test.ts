import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schemaFaults } from "../../../domain/catalogue/faults.ts";
import { fillDefaults, RevisionSpec } from "../../../domain/catalogue/revision.ts";
import { checkRevision } from "../../../domain/catalogue/validate.ts";

type Json = Record<string, unknown>;

const main = { name: "main", image: "shop/cart:1.0.0" };

/** A valid body with one container changed, or other parts replaced. */
function body(container: Json = {}, rest: Json = {}): Json {
  return { template: { containers: [{ ...main, ...container }] }, cells: { "cell-a": { replicas: 4 } }, ...rest };
}

function faults(value: unknown, service = "cart"): [string, string][] {
  const checked = checkRevision(service, value);
  return checked.ok ? [] : checked.faults.map(({ field, message }) => [field, message]);
}

const c0 = "/template/containers/0";

describe("a revision", () => {
  test("of the smallest body gets every default", () => {
    const value = body(
      { ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { path: "/", port: 80 } } },
      { cells: { a: {} } },
    );
    expect(faults(value)).toEqual([]);
    expect(fillDefaults(value as never)).toEqual({
      stateful: false,
      volumeClaimTemplates: [],
      access: { services: [] },
      template: {
        labels: {},
        annotations: {},
        initContainers: [],
        volumes: [],
        imagePullSecrets: [],
        hostNetwork: false,
        terminationGracePeriodSeconds: 30,
        affinity: {},
        tolerations: [],
        topologySpreadConstraints: [],
        containers: [
          {
            ...main,
            env: [],
            envFrom: [],
            volumeMounts: [],
            ports: [{ containerPort: 80, protocol: "TCP" }],
            resources: { requests: {}, limits: {} },
            readinessProbe: {
              httpGet: { path: "/", port: 80, scheme: "HTTP" },
              initialDelaySeconds: 3,
              timeoutSeconds: 1,
              periodSeconds: 10,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        ],
      },
      cells: { a: { replicas: 0, env: {}, image: {} } },
      release: {
        strategy: "BY_CELL",
        minGroups: 3,
        beta: true,
        pause: "ALL",
        upgrade: "IN_PLACE",
        readySeconds: 30,
        progressDeadlineSeconds: 120,
      },
    });
  });

  test.each<[string, Json]>([
    [
      "every field at its largest",
      body(
        {
          readinessProbe: {
            exec: { command: ["x"] },
            initialDelaySeconds: 3600,
            timeoutSeconds: 3600,
            periodSeconds: 3600,
            successThreshold: 100,
            failureThreshold: 100,
          },
        },
        {
          cells: { a: { replicas: 1000 } },
          release: { minGroups: 1000, readySeconds: 3600, progressDeadlineSeconds: 3600 },
        },
      ),
    ],
    [
      "every field at its smallest",
      body(
        {
          livenessProbe: {
            tcpSocket: { port: 1 },
            initialDelaySeconds: 0,
            timeoutSeconds: 1,
            periodSeconds: 1,
            successThreshold: 1,
            failureThreshold: 1,
          },
        },
        { cells: { a: { replicas: 0 } }, release: { minGroups: 1, readySeconds: 0, progressDeadlineSeconds: 5 } },
      ),
    ],
    [
      "a port named by a probe",
      body({ ports: [{ name: "http", containerPort: 65535 }], startupProbe: { httpGet: { path: "/", port: "http" } } }),
    ],
    [
      "one port number under both protocols",
      body({ ports: [{ containerPort: 53 }, { containerPort: 53, protocol: "UDP" }] }),
    ],
    [
      "odd but legal variables",
      body({
        env: [
          { name: "_.-A", value: "" },
          { name: "-", value: "ü" },
          { name: "CAFE", value: "" },
        ],
      }),
    ],
    [
      "equal request and limit",
      body({ resources: { requests: { cpu: "0.5", memory: "1Gi" }, limits: { cpu: "500m", memory: "1024Mi" } } }),
    ],
    ["labels", { ...body(), template: { containers: [main], labels: { tier: "", "example.com/Team_1.x": "A-b" } } }],
    ["a workload name of 52 characters", body({}, { cells: { ["c".repeat(47)]: {} } })],
  ])("with %s is taken", (_what, value) => {
    expect(faults(value)).toEqual([]);
  });

  test.each<[string, unknown, string, RegExp]>([
    ["no template", { cells: { a: {} } }, "/template", /required/],
    ["no cells", { template: { containers: [main] } }, "/cells", /required/],
    ["no containers", body({}, { template: { containers: [] } }), "/template/containers", /1 to 10/],
    [
      "11 containers",
      body(
        {},
        { template: { containers: Array.from({ length: 11 }, (_x, i) => ({ name: `c${i}`, image: `i${i}` })) } },
      ),
      "/template/containers",
      /1 to 10/,
    ],
    ["an unknown field", body({}, { zzz: 1 }), "/zzz", /not a known field/],
    ["an unknown container field", body({ imagePullPolicy: "Always" }), `${c0}/imagePullPolicy`, /not a known field/],
    ["an unknown release field", body({}, { release: { paused: true } }), "/release/paused", /known are strategy/],
    ["no image", { ...body(), template: { containers: [{ name: "main" }] } }, `${c0}/image`, /required/],
    ["an image that cannot parse", body({ image: "Shop Cart" }), `${c0}/image`, /not an image reference/],
    ["an image of the wrong type", body({ image: 3 }), `${c0}/image`, /image reference/],
    ["a container name with capitals", body({ name: "Main" }), `${c0}/name`, /lowercase/],
    ["a container name of 64 characters", body({ name: "a".repeat(64) }), `${c0}/name`, /1 to 63/],
    [
      "two containers of one name",
      body({}, { template: { containers: [main, { name: "main", image: "b" }] } }),
      "/template/containers/1/name",
      /must differ/,
    ],
    [
      "two containers of one image",
      body({}, { template: { containers: [main, { ...main, name: "b" }] } }),
      "/template/containers/1/image",
      /must differ/,
    ],
    ["an empty command", body({ command: [] }), `${c0}/command`, /1 to 100/],
    ["a command that is a text", body({ command: "ls" }), `${c0}/command`, /list/],
    [
      "a variable beginning with a digit",
      body({ env: [{ name: "1A", value: "" }] }),
      `${c0}/env/0/name`,
      /variable name/,
    ],
    [
      "a reserved variable",
      body({ env: [{ name: "CAFE_ENV_CELL", value: "" }] }),
      `${c0}/env/0/name`,
      /platform sets itself/,
    ],
    [
      "a variable set twice",
      body({
        env: [
          { name: "A", value: "1" },
          { name: "A", value: "2" },
        ],
      }),
      `${c0}/env/1/name`,
      /twice/,
    ],
    ["a variable that is a number", body({ env: [{ name: "A", value: 1 }] }), `${c0}/env/0/value`, /text/],
    ["a NUL character", body({ env: [{ name: "A", value: "\0" }] }), `${c0}/env/0/value`, /NUL/],
    ["half a surrogate pair", body({ env: [{ name: "A", value: "\ud800" }] }), `${c0}/env/0/value`, /Unicode/],
    ["port 0", body({ ports: [{ containerPort: 0 }] }), `${c0}/ports/0/containerPort`, /1 to 65535/],
    ["port 65536", body({ ports: [{ containerPort: 65536 }] }), `${c0}/ports/0/containerPort`, /1 to 65535/],
    ["a port as text", body({ ports: [{ containerPort: "80" }] }), `${c0}/ports/0/containerPort`, /port number/],
    [
      "an unknown protocol",
      body({ ports: [{ containerPort: 80, protocol: "SCTP" }] }),
      `${c0}/ports/0/protocol`,
      /"TCP", "UDP"/,
    ],
    [
      "a port name without a letter",
      body({ ports: [{ name: "80", containerPort: 80 }] }),
      `${c0}/ports/0/name`,
      /port name/,
    ],
    [
      "a port twice",
      body({ ports: [{ containerPort: 80 }, { containerPort: 80, protocol: "TCP" }] }),
      `${c0}/ports/1`,
      /same number/,
    ],
    [
      "a port name twice",
      body({
        ports: [
          { name: "a", containerPort: 80 },
          { name: "a", containerPort: 81 },
        ],
      }),
      `${c0}/ports/1/name`,
      /must differ/,
    ],
    [
      "a CPU that does not parse",
      body({ resources: { requests: { cpu: "lots" } } }),
      `${c0}/resources/requests/cpu`,
      /quantity/,
    ],
    ["a negative CPU", body({ resources: { limits: { cpu: "-1" } } }), `${c0}/resources/limits/cpu`, /quantity/],
    ["a CPU below a thousandth", body({ resources: { limits: { cpu: "1u" } } }), `${c0}/resources/limits/cpu`, /1m/],
    [
      "memory in thousandths of bytes",
      body({ resources: { limits: { memory: "128m" } } }),
      `${c0}/resources/limits/memory`,
      /one byte/,
    ],
    [
      "a request above the limit",
      body({ resources: { requests: { memory: "2Gi" }, limits: { memory: "1Gi" } } }),
      `${c0}/resources/requests/memory`,
      /more than the limit/,
    ],
    [
      "an unknown resource",
      body({ resources: { limits: { gpu: "1" } } }),
      `${c0}/resources/limits/gpu`,
      /known are cpu, memory/,
    ],
    ["a probe without action", body({ readinessProbe: {} }), `${c0}/readinessProbe`, /exactly one/],
    [
      "a probe with two actions",
      body({ readinessProbe: { tcpSocket: { port: 1 }, exec: { command: ["x"] } } }),
      `${c0}/readinessProbe`,
      /exactly one/,
    ],
    [
      "a liveness success threshold",
      body({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
      `${c0}/livenessProbe/successThreshold`,
      /must be 1/,
    ],
    [
      "a start-up success threshold",
      body({ startupProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
      `${c0}/startupProbe/successThreshold`,
      /must be 1/,
    ],
    [
      "a probe timeout of 0",
      body({ livenessProbe: { tcpSocket: { port: 1 }, timeoutSeconds: 0 } }),
      `${c0}/livenessProbe/timeoutSeconds`,
      /1 to 3600/,
    ],
    [
      "a negative delay",
      body({ livenessProbe: { tcpSocket: { port: 1 }, initialDelaySeconds: -1 } }),
      `${c0}/livenessProbe/initialDelaySeconds`,
      /0 to 3600/,
    ],
    [
      "a period of half a second",
      body({ livenessProbe: { tcpSocket: { port: 1 }, periodSeconds: 0.5 } }),
      `${c0}/livenessProbe/periodSeconds`,
      /whole number/,
    ],
    [
      "a probe of port 0",
      body({ livenessProbe: { tcpSocket: { port: 0 } } }),
      `${c0}/livenessProbe/tcpSocket/port`,
      /1 to 65535/,
    ],
    [
      "a probe of an unknown port name",
      body({ livenessProbe: { tcpSocket: { port: "http" } } }),
      `${c0}/livenessProbe/tcpSocket/port`,
      /names no port/,
    ],
    [
      "a probe path without a slash",
      body({ livenessProbe: { httpGet: { path: "x", port: 1 } } }),
      `${c0}/livenessProbe/httpGet/path`,
      /URL path/,
    ],
    [
      "a probe scheme",
      body({ livenessProbe: { httpGet: { path: "/", port: 1, scheme: "FTP" } } }),
      `${c0}/livenessProbe/httpGet/scheme`,
      /"HTTP", "HTTPS"/,
    ],
    ["1001 replicas", body({}, { cells: { a: { replicas: 1001 } } }), "/cells/a/replicas", /0 to 1000/],
    ["-1 replicas", body({}, { cells: { a: { replicas: -1 } } }), "/cells/a/replicas", /0 to 1000/],
    ["1.5 replicas", body({}, { cells: { a: { replicas: 1.5 } } }), "/cells/a/replicas", /whole number/],
    ["replicas as text", body({}, { cells: { a: { replicas: "1" } } }), "/cells/a/replicas", /whole number/],
    ["null replicas", body({}, { cells: { a: { replicas: null } } }), "/cells/a/replicas", /whole number/],
    ["a malformed cell name", body({}, { cells: { A_: {} } }), "/cells/A_", /cell name/],
    [
      "a cell name that leaves the pointer ambiguous",
      body({}, { cells: { "a/b~": {} } }),
      "/cells/a~1b~0",
      /cell name/,
    ],
    [
      "a workload name of 53 characters",
      body({}, { cells: { ["c".repeat(48)]: {} } }),
      `/cells/${"c".repeat(48)}`,
      /53 characters/,
    ],
    ["an unknown strategy", body({}, { release: { strategy: "ALL_ONE" } }), "/release/strategy", /"BY_CELL", "QUICK"/],
    ["minGroups 0", body({}, { release: { minGroups: 0 } }), "/release/minGroups", /1 to 1000/],
    ["beta as text", body({}, { release: { beta: "true" } }), "/release/beta", /true or false/],
    ["an unknown pause", body({}, { release: { pause: "SOME" } }), "/release/pause", /"ALL", "FIRST", "OFF"/],
    ["an upgrade of a later step", body({}, { release: { upgrade: "REPLACE" } }), "/release/upgrade", /"IN_PLACE"/],
    ["readySeconds -1", body({}, { release: { readySeconds: -1 } }), "/release/readySeconds", /0 to 3600/],
    ["readySeconds 3601", body({}, { release: { readySeconds: 3601 } }), "/release/readySeconds", /0 to 3600/],
    [
      "progressDeadlineSeconds 4",
      body({}, { release: { progressDeadlineSeconds: 4 } }),
      "/release/progressDeadlineSeconds",
      /5 to 3600/,
    ],
    ["null", null, "", /object/],
    ["a list", [], "", /object/],
  ])("with %s is refused", (_what, value, field, message) => {
    expect(faults(value)).toEqual([[field, expect.stringMatching(message)]]);
  });

  test.each([
    "serving",
    "controller-revision-hash",
    "app.kubernetes.io/name",
    "cellwright.io/epoch",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
  ])("label %s is reserved", (label) => {
    const value = body({}, { template: { containers: [main], labels: { [label]: "x" } } });
    expect(faults(value)).toEqual([
      [`/template/labels/${label.replace("/", "~1")}`, expect.stringMatching(/platform sets itself/)],
    ]);
  });

  test.each([
    ["-a", "x"],
    ["a/b/c", "x"],
    ["UP.example/a", "x"],
    ["a".repeat(64), "x"],
    ["", "x"],
    ["a", "-x"],
    ["a", "ä"],
    ["a", "a b"],
  ])("label %j = %j is malformed", (key, value) => {
    const found = faults(body({}, { template: { containers: [main], labels: { [key]: value } } }));
    expect(found).toEqual([[expect.stringMatching(/^\/template\/labels\//), expect.stringMatching(/malformed/)]]);
  });

  test("says all that is wrong at once", () => {
    const value = {
      template: { containers: [{ ...main, image: "A", env: [{ name: "CAFE_ENV_X", value: "" }], readinessProbe: {} }] },
      cells: { ["c".repeat(50)]: {} },
    };
    expect(faults(value).map(([field]) => field)).toEqual([
      `${c0}/image`,
      `${c0}/env/0/name`,
      `${c0}/readinessProbe`,
      `/cells/${"c".repeat(50)}`,
    ]);
    const shape = {
      template: { containers: [{ name: "A" }, {}] },
      cells: { a: { replicas: -1 } },
      release: { beta: 1, pause: 1 },
    };
    expect(faults(shape)).toHaveLength(7);
  });

  test("never repeats a value, which may be a secret", () => {
    const value = body({ env: [{ name: "1SECRET", value: 5 }], image: "Hunter2", command: "hunter2" });
    expect(JSON.stringify(faults(value))).not.toMatch(/hunter2/i);
  });

  test("filled in is a whole specification, and filling in again changes nothing", () => {
    const container = fc.record(
      {
        name: fc.constant("main"),
        image: fc.constant("a/b:1"),
        env: fc.uniqueArray(
          fc.record({ name: fc.stringMatching(/^[A-B][a-z0-9]{0,5}$/), value: fc.string({ maxLength: 5 }) }),
          { selector: (each) => each.name, maxLength: 3 },
        ),
        ports: fc.uniqueArray(
          fc.record(
            { containerPort: fc.integer({ min: 1, max: 65535 }), protocol: fc.constantFrom("TCP", "UDP") },
            { requiredKeys: ["containerPort"] },
          ),
          { selector: (each) => each.containerPort, maxLength: 3 },
        ),
        livenessProbe: fc.record(
          { tcpSocket: fc.constant({ port: 1 }), periodSeconds: fc.integer({ min: 1, max: 3600 }) },
          { requiredKeys: ["tcpSocket"] },
        ),
      },
      { requiredKeys: ["name", "image"] },
    );
    const anyBody = fc.record(
      {
        template: fc.record({ containers: fc.tuple(container) }),
        cells: fc.dictionary(
          fc.constantFrom("a", "b", "cell-c"),
          fc.record({ replicas: fc.integer({ min: 0, max: 1000 }) }, { requiredKeys: [] }),
          { minKeys: 1, noNullPrototype: true },
        ),
        release: fc.record({ pause: fc.constantFrom("ALL", "FIRST", "OFF"), beta: fc.boolean() }, { requiredKeys: [] }),
      },
      { requiredKeys: ["template", "cells"] },
    );
    fc.assert(
      fc.property(anyBody, (value) => {
        const checked = checkRevision("cart", value);
        fc.pre(checked.ok);
        if (!checked.ok) return;
        const spec = fillDefaults(checked.value);
        expect(schemaFaults(RevisionSpec, spec)).toEqual([]);
        expect(fillDefaults(spec)).toEqual(spec);
        expect(checkRevision("cart", spec).ok).toBe(true);
      }),
    );
  });

  test("no JSON makes the check throw", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => typeof checkRevision("cart", value).ok === "boolean"));
  });
});

test("what is nested so deeply that looking at all of it would fail is a fault like any other", () => {
  let nest: unknown = "\0";
  for (let level = 0; level < 100_000; level++) nest = [nest];
  expect(schemaFaults(RevisionSpec, body({ env: nest }))).toContainEqual({
    field: expect.stringMatching(/^\/template\/containers\/0\/env(\/0)+$/) as unknown,
    message: "is nested in more than 64 levels; send fewer",
  });
});
