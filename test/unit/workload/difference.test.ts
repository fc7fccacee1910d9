import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fillDefaults, type RevisionBody } from "../../../domain/catalogue/revision.ts";
import { differenceOf } from "../../../domain/workload/difference.ts";
import { kubernetesDiff } from "../../../domain/workload/manifest-diff.ts";
import { fixedOf, imagesOf, shapeOf, type Rendering } from "../../../domain/workload/render.ts";
import { acceptedBodies, fullBody } from "../../support/revision-bodies.ts";

const placement = {
  tenant: "t",
  workspaceGroup: "shop",
  workspace: "main",
  region: "r",
  zone: "RZ01",
  az: "az-a",
  cell: "cell-a",
  nodeSelector: { cell: "cell-a" },
  application: "app",
  service: "web",
  namespace: "ns",
};
const rendering = (body: RevisionBody): Rendering => ({ placement, spec: fillDefaults(body) });
const from = (change: (body: Full) => void = () => undefined): Rendering => {
  const body = structuredClone(fullBody()) as Full;
  body.release = { ...body.release, upgrade: "IN_PLACE" };
  change(body);
  return rendering(body);
};
/** So that a test can say what it changes. */
type Full = ReturnType<typeof fullBody> & {
  template: Required<RevisionBody["template"]>;
  volumeClaimTemplates: NonNullable<RevisionBody["volumeClaimTemplates"]>;
  access: { services: NonNullable<NonNullable<RevisionBody["access"]>["services"]> };
};
const web = (body: Full) => body.template.containers[0]!;
const none = { images: [], recreate: [], fixed: [], services: [] };

describe("the difference of two revisions in a cell", () => {
  test.each<[string, (body: Full) => void, object]>([
    ["nothing", () => undefined, none],
    [
      "an image",
      (body) => (body.template.containers[1]!.image = "shop/proxy:3"),
      { ...none, images: [{ container: "proxy", from: "shop/proxy:2", to: "shop/proxy:3" }] },
    ],
    ["an image that the cell overrides", (body) => (web(body).image = "shop/web:9"), none],
    [
      "the cell's own image",
      (body) => (body.cells["cell-a"]!.image = { migrate: "shop/migrate:2" }),
      {
        ...none,
        images: [{ container: "web", from: "shop/web:1.0.1", to: "registry.example.com:5000/shop/web:1.0.0" }],
      },
    ],
    [
      "an init container's image",
      (body) => (body.cells["cell-a"]!.image!["migrate"] = "shop/migrate:3"),
      { ...none, recreate: ["init container migrate: image shop/migrate:2 -> shop/migrate:3"] },
    ],
    [
      "a limit",
      (body) => (web(body).resources = { requests: { cpu: "100m", memory: "64Mi" }, limits: { cpu: "200m" } }),
      {
        ...none,
        recreate: ["container web: limits.cpu 0.5 -> 200m", "container web: limits.memory 1Gi removed"],
      },
    ],
    [
      "all resources",
      (body) => delete web(body).resources,
      { ...none, recreate: ["container web: resources removed"] },
    ],
    [
      "variables",
      (body) => {
        web(body).env![2] = { name: "COLOUR", value: "red" };
        web(body).env!.push({ name: "NEW", value: "secret" });
        body.cells["cell-a"]!.env = {};
      },
      {
        ...none,
        recreate: [
          "container web: variable LEVEL changed",
          "container web: variable COLOUR changed",
          "container web: variable ONLY_HERE removed",
          "container web: variable NEW added",
        ],
      },
    ],
    [
      "the order of variables",
      (body) => (web(body).env = web(body).env!.toReversed()),
      { ...none, recreate: ["container web: order of env changed"] },
    ],
    [
      "labels, annotations and the command",
      (body) => {
        body.template.labels = { tier: "back" };
        body.template.annotations = { plain: "secret" };
        web(body).command = ["web", "--secret"];
      },
      {
        ...none,
        recreate: [
          "label tier front -> back",
          "label example.com/team shop removed",
          "annotation example.com/note removed",
          "annotation plain changed",
          "container web: command changed",
        ],
      },
    ],
    [
      "containers and volumes",
      (body) => {
        body.template.containers.push({ name: "log", image: "log" });
        body.template.volumes = body.template.volumes.filter(({ name }) => name !== "scratch");
        web(body).volumeMounts = web(body).volumeMounts!.filter(({ name }) => name !== "scratch");
      },
      {
        ...none,
        recreate: ["volume scratch removed", "container web: mount /tmp removed", "container log added"],
      },
    ],
    [
      "the pod itself",
      (body) => {
        body.template.hostNetwork = false;
        body.template.terminationGracePeriodSeconds = 5;
        body.template.tolerations = [];
      },
      {
        ...none,
        recreate: [
          "pod: terminationGracePeriodSeconds 60 -> 5",
          "pod: hostNetwork true -> false",
          "pod: dnsPolicy ClusterFirstWithHostNet -> ClusterFirst",
          "pod: affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution changed",
          "pod: tolerations removed",
          "container web: port 8080/TCP: hostPort 8080 removed",
          "container web: port 9000/UDP: hostPort 9000 removed",
        ],
      },
    ],
    [
      "a claim template",
      (body) => (body.volumeClaimTemplates[0]!.size = "2Gi"),
      { ...none, fixed: ["volume claim template data: requests.storage 1Gi -> 2Gi"] },
    ],
    [
      "Services",
      (body) => {
        body.access.services[0]!.type = "Headless";
        body.access.services[1] = { name: "other", type: "Headless" };
      },
      {
        ...none,
        services: [
          "Service web-http: type ClusterIP -> Headless",
          "Service web-peers removed",
          "Service web-other added",
        ],
      },
    ],
    ["replicas", (body) => (body.cells["cell-a"]!.replicas = 5), { ...none, replicas: { from: 2, to: 5 } }],
    [
      "a cell that goes",
      (body) => {
        delete body.cells["cell-a"]!.image;
        delete body.cells["cell-a"]!.env;
        body.cells["cell-a"]!.replicas = 0;
      },
      expect.objectContaining({ replicas: { from: 2, to: 0 } }),
    ],
    ["the policy alone", (body) => (body.release!.upgrade = "RECREATE"), none],
    [
      "an image, where pods are always recreated",
      (body) => {
        body.release!.upgrade = "RECREATE";
        body.template.containers[1]!.image = "shop/proxy:3";
      },
      {
        ...none,
        images: [{ container: "proxy", from: "shop/proxy:2", to: "shop/proxy:3" }],
        recreate: [expect.stringContaining("upgrade RECREATE")],
      },
    ],
  ])("%s", (_what, change, expected) => {
    expect(differenceOf(from(), from(change))).toEqual(expected);
  });

  test("names reasons to recreate exactly if the shapes differ, and fixed parts exactly if those do", () => {
    const anyRendering = acceptedBodies("web").map((body) =>
      rendering({ ...body, release: { ...body.release, upgrade: "IN_PLACE" } }),
    );
    const pair = fc.oneof(
      fc.tuple(anyRendering, anyRendering),
      anyRendering.map((one): [Rendering, Rendering] => [one, withOtherImages(one)]),
    );
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const { recreate, fixed, images } = differenceOf(a, b);
        expect(recreate.length === 0).toBe(shapeOf(a) === shapeOf(b));
        expect(fixed.length === 0).toBe(fixedOf(a) === fixedOf(b));
        const sameImages = equal(imagesOf(a), imagesOf(b));
        expect(recreate.length > 0 || (images.length === 0) === sameImages).toBe(true);
        expect(differenceOf(a, a)).toEqual(none);
        expect(kubernetesDiff(a, a)).toBe("");
      }),
      { numRuns: 40 },
    );
  });
});

