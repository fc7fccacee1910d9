import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { operationCatalogue } from "../../../activities/catalogue.ts";
import type { RevisionSpec } from "../../../domain/catalogue/revision.ts";
import { fillDefaults } from "../../../domain/catalogue/revision.ts";
import { findCycle } from "../../../domain/pipeline/graph.ts";
import type { Pipeline } from "../../../domain/pipeline/task.ts";
import { generationOf } from "../../../domain/pipeline/task.ts";
import { compileRelease } from "../../../domain/release/compile.ts";
import type { Compiled, ReleaseApp, ReleaseInput } from "../../../domain/release/compile.ts";
import { needsOf } from "../../../domain/release/order.ts";

type ObservedCell = ReleaseApp["cells"][number];
type Policy = Partial<RevisionSpec["release"]>;
/** Cell → its cluster and replicas. */
type Cells = Record<string, { cluster: string; replicas: number }>;

const two: Cells = { "cell-a": { cluster: "east", replicas: 3 }, "cell-b": { cluster: "west", replicas: 3 } };

function app(service: string, cells: Cells = two, policy: Policy = {}, more: Partial<ReleaseApp> = {}): ReleaseApp {
  const spec = fillDefaults({
    template: { containers: [{ name: "main", image: "shop/cart:2" }] },
    cells: Object.fromEntries(Object.entries(cells).map(([cell, { replicas }]) => [cell, { replicas }])),
    release: policy,
  });
  const observed = Object.entries(cells).map(([cell, { cluster, replicas }]): ObservedCell => ({
    cell,
    cluster,
    shape: "shape",
    workload: { replicas, revision: 1, shape: "shape" },
  }));
  return { service, revision: 2, spec, cells: observed, ...more };
}

function input(apps: ReleaseApp[], more: Partial<ReleaseInput> = {}): ReleaseInput {
  return {
    orderId: "o1",
    workflowId: "release/o1",
    generation: 4,
    apps,
    needs: new Map(),
    catalogue: operationCatalogue,
    queueWait: 60_000,
    ...more,
  };
}

function compiled(given: ReleaseInput): Extract<Compiled, { ok: true }> {
  const result = compileRelease(given);
  if (!result.ok) throw new Error(result.faults.join("; "));
  return result;
}

/** Every task with what it depends on. */
function dag(pipeline: Pipeline | undefined): Record<string, string[]> {
  return Object.fromEntries((pipeline?.tasks ?? []).map((task) => [task.id, task.dependsOn]));
}

