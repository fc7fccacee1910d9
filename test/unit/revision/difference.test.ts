import { describe, expect, test } from "vitest";
import { fillDefaults, type RevisionBody, type RevisionSpec } from "../../../domain/catalogue/revision.ts";
import { specDifference } from "../../../domain/revision/difference.ts";

type Container = RevisionBody["template"]["containers"][number];
const main: Container = { name: "main", image: "shop/cart:1" };

function spec(containers: Container[] = [main], more: Partial<RevisionBody> = {}): RevisionSpec {
  return fillDefaults({ template: { containers }, cells: { "cell-a": { replicas: 2 } }, ...more });
}

describe("what differs between two specs", () => {
  test("is nothing when they mean the same, however they were written", () => {
    const plain: RevisionBody = { template: { containers: [main] }, cells: { "cell-a": { replicas: 2 } } };
    const shuffled: RevisionBody = {
      release: { strategy: "BY_CELL" },
      cells: { "cell-a": { replicas: 2 } },
      template: { containers: [{ image: main.image, name: "main", env: [] }], labels: {} },
    };
    expect(specDifference(fillDefaults(plain), fillDefaults(shuffled))).toEqual([]);
  });

  test.each<[string, RevisionSpec, RevisionSpec, unknown[]]>([
    [
      "an image, under its container's name",
      spec([{ name: "side", image: "log:1" }, main]),
      spec([
        { name: "side", image: "log:1" },
        { ...main, image: "shop/cart:2" },
      ]),
      [{ field: "/template/containers/main/image", from: "shop/cart:1", to: "shop/cart:2" }],
    ],
    [
      "numbers of pods, policy and cells, sorted by field",
      spec([main], { cells: { "cell-a": { replicas: 2 }, "cell-b": { replicas: 1 } } }),
      spec([main], { cells: { "cell-a": { replicas: 3 } }, release: { pause: "OFF" } }),
      [
        { field: "/cells/cell-a/replicas", from: 2, to: 3 },
        { field: "/cells/cell-b", from: expect.objectContaining({ replicas: 1 }) },
        { field: "/release/pause", from: "ALL", to: "OFF" },
      ],
    ],
    [
      "a value of a variable, without the value",
      spec([{ ...main, env: [{ name: "TOKEN", value: "old" }] }]),
      spec([{ ...main, env: [{ name: "TOKEN", value: "new" }] }]),
      [{ field: "/template/containers/main/env/TOKEN/value", from: "(hidden)", to: "(hidden)", masked: true }],
    ],
    [
      "a variable that comes, without its value",
      spec(),
      spec([{ ...main, env: [{ name: "TOKEN", value: "new" }] }]),
      [
        {
          field: "/template/containers/main/env/TOKEN",
          to: { name: "TOKEN", value: "(hidden)" },
          masked: true,
        },
      ],
    ],
    [
      "the order of variables, which may refer to each other",
      spec([
        {
          ...main,
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "$(A)" },
          ],
        },
      ]),
      spec([
        {
          ...main,
          env: [
            { name: "B", value: "$(A)" },
            { name: "A", value: "1" },
          ],
        },
      ]),
      [{ field: "/template/containers/main/env", from: ["A", "B"], to: ["B", "A"] }],
    ],
    [
      "lists of texts as a whole",
      spec([{ ...main, args: ["-v"] }]),
      spec([{ ...main, args: ["-v", "--fast"] }]),
      [{ field: "/template/containers/main/args", from: ["-v"], to: ["-v", "--fast"] }],
    ],
    [
      "what an added container brings, its variables hidden",
      spec(),
      spec([main, { name: "side-car", image: "log:1", env: [{ name: "KEY", value: "s3cret" }] }]),
      [
        {
          field: "/template/containers/side-car",
          to: expect.objectContaining({ image: "log:1", env: [{ name: "KEY", value: "(hidden)" }] }),
          masked: true,
        },
      ],
    ],
    [
      "values of annotations, hidden",
      spec([main], { template: { containers: [main], annotations: { "example.com/key": "a" } } }),
      spec([main], { template: { containers: [main], annotations: { "example.com/key": "b" } } }),
      [{ field: "/template/annotations/example.com~1key", from: "(hidden)", to: "(hidden)", masked: true }],
    ],
    [
      "values that one cell overrides, hidden",
      spec(),
      spec([main], { cells: { "cell-a": { replicas: 2, env: { main: [{ name: "KEY", value: "s3cret" }] } } } }),
      [
        {
          field: "/cells/cell-a/env/main",
          to: [{ name: "KEY", value: "(hidden)" }],
          masked: true,
        },
      ],
    ],
  ])("names %s", (_what, from, to, expected) => {
    expect(specDifference(from, to)).toEqual(expected);
    expect(specDifference(to, from)).toHaveLength(expected.length);
    expect(JSON.stringify(specDifference(from, to))).not.toContain("s3cret");
  });
});
