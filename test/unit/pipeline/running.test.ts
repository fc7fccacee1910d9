/** While an order runs: what begins when, dependencies, pauses, retries, children. */
import { describe, expect, test } from "vitest";
import { child, ready, running } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { activity, confirmation, gate, invocation, nested } from "./plans.ts";

/** b needs a, by a gate. */
const pair = () => [nested("a"), gate("1.b.needs.a", ["1.a"]), nested("b", ["1.b.needs.a"])];

describe("tasks", () => {
  test("begin when all that they depend on is satisfied, and the order ends with the last", () => {
    const order = running([
      activity("1.a"),
      activity("1.b"),
      confirmation("1.c", ["1.a", "1.b"]),
      activity("1.d", ["1.c"]),
    ]);
    expect(order.calls()).toEqual(["run 1.a", "run 1.b"]);
    order.finish("1.a");
    expect(order.calls()).toEqual([]);
    order.finish("1.b");
    expect(order.shown()).toBe("AWAITING_CONFIRM");
    expect(order.state.shown?.reason).toBe("title of 1.c");
    expect(order.askTask("confirm", "1.c")).toMatchObject({ ok: true, state: "RUNNING" });
    expect(order.calls()).toEqual(["run 1.d"]);
    expect(order.state.tasks["1.c"]?.reason).toBe("confirmed by ann: why not");
    order.finish("1.d");
    expect(order.commands.at(-1)).toEqual({ do: "end", state: "SUCCEEDED" });
  });

  test("that depend on what is not in the plan never begin", () => {
    expect(running([activity("1.a", ["1.nowhere"])]).calls()).toEqual([]);
  });

  test("that fail stop what depends on them, and nothing else", () => {
    const order = running([activity("1.a"), activity("1.b"), activity("1.c", ["1.a"]), activity("1.d", ["1.b"])]);
    order.fail("1.a");
    order.finish("1.b");
    expect(order.tasks()).toEqual({ "1.a": "FAILED", "1.b": "SUCCEEDED", "1.c": "WAITING", "1.d": "RUNNING" });
    expect(order.state.shown).toMatchObject({ state: "FAILED", reason: "title of 1.a: it broke" });
  });

  test("results of former attempts and of calls that were not made count for nothing", () => {
    const order = running([activity("1.a")]);
    order.fail("1.a");
    order.askTask("retry", "1.a");
    const before = order.state;
    const outcome = { outcome: "done", summary: "", changed: true } as const;
    order.send({ type: "finished", task: "1.a", attempt: 1, role: "run", outcome });
    order.send({ type: "finished", task: "1.a", attempt: 2, role: "undo", outcome });
    order.send({ type: "finished", task: "1.nowhere", attempt: 1, role: "run", outcome });
    order.send({ type: "stopped", task: "1.a", attempt: 1, role: "run" });
    expect(order.state).toEqual(before);
  });

  test("that were interrupted without anybody's having asked can be retried", () => {
    const order = running([activity("1.a")]);
    order.finish("1.a", "stopped");
    expect(order.shown()).toBe("FAILED");
    order.askTask("retry", "1.a");
    expect(order.of("call")).toMatchObject([{ task: "1.a", attempt: 2 }]);
  });

  test("an order without tasks has succeeded", () => {
    expect(running([]).shown()).toBe("SUCCEEDED");
  });

  test("a gate with an operation is carried out like any task", () => {
    const order = running([gate("1.g", [], { run: invocation("check") }), activity("1.a", ["1.g"])]);
    expect(order.calls()).toEqual(["run 1.g"]);
    order.finish("1.g");
    expect(order.calls()).toEqual(["run 1.a"]);
  });
});

