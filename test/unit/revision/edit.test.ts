import { describe, expect, test } from "vitest";
import { fillDefaults, type RevisionSpec } from "../../../domain/catalogue/revision.ts";
import { changeImage, renameFaults, scale, withoutCells } from "../../../domain/revision/edit.ts";

function spec(...names: string[]): RevisionSpec {
  return fillDefaults({
    template: { containers: names.map((name) => ({ name, image: `shop/${name}:1` })) },
    cells: { a: { replicas: 2 }, b: { replicas: 3 } },
  });
}

describe("changing an image", () => {
  test("changes that of the only container, or of the one that is named, and nothing else", () => {
    const one = changeImage(spec("main"), { image: "shop/main:2" });
    expect(one).toEqual({ ok: true, value: { ...spec("main"), template: expect.anything() } });
    const two = changeImage(spec("main", "side"), { container: "side", image: "shop/side:2" });
    expect(two.ok && two.value.template.containers.map((each) => each.image)).toEqual(["shop/main:1", "shop/side:2"]);
  });

  test.each([
    ["one of several containers must be named", spec("main", "side"), { image: "x:1" }, "/container", /main, side/],
    ["the container must exist", spec("main"), { container: "web", image: "x:1" }, "/container", /it has main/],
    ["the image must be another one", spec("main"), { image: "shop/main:1" }, "/image", /nothing would change/],
  ] as const)("%s", (_what, base, change, field, message) => {
    expect(changeImage(base, change)).toEqual({
      ok: false,
      faults: [{ field, message: expect.stringMatching(message) }],
    });
  });
});

describe("scaling", () => {
  test("changes the cells that are named", () => {
    const scaled = scale(spec("main"), { b: 0 });
    expect(scaled.ok && scaled.value.cells).toMatchObject({ a: { replicas: 2 }, b: { replicas: 0 } });
  });

  test("names every cell that is not there, and refuses what changes nothing", () => {
    expect(scale(spec("main"), { a: 1, x: 1, constructor: 2 })).toMatchObject({
      ok: false,
      faults: [{ field: "/cells/x" }, { field: "/cells/constructor" }],
    });
    expect(scale(spec("main"), { a: 2, b: 3 })).toMatchObject({ ok: false, faults: [{ field: "/cells" }] });
  });

  test("to no cells leaves everything else", () => {
    expect(withoutCells(spec("main"))).toEqual({ ...spec("main"), cells: {} });
  });
});

describe("names of containers", () => {
  test.each<[string, string[], string[], string[]]>([
    ["stay", ["main"], ["main"], []],
    ["come", ["main"], ["main", "side"], []],
    ["go", ["main", "side"], ["main"], []],
    ["change places", ["main", "side"], ["side", "main"], []],
    ["are not changed", ["main"], ["web"], ["/template/containers/0/name"]],
    [
      "are not changed while others come",
      ["main", "side"],
      ["main", "log", "web"],
      ["/template/containers/1/name", "/template/containers/2/name"],
    ],
  ])("%s", (_what, before, after, fields) => {
    expect(renameFaults(spec(...before), spec(...after)).map((fault) => fault.field)).toEqual(fields);
  });
});
