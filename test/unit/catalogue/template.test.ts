import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schemaFaults } from "../../../domain/catalogue/faults.ts";
import { fillDefaults, RevisionSpec, type RevisionBody } from "../../../domain/catalogue/revision.ts";
import { checkRevision } from "../../../domain/catalogue/validate.ts";
import { acceptedBodies, fullBody } from "../../support/revision-bodies.ts";

type Json = Record<string, unknown>;
const main = { name: "main", image: "shop/cart:1" };
const http = { name: "http", containerPort: 80 };

function body(template: Json = {}, rest: Json = {}): Json {
  return { template: { containers: [main], ...template }, cells: { "cell-a": { replicas: 1 } }, ...rest };
}
const container = (fields: Json, template: Json = {}) => body({ containers: [{ ...main, ...fields }], ...template });
const variable = (fields: Json) => container({ env: [{ name: "A", ...fields }] });
const volume = (fields: Json) => body({ volumes: [{ name: "v", ...fields }] });
const mount = (...mounts: Json[]) => container({ volumeMounts: mounts }, { volumes: [{ name: "v", emptyDir: {} }] });
const hook = (lifecycle: Json) => container({ lifecycle, ports: [http] });
const claims = (fields: Json, stateful = true) =>
  body({}, { stateful, volumeClaimTemplates: [{ name: "c", accessModes: ["ReadWriteOnce"], size: "1Gi", ...fields }] });
const node = (expression: Json) =>
  body({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "In", values: ["ssd"], ...expression }] }],
        },
      },
    },
  });
const pods = (term: Json) =>
  body({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } });
const tolerate = (toleration: Json) => body({ tolerations: [toleration] });
const spread = (...constraints: Json[]) => body({ topologySpreadConstraints: constraints });
const services = (...list: Json[]) => ({
  ...container({ ports: [http, { name: "dns", containerPort: 53, protocol: "UDP" }] }),
  access: { services: list },
});
const port80 = { port: 80 };
const cell = (own: Json, containers: Json[] = [main]) => ({
  template: { containers },
  cells: { a: { replicas: 1, ...own } },
});

function faults(value: unknown, service = "cart"): [string, string][] {
  const checked = checkRevision(service, value);
  return checked.ok ? [] : checked.faults.map(({ field, message }) => [field, message]);
}

const c0 = "/template/containers/0";
const env0 = `${c0}/env/0`;
const v0 = "/template/volumes/0";
const nodeValues =
  "/template/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchExpressions/0";
const podTerm = "/template/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/0";