describe("a dependency", () => {
  test("is satisfied by the success of what is needed", () => {
    const order = running(pair());
    expect(order.of("startChild")).toMatchObject([{ task: "1.a", attempt: 1, paused: false }]);
    order.hear("1.a", { state: "SUCCEEDED" });
    expect(order.of("startChild")).toMatchObject([{ task: "1.b" }]);
  });

  test("says what blocks it and who can help, and recovers when that is retried", () => {
    const order = running(pair());
    order.hear("1.a", { state: "FAILED", reason: "too slow" });
    expect(order.state.tasks["1.b.needs.a"]).toMatchObject({
      state: "BLOCKED",
      reason: expect.stringMatching(/^a is FAILED: retry it, or ignore this dependency with a reason/),
    });
    order.hear("1.a", { state: "RUNNING" });
    expect(order.tasks()["1.b.needs.a"]).toBe("WAITING");
    order.hear("1.a", { state: "SUCCEEDED" });
    expect(order.tasks()).toMatchObject({ "1.b.needs.a": "SUCCEEDED", "1.b": "RUNNING" });
  });

  test.each(["WAITING", "BLOCKED"])("that is %s can be ignored", (state) => {
    const order = running(pair());
    if (state === "BLOCKED") order.hear("1.a", { state: "FAILED" });
    expect(order.tasks()["1.b.needs.a"]).toBe(state);
    expect(order.askTask("ignore", "1.b.needs.a")).toMatchObject({ ok: true });
    expect(order.of("startChild")).toMatchObject([{ task: "1.b" }]);
    expect(order.state.tasks["1.b.needs.a"]?.reason).toBe("ignored by ann: why not");
  });

  test("on what was cancelled blocks until it is ignored", () => {
    const order = running(pair());
    order.hear("1.a", { state: "CANCELLED" });
    expect(order.shown()).toBe("BLOCKED");
    order.askTask("ignore", "1.b.needs.a");
    order.hear("1.b", { state: "SUCCEEDED", committed: true });
    expect(order.shown()).toBe("SUCCEEDED");
  });

  test("does not outlive what needs it", () => {
    const order = running([...pair(), nested("c")]);
    order.hear("1.a", { state: "CANCELLED" });
    expect(order.askTask("cancel", "1.b")).toMatchObject({ ok: true });
    expect(order.tasks()["1.b.needs.a"]).toBe("CANCELLED");
    order.hear("1.c", { state: "SUCCEEDED" });
    expect(order.shown()).toBe("SUCCEEDED");
  });

  test("does not make a success of an order whose deeds were all cancelled", () => {
    const order = running(pair());
    order.askTask("ignore", "1.b.needs.a");
    order.hear("1.a", { state: "CANCELLED" });
    order.hear("1.b", { state: "CANCELLED" });
    expect(order.shown()).toBe("CANCELLED");
  });
});

describe("pausing", () => {
  const paused = (order: Bench): Bench => {
    order.ask("pause", { id: "pause" });
    return order;
  };

  test("is answered when every open child holds; what runs may finish, nothing new begins", () => {
    const order = paused(running([nested("a"), nested("b"), nested("c"), activity("1.d"), activity("1.e", ["1.d"])]));
    expect(order.answers()).toEqual([]);
    expect(order.controls()).toEqual(["hold 1.a", "hold 1.b", "hold 1.c"]);
    order.hear("1.a", { acknowledges: { id: "pause" } });
    order.hear("1.b", { acknowledges: { id: "another" } });
    order.hear("1.c", { state: "SUCCEEDED" });
    order.finish("1.d");
    expect(order.answers()).toEqual([]);
    order.hear("1.b", { acknowledges: { id: "pause" } });
    expect(order.answers()).toMatchObject([{ id: "pause", answer: { ok: true, state: "PAUSED" } }]);
    expect(order.tasks()["1.e"]).toBe("WAITING");
    expect(order.state.shown?.reason).toBe("pause by ann: why not");
  });

  test("does not let the order end either, until it is resumed", () => {
    const order = paused(running([activity("1.a")]));
    order.finish("1.a");
    expect(order.shown()).toBe("PAUSED");
    expect(order.ask("resume")).toMatchObject({ ok: true, state: "SUCCEEDED" });
    expect(order.state.reason).toBeUndefined();
  });

  test("resuming tells the children, and goes on", () => {
    const order = paused(running([nested("a"), activity("1.b"), activity("1.c", ["1.b"])]));
    order.hear("1.a", { acknowledges: { id: "pause" } });
    order.finish("1.b");
    expect(order.ask("resume", { id: "resume" })).toBeUndefined();
    expect(order.controls()).toEqual(["release 1.a"]);
    expect(order.calls()).toEqual(["run 1.c"]);
    order.hear("1.a", { acknowledges: { id: "resume" } });
    expect(order.answers()).toMatchObject([{ id: "resume", answer: { ok: true, state: "RUNNING" } }]);
  });

  test("waits for no child that is lost", () => {
    const order = paused(running([nested("a")]));
    order.send({ type: "childLost", task: "1.a", reason: "gone" });
    expect(order.answers()).toMatchObject([{ id: "pause", answer: { ok: true, state: "PAUSED" } }]);
  });
});