const equal = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b);

function withOtherImages({ spec, ...rest }: Rendering): Rendering {
  const containers = spec.template.containers.map((one) => ({ ...one, image: `${one.name}:other` }));
  return { ...rest, spec: { ...spec, cells: {}, template: { ...spec.template, containers } } };
}

describe("the difference as Kubernetes manifests", () => {
  test("is a unified diff without values of variables and annotations", () => {
    const text = kubernetesDiff(
      from((body) => {
        web(body).env = [{ name: "A", value: "hunter1" }];
        body.template.annotations = { note: "hunter2" };
        body.cells = { "cell-a": { replicas: 2 } };
      }),
      from((body) => {
        web(body).env = [{ name: "A", value: "hunter3" }];
        body.template.annotations = { note: "hunter4" };
        body.cells = { "cell-a": { replicas: 3, env: { web: [{ name: "B", value: "hunter5" }] } } };
        body.access.services = [];
      }),
    );
    expect(text).not.toContain("hunter");
    expect(text).toContain("--- a/StatefulSet/ns/web-cell-a\n+++ b/StatefulSet/ns/web-cell-a\n@@ ");
    expect(text).toContain("-  replicas: 2\n+  replicas: 3\n");
    expect(text).toContain("             - name: A\n+              value: (changed)\n");
    expect(text).toContain("-        note: (hidden)\n+        note: (changed)\n");
    expect(text).toContain("+            - name: B\n               value: (hidden)\n");
    expect(text).toContain("--- a/Service/ns/web-http\n+++ b/Service/ns/web-http\n@@ -1,");
    expect(text).not.toContain("Service/ns/web\n");
  });

  test("of nothing and something shows all of it", () => {
    const added = kubernetesDiff(undefined, from());
    const removed = kubernetesDiff(from(), undefined);
    const lines = (text: string, sign: string) =>
      text.split("\n").filter((line) => line.startsWith(sign) && !line.startsWith(sign.repeat(3)));
    expect(lines(added, "-")).toEqual([]);
    expect(lines(added, "+").map((line) => line.slice(1))).toEqual(lines(removed, "-").map((line) => line.slice(1)));
    expect(added).toContain("+kind: StatefulSet");
  });
});