describe("a plan", () => {
  test("has one task per service and one gate per dependency", () => {
    const { pipelines } = compiled(input([app("cart"), app("web")], { needs: new Map([["web", ["cart"]]]) }));
    expect(pipelines.map(({ workflowId, subject }) => [workflowId, subject])).toEqual([
      ["release/o1", undefined],
      ["release/o1/cart", "cart"],
      ["release/o1/web", "web"],
    ]);
    expect(dag(pipelines[0])).toEqual({
      "4.cart": [],
      "4.web.needs.cart": ["4.cart"],
      "4.web": ["4.web.needs.cart"],
    });
    expect(pipelines[0]?.tasks[1]).toMatchObject({ kind: "gate", ignorable: true });
  });

  test("of a service: templates, then group after group with its confirmation, then the check", () => {
    const { pipelines, pods } = compiled(
      input([app("cart", two, { strategy: "QUICK", minGroups: 2, pause: "FIRST" })]),
    );
    expect(dag(pipelines[1])).toEqual({
      "4.cart.apply.east": [],
      "4.cart.apply.west": [],
      "4.cart.beta.move.east": ["4.cart.apply.east", "4.cart.apply.west"],
      "4.cart.beta.move.west": ["4.cart.apply.east", "4.cart.apply.west"],
      "4.cart.beta.confirm": ["4.cart.beta.move.east", "4.cart.beta.move.west"],
      "4.cart.1.move.east": ["4.cart.beta.confirm"],
      "4.cart.1.move.west": ["4.cart.beta.confirm"],
      "4.cart.verify.east": ["4.cart.1.move.east", "4.cart.1.move.west"],
      "4.cart.verify.west": ["4.cart.1.move.east", "4.cart.1.move.west"],
    });
    expect(pods.filter((pod) => pod.task === "4.cart.1.move.west").map(({ pod }) => pod)).toEqual([
      "cart-cell-b-1",
      "cart-cell-b-2",
    ]);
  });

  test("knows how each step is taken back and made safe, and on whose queue it waits", () => {
    const tasks = compiled(input([app("cart")])).pipelines[1]?.tasks ?? [];
    const apply = tasks.find((task) => task.id === "4.cart.apply.east");
    expect(apply).toMatchObject({
      run: { operation: "applyWorkload", queue: "cluster-east", bounds: { queueWait: 60_000 } },
      undo: { operation: "restoreWorkload" },
    });
    expect(apply?.commits).toBeUndefined();
    expect(tasks.find((task) => task.id === "4.cart.beta.move.east")).toMatchObject({
      run: {
        operation: "movePods",
        params: { order: "o1", task: "4.cart.beta.move.east", cluster: "east", revision: 2 },
      },
      onStop: { operation: "freezeWorkload" },
      commits: true,
    });
  });

  test("task ids stay apart whatever the clusters are called", () => {
    for (const cluster of ["confirm", "apply", "verify", "move", "beta", "1", "needs"]) {
      const { pipelines } = compiled(input([app("cart", { "cell-a": { cluster, replicas: 3 } })]));
      const ids = pipelines.flatMap((pipeline) => pipeline.tasks.map((task) => task.id));
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  test("without pods applies and checks", () => {
    const { pipelines } = compiled(input([app("cart", { "cell-a": { cluster: "east", replicas: 0 } })]));
    expect(dag(pipelines[1])).toEqual({ "4.cart.apply.east": [], "4.cart.verify.east": ["4.cart.apply.east"] });
  });

  test("what people look at changes with the world and the request, and with nothing else", () => {
    const essence = (given: ReleaseInput): string => JSON.stringify(compiled(given).essence);
    const base = essence(input([app("cart")]));
    expect(essence(input([app("cart")], { generation: 9, orderId: "o2", workflowId: "release/o2" }))).toBe(base);
    const [first, second] = app("cart").cells;
    if (!first?.workload || !second) throw new Error("two cells");
    const moved = { ...first, workload: { ...first.workload, revision: 7 } };
    const others = [
      input([app("cart", two, {}, { revision: 3 })]),
      input([app("cart", two, { minGroups: 9 })]),
      input([app("cart", two, { pause: "OFF" })]),
      input([app("cart", two, { beta: false })]),
      input([app("cart", two, {}, { cells: [moved, second] })]),
      input([app("cart", two, {}, { cells: [{ ...first, cluster: "north" }, second] })]),
      input([app("cart"), app("web")]),
    ].map(essence);
    expect(new Set([base, ...others]).size).toBe(others.length + 1);
  });
});

describe("any plan", () => {
  const cells = fc
    .array(fc.record({ cluster: fc.constantFrom("east", "west", "confirm"), replicas: fc.nat(6) }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((list): Cells => Object.fromEntries(list.map((one, index) => [`cell-${index}`, one])));
  const policies = fc.record({
    strategy: fc.constantFrom("BY_CELL" as const, "QUICK" as const),
    minGroups: fc.integer({ min: 1, max: 6 }),
    beta: fc.boolean(),
    pause: fc.constantFrom("ALL" as const, "FIRST" as const, "OFF" as const),
  });
  const inputs = fc
    .record({
      apps: fc.array(fc.tuple(cells, policies), { minLength: 1, maxLength: 4 }),
      edges: fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 5 }),
    })
    .map(({ apps, edges }) => {
      const dependencies = edges
        .filter(([from, to]) => to < from && from < apps.length)
        .map(([from, to]) => ({ service: `app${from}`, needs: [`app${to}`] }));
      return input(
        apps.map(([where, policy], index) => app(`app${index}`, where, policy)),
        { needs: needsOf({ dependencies }) },
      );
    });

  test("is the same again, has no cycle, depends on nothing that is not there, and moves every pod once", () => {
    fc.assert(
      fc.property(inputs, (given) => {
        const { pipelines, pods, essence } = compiled(given);
        expect(compiled(given)).toEqual({ ok: true, pipelines, pods, essence });
        const ids = pipelines.flatMap((pipeline) => pipeline.tasks.map((task) => task.id));
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids.every((id) => generationOf(id) === 4 && /^[\w.-]+$/.test(id))).toBe(true);
        for (const { tasks } of pipelines) {
          const own = new Set(tasks.map((task) => task.id));
          const needs = new Map(tasks.map((task) => [task.id, task.dependsOn]));
          expect([...needs.values()].flat().every((need) => own.has(need))).toBe(true);
          expect(findCycle(needs)).toBeUndefined();
          // Only the first layer begins at once: what comes later waits for what comes before.
          const roots = tasks.filter((task) => task.dependsOn.length === 0);
          expect(roots.every((task) => task.kind === "pipeline" || task.run?.operation === "applyWorkload")).toBe(true);
        }
        const wanted = given.apps.flatMap((one) =>
          one.cells.flatMap(({ cell, cluster }) =>
            Array.from(
              { length: one.spec.cells[cell]?.replicas ?? 0 },
              (_, n) => `${cluster} ${one.service}-${cell}-${n}`,
            ),
          ),
        );
        expect(pods.map(({ cluster, pod }) => `${cluster} ${pod}`).toSorted()).toEqual(wanted.toSorted());
        const movers = new Map(
          pipelines.flatMap(({ tasks }) =>
            tasks.filter((task) => task.run?.operation === "movePods").map((task) => [task.id, task]),
          ),
        );
        expect(new Set(pods.map((pod) => pod.task))).toEqual(new Set(movers.keys()));
        expect(pods.every((pod) => movers.get(pod.task)?.group === pod.group)).toBe(true);
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});

describe("a release that is not image-only in place is refused", () => {
  const live = (change: Partial<NonNullable<ObservedCell["workload"]>>): ObservedCell[] =>
    app("cart").cells.map((cell) => ({ ...cell, workload: { replicas: 3, revision: 1, shape: "shape", ...change } }));
  const untouched = app("cart").cells.map(({ workload: _workload, ...cell }) => cell);
  const everywhere = { revision: 1, cells: ["cell-a", "cell-b"] };

  test.each([
    ["another shape", { cells: live({ shape: "other" }) }, [/more than images in cell cell-a/, /in cell cell-b/]],
    [
      "more replicas",
      { cells: live({ replicas: 2 }), lastSuccess: everywhere },
      [/wants 3 replicas in cell cell-a, where 2/, /cell-b/],
    ],
    ["fewer replicas", { cells: live({ replicas: 4 }) }, [/keep 4/, /cell-b/]],
    ["a cell more", { lastSuccess: { revision: 1, cells: ["cell-a"] } }, [/adds cell-b \(cells\) against revision 1/]],
    ["a cell less", { lastSuccess: { revision: 1, cells: ["cell-a", "cell-b", "cell-c"] } }, [/removes cell-c/]],
    ["another cell", { lastSuccess: { revision: 1, cells: ["cell-a", "cell-c"] } }, [/adds cell-b and removes cell-c/]],
  ] as [string, Partial<ReleaseApp>, RegExp[]][])("%s", (_name, more, faults) => {
    expect(compileRelease(input([app("web"), app("cart", two, {}, more)]))).toEqual({
      ok: false,
      faults: faults.map((fault) => expect.stringMatching(fault)),
    });
  });

  test.each([
    ["the first deployment", { cells: untouched }],
    ["completing a first deployment that did not come to its end", { cells: live({ replicas: 1 }) }],
    ["the same again", { lastSuccess: everywhere }],
  ] as [string, Partial<ReleaseApp>][])("but not %s", (_name, more) => {
    expect(compileRelease(input([app("cart", two, {}, more)])).ok).toBe(true);
  });

  test("all faults of all services are said at once", () => {
    const result = compileRelease(
      input([app("a", two, {}, { cells: live({ shape: "x" }) }), app("b", two, {}, { cells: live({ replicas: 9 }) })]),
    );
    expect(result).toMatchObject({ ok: false, faults: { length: 4 } });
  });
});
