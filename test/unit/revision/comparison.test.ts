import { expect, test } from "vitest";
import { fillDefaults, type RevisionBody } from "../../../domain/catalogue/revision.ts";
import { compareManifests, compareRevisions, type Placed } from "../../../domain/revision/comparison.ts";

function placed(number: number, image: string, cells: Record<string, number>, value = "info"): Placed {
  const body: RevisionBody = {
    template: { containers: [{ name: "main", image, env: [{ name: "LEVEL", value }] }] },
    cells: Object.fromEntries(Object.entries(cells).map(([cell, replicas]) => [cell, { replicas }])),
  };
  return {
    number,
    spec: fillDefaults(body),
    placements: Object.keys(cells).map((cell) => ({
      cluster: "east",
      placement: {
        tenant: "t",
        workspaceGroup: "shop",
        workspace: "main",
        region: "r",
        zone: "RZ01",
        az: "az-a",
        cell,
        nodeSelector: {},
        application: "Shop",
        service: "cart",
        namespace: "shop",
      },
    })),
  };
}

test("every cell of either says what becomes of it", () => {
  const comparison = compareRevisions(placed(1, "cart:1", { a: 2, b: 2 }), placed(2, "cart:2", { b: 2, c: 1 }));
  expect(comparison).toMatchObject({ from: 1, to: 2 });
  expect(comparison.cells).toEqual([
    expect.objectContaining({ cell: "a", change: "REMOVED", pods: { from: 2, to: 0 } }),
    expect.objectContaining({
      cell: "b",
      change: "CHANGED",
      images: [{ container: "main", from: "cart:1", to: "cart:2" }],
      recreate: [],
    }),
    expect.objectContaining({ cell: "c", change: "ADDED", pods: { from: 0, to: 1 } }),
  ]);
  expect(comparison.fields.map(({ field }) => field)).toEqual([
    "/cells/a",
    "/cells/c",
    "/template/containers/main/image",
  ]);
});

test("against nothing everything is new; against itself nothing changes", () => {
  const one = placed(1, "cart:1", { a: 2 });
  expect(compareRevisions(undefined, one)).toEqual({
    to: 1,
    fields: [],
    cells: [expect.objectContaining({ cell: "a", change: "ADDED" })],
  });
  expect(compareRevisions(one, one).cells).toEqual([expect.objectContaining({ change: "UNCHANGED" })]);
});

test("as text, cell after cell, without values of variables", () => {
  const from = placed(1, "cart:1", { a: 2, b: 1 }, "s3cret-old");
  const text = compareManifests(from, placed(2, "cart:2", { a: 2 }, "s3cret-new"));
  expect(text.split("\n").filter((line) => line.startsWith("# "))).toEqual([
    "# cell a, cluster east",
    "# cell b, cluster east",
    "# Services, cluster east",
    "# nothing changes",
  ]);
  expect(text).toMatch(/\n-\s+image: cart:1\n/);
  expect(text).toMatch(/\n\+\s+image: cart:2\n/);
  expect(text).not.toContain("s3cret");
  expect(compareManifests(from, from)).toMatch(/# nothing changes/);
});
