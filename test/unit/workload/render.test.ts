import { describe, expect, test } from "vitest";
import { fillDefaults } from "../../../domain/catalogue/revision.ts";
import { stableJson } from "../../../domain/json.ts";
import {
  imagesOf,
  ordinalOf,
  podName,
  renderService,
  renderStatefulSet,
  shapeOf,
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

  test("the Service is headless, selects what serves, and has every port once", () => {
    const ports = [{ name: "http", containerPort: 80 }, { containerPort: 81 }, { containerPort: 81 }];
    const service = renderService({ placement, spec: spec({ containers: [{ name: "main", image: "i", ports }] }) });
    expect(service.metadata.name).toBe("cart");
    expect(service.spec).toEqual({
      clusterIP: "None",
      selector: { "cellwright.io/workspace-group": "shop", "cellwright.io/service": "cart", serving: "true" },
      ports: [
        { name: "tcp-80", port: 80, protocol: "TCP", targetPort: "http" },
        { name: "tcp-81", port: 81, protocol: "TCP", targetPort: 81 },
      ],
    });
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
