import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { operationCatalogue } from "../../../activities/catalogue.ts";
import type { RevisionSpec } from "../../../domain/catalogue/revision.ts";
import { fillDefaults } from "../../../domain/catalogue/revision.ts";
import { findCycle } from "../../../domain/pipeline/graph.ts";
import type { Pipeline } from "../../../domain/pipeline/task.ts";
import { generationOf } from "../../../domain/pipeline/task.ts";
import type { ReleaseApp } from "../../../domain/release/app.ts";
import { compileRelease, compileRollback } from "../../../domain/release/compile.ts";
import type { Compiled, ReleaseInput, RollbackInput } from "../../../domain/release/compile.ts";
import type { RollbackApp } from "../../../domain/release/compile-app.ts";
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
    fixed: "fixed",
    workload: { replicas, revision: 1, fixed: "fixed", promoted: true },
    pods: podsOf(`${service}-${cell}`, replicas),
    difference: { images: ["main"], recreate: [], fixed: [], services: [] },
  }));
  return { service, revision: 2, spec, cells: observed, leaving: [], ...more };
}

function podsOf(workload: string, count: number, shape = "shape"): ObservedCell["pods"] {
  return Array.from({ length: count }, (_, ordinal) => ({ name: `${workload}-${ordinal}`, shape }));
}

/** The same app with something different about each of its cells. */
function but(one: ReleaseApp, change: (cell: ObservedCell) => Partial<ObservedCell>): ReleaseApp {
  return { ...one, cells: one.cells.map((cell) => ({ ...cell, ...change(cell) })) };
}

function live(change: Partial<NonNullable<ObservedCell["workload"]>>): Partial<ObservedCell> {
  return { workload: { replicas: 3, revision: 1, fixed: "fixed", promoted: true, ...change } };
}

