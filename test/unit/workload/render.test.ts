import { describe, expect, test } from "vitest";
import { fillDefaults } from "../../../domain/catalogue/revision.ts";
import { stableJson } from "../../../domain/json.ts";
import {
  fixedOf,
  imagesOf,
  ordinalOf,
  podName,
  renderServices,
  renderStatefulSet,
  shapeOf,
  type Rendering,
} from "../../../domain/workload/render.ts";

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
  service: "cart",
  namespace: "ns",
};
type Body = Parameters<typeof fillDefaults>[0]["template"];
const spec = (template: Partial<Body> = {}, image = "cart:1") =>
  fillDefaults({
    template: { containers: [{ name: "main", image }], ...template },
    cells: { "cell-a": { replicas: 2 } },
  });

type Container = { image: string; env: { name: string; value?: string }[]; ports?: object[] };
function podSpec(rendering: Rendering) {
  const { template } = renderStatefulSet(rendering).spec as {
    template: { spec: { containers: Container[]; initContainers?: Container[]; affinity?: object } };
  };
  return template.spec;
}

describe("rendering", () => {
  test("the set: partition above every ordinal, selector without `serving`, no replicas", () => {
    const set = renderStatefulSet({ placement, spec: spec({ labels: { tier: "web" } }) });
    expect(set.metadata).toMatchObject({ name: "cart-cell-a", namespace: "ns" });
    expect(set.spec).toMatchObject({
      serviceName: "cart",
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2_147_483_647 } },
      selector: {
        matchLabels: {
          "cellwright.io/workspace-group": "shop",
          "cellwright.io/service": "cart",
          "cellwright.io/cell": "cell-a",
        },
      },
      template: {
        metadata: { labels: { serving: "true", tier: "web", "app.kubernetes.io/part-of": "app" } },
        spec: { nodeSelector: { cell: "cell-a" } },
      },
    });
    expect(set.spec).not.toHaveProperty("replicas");
    expect(JSON.stringify(set.spec["selector"])).not.toContain("serving");
    expect(set.spec).toHaveProperty(["template", "metadata", "annotations"]);
  });

  test("every container gets the read-only variables", () => {
    const set = renderStatefulSet({ placement, spec: spec() });
    const text = JSON.stringify(set.spec);
    for (const name of [
      "TENANT",
      "APP",
      "DATA_CENTER",
      "REGION",
      "CELL",
      "WORKSPACE_GROUP",
      "WORKSPACE",
      "POD",
      "HOST",
    ]) {
      expect(text).toContain(`"CAFE_ENV_${name}"`);
    }
    expect(text).toContain('"fieldPath":"spec.nodeName"');
  });

  test("the governing Service is headless, selects what serves, and has every port once", () => {
    const ports = [{ name: "http", containerPort: 80 }, { containerPort: 81 }, { containerPort: 81 }];
    const [service] = renderServices({ placement, spec: spec({ containers: [{ name: "main", image: "i", ports }] }) });
    expect(service?.metadata.name).toBe("cart");
    expect(service?.spec).toEqual({
      clusterIP: "None",
      selector: { "cellwright.io/workspace-group": "shop", "cellwright.io/service": "cart", serving: "true" },
      ports: [
        { name: "tcp-80", port: 80, protocol: "TCP", targetPort: "http" },
        { name: "tcp-81", port: 81, protocol: "TCP", targetPort: 81 },
      ],
    });
  });

  test("Services by which others reach it come after the governing one and are told by the same labels", () => {
    const access = {
      services: [
        { name: "http", type: "ClusterIP" as const, ports: [{ port: 80 }] },
        { name: "peers", type: "Headless" as const },
      ],
    };
    const all = renderServices({
      placement,
      spec: fillDefaults({ template: { containers: [{ name: "main", image: "i" }] }, cells: { a: {} }, access }),
    });
    expect(all.map(({ metadata }) => metadata.name)).toEqual(["cart", "cart-http", "cart-peers"]);
    expect(new Set(all.map(({ metadata }) => stableJson(metadata.labels))).size).toBe(1);
    const [governing, cluster, headless] = all;
    const { selector } = governing!.spec;
    expect(cluster?.spec).toEqual({
      type: "ClusterIP",
      selector,
      ports: [{ name: "tcp-80", port: 80, protocol: "TCP", targetPort: 80 }],
    });
    expect(headless?.spec).toEqual({ clusterIP: "None", selector });
  });

  test("a cell's own images and variables take the place of the template's", () => {
    const two = fillDefaults({
      template: {
        initContainers: [{ name: "init", image: "init:1" }],
        containers: [
          {
            name: "main",
            image: "cart:1",
            env: [
              { name: "A", value: "1" },
              { name: "B", value: "2" },
            ],
          },
          { name: "constructor", image: "side:1" },
        ],
      },
      cells: {
        "cell-a": {
          image: { main: "cart:2", init: "init:2" },
          env: {
            main: [
              { name: "C", value: "3" },
              { name: "A", value: "9" },
            ],
          },
        },
        "cell-b": {},
      },
    });
    const inCell = (cell: string) => ({ placement: { ...placement, cell }, spec: two });
    expect(imagesOf(inCell("cell-a"))).toEqual({ main: "cart:2", constructor: "side:1" });
    expect(imagesOf(inCell("cell-b"))).toEqual({ main: "cart:1", constructor: "side:1" });
    expect(imagesOf(inCell("constructor"))).toEqual(imagesOf(inCell("cell-b")));
    const pod = podSpec(inCell("cell-a"));
    const own = pod.containers[0]!.env.filter(({ name }) => !name.startsWith("CAFE_ENV_"));
    expect(own).toEqual([
      { name: "A", value: "9" },
      { name: "B", value: "2" },
      { name: "C", value: "3" },
    ]);
    expect(pod.initContainers?.[0]?.image).toBe("init:2");
    const shapes = ["cart:1", "cart:2"].map((image) => {
      const cell = { ...two.cells["cell-a"]!, image: { ...two.cells["cell-a"]!.image, main: image } };
      return shapeOf({ placement, spec: { ...two, cells: { "cell-a": cell } } });
    });
    expect(shapes[0]).toBe(shapes[1]);
  });

  test("in its node's network a pod is alone on the node, and finds the cluster's names", () => {
    const containers = [{ name: "main", image: "i", ports: [{ containerPort: 80 }] }];
    const pod = podSpec({ placement, spec: spec({ hostNetwork: true, containers }) });
    expect(pod).toMatchObject({ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" });
    expect(pod.containers[0]?.ports).toEqual([{ containerPort: 80, hostPort: 80, protocol: "TCP" }]);
    expect(pod.affinity).toEqual({
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            labelSelector: {
              matchLabels: { "cellwright.io/workspace-group": "shop", "cellwright.io/service": "cart" },
            },
            topologyKey: "kubernetes.io/hostname",
          },
        ],
      },
    });
    expect(podSpec({ placement, spec: spec() })).not.toHaveProperty("affinity");
  });

  test("what is fixed are the claim templates, beside names and selector", () => {
    const claim = { name: "data", accessModes: ["ReadWriteOnce" as const], size: "1Gi" };
    const fixed = (size: string) =>
      fixedOf({ placement, spec: { ...spec(), stateful: true, volumeClaimTemplates: [{ ...claim, size }] } });
    expect(fixed("1Gi")).not.toBe(fixed("2Gi"));
    expect(fixedOf({ placement, spec: spec() })).toBe(fixedOf({ placement, spec: spec({ labels: { a: "b" } }, "x") }));
    expect(fixed("1Gi")).toContain('"storage":"1Gi"');
  });

  test("the shape ignores images and nothing else", () => {
    const shape = (one: ReturnType<typeof spec>) => shapeOf({ placement, spec: one });
    expect(shape(spec({}, "cart:1"))).toBe(shape(spec({}, "cart:2")));
    expect(shape(spec())).toBe(shape({ ...spec(), cells: { "cell-a": { replicas: 9, env: {}, image: {} } } }));
    expect(shape(spec())).not.toBe(shape(spec({ labels: { a: "b" } })));
    expect(shape(spec())).not.toBe(shapeOf({ placement: { ...placement, az: "az-b" }, spec: spec() }));
  });

  test("names and ordinals", () => {
    expect(podName("cart", "cell-a", 3)).toBe("cart-cell-a-3");
    expect(ordinalOf("cart-cell-a", "cart-cell-a-3")).toBe(3);
    for (const odd of ["cart-cell-a", "cart-cell-a-", "cart-cell-a-03", "cart-cell-b-3", "cart-cell-a-x-1"]) {
      expect(ordinalOf("cart-cell-a", odd)).toBeUndefined();
    }
    expect(imagesOf({ placement, spec: spec() })).toEqual({ main: "cart:1" });
    expect(stableJson({ b: 1, a: [{ d: 1, c: undefined }] })).toBe('{"a":[{"d":1}],"b":1}');
  });
});