describe("a child", () => {
  test("that holds starts nothing, refuses confirms, and says so at once", () => {
    const one = child([activity("1.a.x"), confirmation("1.a.c", ["1.a.x"]), activity("1.a.y", ["1.a.c"])]);
    one.control("hold", "pause");
    expect(one.acknowledged()).toEqual([{ id: "pause" }]);
    one.finish("1.a.x");
    expect(one.tasks()["1.a.c"]).toBe("WAITING");
    one.control("release", "resume");
    expect(one.acknowledged()).toEqual([{ id: "resume" }]);
    expect(one.tasks()["1.a.c"]).toBe("AWAITING_CONFIRM");
    one.control("hold");
    expect(one.askTask("confirm", "1.a.c")).toMatchObject({ ok: false, detail: expect.stringContaining("paused") });
  });

  test("that is opened paused waits", () => {
    expect(child([activity("1.a.x")], 1, true).calls()).toEqual([]);
  });

  test("reports every change of what people see, with growing numbers", () => {
    const one = child([activity("1.a.x", [], { commits: true })]);
    expect(one.of("report").map(({ report }) => report)).toEqual([
      { task: "1.a", attempt: 1, sequence: 1, state: "RUNNING", committed: true },
    ]);
    one.fail("1.a.x");
    expect(one.of("report").map(({ report }) => report)).toMatchObject([
      { sequence: 2, state: "FAILED", reason: expect.any(String) },
    ]);
  });

  test("in a later run counts its attempts on, and corrects the record of the former one", () => {
    const one = child([activity("1.a.x"), activity("1.a.y", ["1.a.x"])], 3);
    const recorded = one.of("record").map(({ event }) => event);
    expect(recorded).toContainEqual(expect.objectContaining({ task: "1.a.y", state: "WAITING", attempt: 2_000 }));
    expect(one.of("call")).toMatchObject([{ task: "1.a.x", attempt: 2_001 }]);
  });
});

describe("an order hears of its child", () => {
  test.each([
    ["RUNNING", "RUNNING"],
    ["PAUSED", "RUNNING"],
    ["AWAITING_CONFIRM", "AWAITING_CONFIRM"],
    ["BLOCKED", "BLOCKED"],
    ["FAILED", "FAILED"],
    ["SUCCEEDED", "SUCCEEDED"],
    ["CANCELLED", "CANCELLED"],
    ["TERMINATED", "CANCELLED"],
    ["ABANDONED", "FAILED"],
  ] as const)("%s shows as %s", (state, shown) => {
    const order = running([nested("a"), nested("b")]);
    order.hear("1.a", { state });
    expect(order.tasks()["1.a"]).toBe(shown);
  });

  test("the latest counts; older ones, those of former runs and those of the lost do not", () => {
    const order = running([nested("a")]);
    order.hear("1.a", { sequence: 5, state: "AWAITING_CONFIRM" });
    order.hear("1.a", { sequence: 4, state: "FAILED" });
    expect(order.tasks()["1.a"]).toBe("AWAITING_CONFIRM");
    order.send({ type: "childLost", task: "1.a", reason: "gone" });
    order.hear("1.a", { sequence: 6, state: "RUNNING" });
    expect(order.state.tasks["1.a"]).toMatchObject({ state: "FAILED", reason: "gone" });
    order.askTask("retry", "1.a");
    expect(order.of("startChild")).toMatchObject([{ attempt: 2 }]);
    order.hear("1.a", { attempt: 1, sequence: 7, state: "SUCCEEDED" });
    order.send({ type: "childLost", task: "1.a", attempt: 1, reason: "gone, once more" });
    expect(order.tasks()["1.a"]).toBe("RUNNING");
    order.hear("1.a", { sequence: 1, state: "SUCCEEDED" });
    expect(order.shown()).toBe("SUCCEEDED");
  });

  test("a task's retry goes to the child, and is answered with its acknowledgement", () => {
    const order = running([nested("a")]);
    order.hear("1.a", { state: "FAILED" });
    expect(order.askTask("retry", "1.a", { id: "retry" })).toBeUndefined();
    expect(order.controls()).toEqual(["retry 1.a"]);
    order.hear("1.a", { state: "RUNNING", acknowledges: { id: "retry" } });
    expect(order.answers()).toMatchObject([{ id: "retry", answer: { ok: true, state: "RUNNING" } }]);
  });

  test("the order's retry sets going what failed, here and in children, and only that", () => {
    const order = running([activity("1.x"), activity("1.y"), nested("a"), nested("b"), nested("c")]);
    order.fail("1.x");
    order.hear("1.a", { state: "FAILED" });
    order.hear("1.c", { state: "ABANDONED" });
    order.ask("retry", { id: "retry" });
    expect(order.calls()).toEqual(["run 1.x"]);
    expect(order.controls()).toEqual(["retry 1.a"]);
    expect(order.of("startChild")).toMatchObject([{ task: "1.c", attempt: 2 }]);
    order.hear("1.a", { state: "RUNNING", acknowledges: { id: "retry" } });
    expect(order.answers()).toMatchObject([{ id: "retry", answer: { ok: true } }]);
  });
});

test("a decision changes nothing but its result", () => {
  const order = ready([activity("1.a")]);
  const before = structuredClone(order.state);
  const given = order.state;
  order.ask("start", { digest: "one" });
  expect(given).toEqual(before);
});