describe("the template of an app service", () => {
  test("with every field is taken, also when its defaults are filled in", () => {
    expect(faults(fullBody(), "web")).toEqual([]);
    const spec = fillDefaults(fullBody());
    expect(schemaFaults(RevisionSpec, spec)).toEqual([]);
    expect(faults(spec, "web")).toEqual([]);
    expect(spec.access.services).toEqual([
      {
        name: "http",
        type: "ClusterIP",
        ports: [
          { name: "web", port: 80, targetPort: "http", protocol: "TCP" },
          { name: "stats", port: 9000, targetPort: 9000, protocol: "UDP" },
        ],
      },
      { name: "peers", type: "Headless", ports: [] },
    ]);
  });

  test("without variables, volumes and such is filled in from what an earlier version has stored", () => {
    const stored = { template: { labels: {}, containers: [main] }, cells: { a: { replicas: 1 } } };
    expect(schemaFaults(RevisionSpec, fillDefaults(stored as RevisionBody))).toEqual([]);
  });

  test.each<[string, unknown, string, RegExp]>([
    ["a variable with neither value nor source", variable({}), env0, /exactly one of value and valueFrom/],
    [
      "a variable with both",
      variable({ value: "x", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }),
      env0,
      /exactly one/,
    ],
    ["a variable from nothing", variable({ valueFrom: {} }), `${env0}/valueFrom`, /exactly one/],
    [
      "an unknown field of the pod",
      variable({ valueFrom: { fieldRef: { fieldPath: "status.phase" } } }),
      `${env0}/valueFrom/fieldRef/fieldPath`,
      /metadata.name/,
    ],
    [
      "a malformed label of the pod",
      variable({ valueFrom: { fieldRef: { fieldPath: "metadata.labels['-']" } } }),
      `${env0}/valueFrom/fieldRef/fieldPath`,
      /not a field/,
    ],
    [
      "a key that begins with two dots",
      variable({ valueFrom: { secretKeyRef: { name: "s", key: "..x" } } }),
      `${env0}/valueFrom/secretKeyRef/key`,
      /a key/,
    ],
    [
      "a Secret's malformed name",
      variable({ valueFrom: { secretKeyRef: { name: "A", key: "x" } } }),
      `${env0}/valueFrom/secretKeyRef/name`,
      /name of a Secret/,
    ],
    ["a variable named ..", container({ env: [{ name: "..", value: "" }] }), `${env0}/name`, /variable name/],
    [
      "a source of nothing",
      container({ envFrom: [{}] }),
      `${c0}/envFrom/0`,
      /exactly one of configMapRef and secretRef/,
    ],
    [
      "a source with a reserved prefix",
      container({ envFrom: [{ prefix: "CAFE_ENV_", secretRef: { name: "s" } }] }),
      `${c0}/envFrom/0/prefix`,
      /platform sets itself/,
    ],
    [
      "a pull secret twice",
      body({ imagePullSecrets: [{ name: "r" }, { name: "r" }] }),
      "/template/imagePullSecrets/1/name",
      /keep one/,
    ],
    [
      "an init container of a container's name",
      body({ initContainers: [{ name: "main", image: "b" }] }),
      "/template/initContainers/0/name",
      /must differ/,
    ],
    [
      "an init container's probe",
      body({ initContainers: [{ name: "i", image: "b", readinessProbe: {} }] }),
      "/template/initContainers/0/readinessProbe",
      /not a known field/,
    ],
    [
      "an init container's malformed image",
      body({ initContainers: [{ name: "i", image: "B" }] }),
      "/template/initContainers/0/image",
      /not an image reference/,
    ],
    ["hooks without hook", hook({}), `${c0}/lifecycle`, /postStart or preStop/],
    ["a hook without action", hook({ preStop: {} }), `${c0}/lifecycle/preStop`, /exactly one of exec and httpGet/],
    [
      "a hook of an unknown port",
      hook({ postStart: { httpGet: { path: "/", port: "grpc" } } }),
      `${c0}/lifecycle/postStart/httpGet/port`,
      /names no port/,
    ],
    ["a mount of nothing", mount({ name: "w", mountPath: "/w" }), `${c0}/volumeMounts/0/name`, /neither a volume/],
    ["a mount over everything", mount({ name: "v", mountPath: "/./" }), `${c0}/volumeMounts/0/mountPath`, /below it/],
    [
      "two mounts in one place",
      mount({ name: "v", mountPath: "/v" }, { name: "v", mountPath: "/v/" }),
      `${c0}/volumeMounts/1/mountPath`,
      /must differ/,
    ],
    ["a relative mount path", mount({ name: "v", mountPath: "v" }), `${c0}/volumeMounts/0/mountPath`, /absolute path/],
    [
      "a mount path with a colon",
      mount({ name: "v", mountPath: "/v:w" }),
      `${c0}/volumeMounts/0/mountPath`,
      /absolute path/,
    ],
    [
      "a sub-path that climbs",
      mount({ name: "v", mountPath: "/v", subPath: "a/../b" }),
      `${c0}/volumeMounts/0/subPath`,
      /relative path/,
    ],
    ["a volume of nothing", volume({}), v0, /exactly one of configMap, secret, emptyDir/],
    ["a volume of two sources", volume({ emptyDir: {}, hostPath: { path: "/a" } }), v0, /exactly one/],
    [
      "two volumes of one name",
      body({
        volumes: [
          { name: "v", emptyDir: {} },
          { name: "v", emptyDir: {} },
        ],
      }),
      "/template/volumes/1/name",
      /must differ/,
    ],
    [
      "permissions above 0777",
      volume({ configMap: { name: "c", defaultMode: 512 } }),
      `${v0}/configMap/defaultMode`,
      /0 to 511/,
    ],
    [
      "two keys in one file",
      volume({
        secret: {
          secretName: "s",
          items: [
            { key: "a", path: "f" },
            { key: "b", path: "f" },
          ],
        },
      }),
      `${v0}/secret/items/1/path`,
      /must differ/,
    ],
    [
      "a file that begins with two dots",
      volume({ secret: { secretName: "s", items: [{ key: "a", path: "..f" }] } }),
      `${v0}/secret/items/0/path`,
      /name of the file/,
    ],
    [
      "a size limit that does not parse",
      volume({ emptyDir: { sizeLimit: "big" } }),
      `${v0}/emptyDir/sizeLimit`,
      /quantity/,
    ],
    [
      "a path on the node that climbs",
      volume({ hostPath: { path: "/a/../b" } }),
      `${v0}/hostPath/path`,
      /absolute path/,
    ],
    ["claims of a service that is not stateful", claims({}, false), "/volumeClaimTemplates", /set stateful to true/],
    ["a claim of nothing", claims({ size: "0" }), "/volumeClaimTemplates/0/size", /more than nothing/],
    ["a claim of an unknown size", claims({ size: "x" }), "/volumeClaimTemplates/0/size", /quantity/],
    [
      "ReadWriteOncePod among others",
      claims({ accessModes: ["ReadWriteOncePod", "ReadOnlyMany"] }),
      "/volumeClaimTemplates/0/accessModes",
      /beside ReadWriteOncePod/,
    ],
    [
      "one access mode twice",
      claims({ accessModes: ["ReadOnlyMany", "ReadOnlyMany"] }),
      "/volumeClaimTemplates/0/accessModes",
      /different access modes/,
    ],
    [
      "a reserved annotation",
      body({ annotations: { "cellwright.io/epoch": "1" } }),
      "/template/annotations/cellwright.io~1epoch",
      /sets itself/,
    ],
    ["a malformed annotation", body({ annotations: { "a b": "1" } }), "/template/annotations/a b", /malformed key/],
    [
      "too many annotations",
      body({ annotations: Object.fromEntries(Array.from("abcde", (key) => [key, "ü".repeat(16_000)])) }),
      "/template/annotations",
      /160005 bytes together/,
    ],
    [
      "a template that is too large",
      container({ env: Array.from("abcdefghi", (name) => ({ name, value: "x".repeat(32_768) })) }),
      "/template",
      /bytes of JSON.*ConfigMap/,
    ],
    ["a condition without values", node({ values: [] }), `${nodeValues}/values`, /at least one value/],
    ["Exists with values", node({ operator: "Exists" }), `${nodeValues}/values`, /left out with Exists/],
    ["more than a word", node({ operator: "Gt" }), `${nodeValues}/values`, /whole number/],
    ["a condition on a malformed label", node({ key: "-" }), `${nodeValues}/key`, /malformed key/],
    [
      "an affinity to every pod",
      pods({ labelSelector: {}, topologyKey: "rack" }),
      `${podTerm}/labelSelector`,
      /selects every pod/,
    ],
    [
      "an affinity over a malformed topology",
      pods({ labelSelector: { matchLabels: { a: "b" } }, topologyKey: "/" }),
      `${podTerm}/topologyKey`,
      /malformed key/,
    ],
    [
      "a service affinity over a malformed topology",
      body({ affinity: { serviceAffinity: [{ service: "a", topologyKey: "/" }] } }),
      "/template/affinity/serviceAffinity/0/topologyKey",
      /malformed key/,
    ],
    [
      "a weight of 101",
      body({ affinity: { serviceAffinity: [{ service: "a", weight: 101 }] } }),
      "/template/affinity/serviceAffinity/0/weight",
      /1 to 100/,
    ],
    ["a toleration of no taint", tolerate({ value: "x" }), "/template/tolerations/0/operator", /must be Exists/],
    [
      "Exists with a value",
      tolerate({ key: "a", operator: "Exists", value: "x" }),
      "/template/tolerations/0/value",
      /left out/,
    ],
    [
      "tolerated for a time",
      tolerate({ key: "a", effect: "NoSchedule", tolerationSeconds: 1 }),
      "/template/tolerations/0/tolerationSeconds",
      /NoExecute/,
    ],
    [
      "one spread twice",
      spread({ topologyKey: "rack" }, { topologyKey: "rack", maxSkew: 2 }),
      "/template/topologySpreadConstraints/1",
      /keep one/,
    ],
    [
      "minDomains where all may be scheduled",
      spread({ topologyKey: "rack", whenUnsatisfiable: "ScheduleAnyway", minDomains: 2 }),
      "/template/topologySpreadConstraints/0/minDomains",
      /DoNotSchedule/,
    ],
    [
      "a Service's suffix of 21 characters",
      services({ name: "x".repeat(21), type: "Headless" }),
      "/access/services/0/name",
      /1 to 20/,
    ],
    [
      "two Services of one name",
      services({ name: "a", type: "Headless" }, { name: "a", type: "Headless" }),
      "/access/services/1/name",
      /must differ/,
    ],
    [
      "a ClusterIP without ports",
      services({ name: "a", type: "ClusterIP" }),
      "/access/services/0/ports",
      /at least one port/,
    ],
    [
      "an unknown type of Service",
      services({ name: "a", type: "LoadBalancer" }),
      "/access/services/0/type",
      /"ClusterIP", "Headless"/,
    ],
    [
      "one port of a Service twice",
      services({ name: "a", type: "ClusterIP", ports: [port80, { ...port80, name: "b" }] }),
      "/access/services/0/ports/1",
      /keep one/,
    ],
    [
      "one port name of a Service twice",
      services({ name: "a", type: "ClusterIP", ports: [port80, { port: 81, name: "tcp-80" }] }),
      "/access/services/0/ports/1/name",
      /must differ/,
    ],
    [
      "a Service of an unknown port",
      services({ name: "a", type: "ClusterIP", ports: [{ port: 80, targetPort: "grpc" }] }),
      "/access/services/0/ports/0/targetPort",
      /names no TCP port/,
    ],
    [
      "a Service of a port of the other protocol",
      services({ name: "a", type: "ClusterIP", ports: [{ port: 80, targetPort: "dns" }] }),
      "/access/services/0/ports/0/targetPort",
      /names no TCP port/,
    ],
    [
      "a cell's image of an unknown container",
      cell({ image: { web: "a" } }),
      "/cells/a/image/web",
      /names no container/,
    ],
    ["a cell's malformed image", cell({ image: { main: "A" } }), "/cells/a/image/main", /not an image reference/],
    [
      "a cell's variables of an unknown container",
      cell({ env: { constructor: [] } }),
      "/cells/a/env/constructor",
      /names no container/,
    ],
    [
      "a cell's reserved variable",
      cell({ env: { main: [{ name: "CAFE_ENV_CELL", value: "" }] } }),
      "/cells/a/env/main/0/name",
      /platform sets itself/,
    ],
    [
      "a cell's variable from a reference",
      cell({ env: { main: [{ name: "A", valueFrom: {} }] } }),
      "/cells/a/env/main/0/value",
      /required/,
    ],
    [
      "a cell's own value of a reference",
      cell({ env: { main: [{ name: "A", value: "" }] } }, [
        { ...main, env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] },
      ]),
      "/cells/a/env/main/0/name",
      /taken from a reference/,
    ],
  ])("with %s is refused", (_what, value, field, message) => {
    expect(faults(value)).toContainEqual([field, expect.stringMatching(message)]);
  });

  test("a Service's name fits into Kubernetes", () => {
    const value = services({ name: "x".repeat(20), type: "Headless" });
    expect(faults({ ...value, cells: { a: {} } }, "s".repeat(42))).toEqual([]);
    expect(faults({ ...value, cells: { a: {} } }, "s".repeat(43))).toEqual([
      ["/access/services/0/name", expect.stringMatching(/64 characters long, at most 63/)],
    ]);
  });

  test("filled in twice is as filled in once, and is taken as it was", () => {
    fc.assert(
      fc.property(acceptedBodies("cart"), (value) => {
        const before = JSON.stringify(value);
        const spec = fillDefaults(value);
        expect(JSON.stringify(value)).toBe(before);
        expect(fillDefaults(spec)).toEqual(spec);
        expect(schemaFaults(RevisionSpec, spec)).toEqual([]);
        expect(faults(spec)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});