const nothing: ObservedCell["difference"] = { images: [], recreate: [], fixed: [], services: [] };

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

  test("of a service that runs nowhere and shall not: says so in its only task, which is over at once", () => {
    const title = "nothing to do: idle runs nowhere, and its revision 2 wants no cell";
    const { pipelines, pods } = compiled(input([app("idle", {})]));
    expect(pipelines[1]?.tasks).toEqual([{ id: "4.idle.nothing", title, kind: "gate", dependsOn: [] }]);
    expect(pods).toEqual([]);
    const leaving = [{ cell: "cell-a", cluster: "east", revision: 1, replicas: 3 }];
    const away = compiled(input([app("idle", {}, {}, { leaving })]));
    expect(dag(away.pipelines[1])).toEqual({ "4.idle.remove-1.east": [] });
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
    const grown = { ...first, workload: { ...first.workload, replicas: 4 } };
    const others = [
      input([app("cart", two, {}, { revision: 3 })]),
      input([app("cart", two, { minGroups: 9 })]),
      input([app("cart", two, { pause: "OFF" })]),
      input([app("cart", two, { beta: false })]),
      input([app("cart", two, {}, { cells: [moved, second] })]),
      input([app("cart", two, {}, { cells: [{ ...first, cluster: "north" }, second] })]),
      input([app("cart", two, {}, { cells: [grown, second] })]),
      input([app("cart", two, {}, { cells: [{ ...first, shape: "other" }, second] })]),
      input([app("cart", two, {}, { leaving: [{ cell: "cell-x", cluster: "east", revision: 1, replicas: 1 }] })]),
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

describe("what a release does to pods", () => {
  const changes = (one: ReleaseApp): string[] =>
    compiled(input([one])).pods.map(({ pod, change, why }) => [pod, change, ...(why ? [why] : [])].join(" "));
  const small: Cells = { "cell-a": { cluster: "east", replicas: 2 } };

  test("pods of the same shape keep their address", () => {
    expect(changes(app("cart", small))).toEqual(["cart-cell-a-0 IN_PLACE", "cart-cell-a-1 IN_PLACE"]);
  });

  test("pods of another shape do not, and it says why", () => {
    const recreate = ["container main: limits.cpu 1 -> 2", "volume added", "label added", "one more", "and another"];
    const one = but(app("cart", small), () => ({ shape: "other", difference: { ...nothing, recreate } }));
    const why = "container main: limits.cpu 1 -> 2; volume added; label added; and 2 more";
    expect(changes(one)).toEqual([`cart-cell-a-0 RECREATE ${why}`, `cart-cell-a-1 RECREATE ${why}`]);
  });

  test("it is judged pod by pod, as an earlier order may have left some on another template", () => {
    const one = but(app("cart", small), (cell) => ({
      pods: cell.pods.map((pod, index) => (index === 0 ? { ...pod, shape: "older" } : pod)),
    }));
    expect(changes(one)).toEqual([
      "cart-cell-a-0 RECREATE it was born from another template",
      "cart-cell-a-1 IN_PLACE",
    ]);
  });

  test("a policy may recreate always", () => {
    expect(changes(app("cart", small, { upgrade: "RECREATE" }))[0]).toMatch(/RECREATE the revision's policy/);
  });

  test("pods that are not there are created", () => {
    const one = but(app("cart", small), (cell) => ({ pods: cell.pods.slice(0, 1), ...live({ replicas: 1 }) }));
    expect(changes(one)).toEqual(["cart-cell-a-0 IN_PLACE", "cart-cell-a-1 CREATE"]);
  });

  test("scaling up leaves what is there alone, and has no beta group", () => {
    const one = but(app("cart", two, { minGroups: 1 }), (cell) => ({
      difference: nothing,
      pods: cell.pods.slice(0, 1),
      ...live({ replicas: 1 }),
    }));
    const { pods: planned, pipelines } = compiled(input([one]));
    expect(planned.map(({ pod, group, change }) => [pod, group, change])).toEqual([
      ["cart-cell-a-1", "1", "CREATE"],
      ["cart-cell-a-2", "1", "CREATE"],
      ["cart-cell-b-1", "2", "CREATE"],
      ["cart-cell-b-2", "2", "CREATE"],
    ]);
    expect(pipelines[1]?.tasks.some((task) => task.group === "beta")).toBe(false);
  });

  test("a template that has not been promoted is moved to again", () => {
    const one = but(app("cart", small), () => ({ difference: nothing, ...live({ promoted: false }) }));
    expect(changes(one)).toHaveLength(2);
  });

  test("surplus pods and Services go after the groups, cells that left after that, and then all is verified", () => {
    const one = but(app("cart", small, { pause: "OFF", beta: false, minGroups: 1 }), () => ({
      ...live({ replicas: 5 }),
    }));
    one.leaving = [
      { cell: "cell-x", cluster: "east", revision: 1, replicas: 2 },
      { cell: "cell-y", cluster: "west", revision: 1, replicas: 1 },
    ];
    const { pipelines } = compiled(input([one]));
    expect(dag(pipelines[1])).toEqual({
      "4.cart.apply.east": [],
      "4.cart.1.move.east": ["4.cart.apply.east"],
      "4.cart.trim.east": ["4.cart.1.move.east"],
      "4.cart.remove-1.east": ["4.cart.trim.east"],
      "4.cart.remove-1.west": ["4.cart.trim.east"],
      "4.cart.verify.east": ["4.cart.remove-1.east", "4.cart.remove-1.west"],
    });
    const remove = pipelines[1]?.tasks.find((task) => task.id === "4.cart.remove-1.east");
    expect(remove).toMatchObject({ run: { params: { revision: 1, cells: ["cell-x"] } }, commits: true });
  });
});

describe("a release is refused", () => {
  const claims = but(app("cart"), () => ({
    fixed: "other",
    difference: { ...nothing, fixed: ["claim template data: storage 1Gi -> 2Gi"] },
  }));

  test("when it changes what can never be changed, in words that say what to do", () => {
    expect(compileRelease(input([app("web"), claims]))).toEqual({
      ok: false,
      faults: [/cell cell-a \(claim template data: storage 1Gi -> 2Gi\)/, /cell cell-b/].map((fault) =>
        expect.stringMatching(fault),
      ),
    });
  });

  test("with all faults of all services at once", () => {
    expect(compileRelease(input([{ ...claims, service: "a" }, claims]))).toMatchObject({ faults: { length: 4 } });
  });

  test("but not where nothing runs yet", () => {
    const first = but(claims, () => ({ pods: [] }));
    for (const cell of first.cells) delete cell.workload;
    expect(compileRelease(input([first])).ok).toBe(true);
  });
});

describe("the way back", () => {
  function back(apps: RollbackApp[], more: Partial<RollbackInput> = {}) {
    const { orderId, workflowId, catalogue, queueWait } = input([]);
    const common = { orderId, workflowId, catalogue, queueWait, generation: 7, options: {}, confirm: true };
    const result = compileRollback({ ...common, apps, ...more });
    if (!result.ok) throw new Error(result.faults.join("; "));
    return result;
  }
  const freeze = [
    { cluster: "east", revision: 3 },
    { cluster: "west", revision: 3 },
  ];

  test("first makes earlier work void, then releases the last success without beta and pauses, then asks", () => {
    const { pipelines, to } = back([
      { service: "cart", freeze, leaving: [], target: app("cart", two, { minGroups: 1 }) },
    ]);
    expect(to).toEqual({ cart: { revision: 2 } });
    expect(pipelines.map((one) => one.workflowId)).toEqual(["release/o1/cart"]);
    expect(dag(pipelines[0])).toEqual({
      "7.cart.freeze-3.east": [],
      "7.cart.freeze-3.west": [],
      "7.cart.apply.east": ["7.cart.freeze-3.east", "7.cart.freeze-3.west"],
      "7.cart.apply.west": ["7.cart.freeze-3.east", "7.cart.freeze-3.west"],
      "7.cart.1.move.east": ["7.cart.apply.east", "7.cart.apply.west"],
      "7.cart.2.move.west": ["7.cart.1.move.east"],
      "7.cart.verify.east": ["7.cart.2.move.west"],
      "7.cart.verify.west": ["7.cart.2.move.west"],
      "7.cart.rolled-back": ["7.cart.verify.east", "7.cart.verify.west"],
    });
    expect(pipelines[0]?.tasks[0]?.run?.params).toMatchObject({ revision: 3, earlierRuns: true });
  });

  test("is over at once for what ran nowhere, and never without a task", () => {
    const idle = { service: "idle", freeze: [], leaving: [] };
    expect(back([idle], { confirm: false }).pipelines[0]?.tasks).toEqual([
      {
        id: "7.idle.nothing",
        title: "nothing to take back: idle runs nowhere, as before",
        kind: "gate",
        dependsOn: [],
      },
    ]);
    expect(dag(back([idle]).pipelines[0])).toEqual({ "7.idle.rolled-back": [] });
  });

  test("has a grouping of its own", () => {
    const target = app("cart", two, { strategy: "BY_CELL", pause: "ALL" });
    const options = { grouping: { strategy: "QUICK", minGroups: 2, beta: true, pause: "FIRST" } } as const;
    const { pipelines } = back([{ service: "cart", freeze, leaving: [], target }], { options, confirm: false });
    const ids = pipelines[0]?.tasks.map((task) => task.id) ?? [];
    expect(ids.filter((id) => id.endsWith("confirm"))).toEqual(["7.cart.beta.confirm"]);
    expect(ids).not.toContain("7.cart.rolled-back");
  });

  test("leads to nothing where there never was a success", () => {
    const leaving = [{ cell: "cell-a", cluster: "east", revision: 3, replicas: 3 }];
    const { pipelines, pods: planned, to } = back([{ service: "cart", freeze, leaving }]);
    expect(to).toEqual({ cart: { revision: null } });
    expect(planned).toEqual([]);
    expect(dag(pipelines[0])).toEqual({
      "7.cart.freeze-3.east": [],
      "7.cart.freeze-3.west": [],
      "7.cart.remove-3.east": ["7.cart.freeze-3.east", "7.cart.freeze-3.west"],
      "7.cart.rolled-back": ["7.cart.remove-3.east"],
    });
  });
});
