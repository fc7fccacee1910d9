/** Cancelling: an order, one child of it, a child that is told to; and what was lost on the way. */
import { describe, expect, test } from "vitest";
import { child, ready, running } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { activity, committing, confirmation, gate, nested, undoable } from "./plans.ts";

describe("cancelling an order", () => {
  test("that has not started ends it at once", () => {
    const order = ready([activity("1.a")]);
    expect(order.ask("cancel")).toMatchObject({ ok: true, state: "CANCELLED" });
    expect(order.commands.at(-1)).toEqual({ do: "end", state: "CANCELLED" });
  });

  test("takes back what was begun, youngest first, one after the other, when everything has stopped", () => {
    const order = running([
      activity("1.a", [], undoable),
      activity("1.b", ["1.a"]),
      activity("1.c", ["1.b"], undoable),
      activity("1.d", ["1.b"], undoable),
      activity("1.e", ["1.d"], undoable),
    ]);
    order.finish("1.a");
    order.finish("1.b");
    order.fail("1.c");
    expect(order.ask("cancel", { id: "cancel" })).toBeUndefined();
    expect(order.of("cancelCall")).toMatchObject([{ task: "1.d", role: "run" }]);
    expect(order.calls()).toEqual([]);
    // It was done before it heard of it: it is taken back all the same.
    order.finish("1.d");
    expect(order.calls()).toEqual(["undo 1.d"]);
    order.finish("1.d", {}, "undo");
    expect(order.calls()).toEqual(["undo 1.c"]);
    order.finish("1.c", {}, "undo");
    expect(order.calls()).toEqual(["undo 1.a"]);
    expect(order.answers()).toEqual([]);
    order.finish("1.a", {}, "undo");
    expect(order.answers()).toMatchObject([{ id: "cancel", answer: { ok: true, state: "CANCELLED" } }]);
    expect(order.state.shown?.reason).toBe("cancelled by ann: why not");
  });

  test("whose undo fails says so, can be retried, and can be terminated", () => {
    const order = running([activity("1.a", [], undoable), activity("1.b", ["1.a"], undoable)]);
    order.finish("1.a");
    order.ask("cancel", { id: "cancel" });
    order.finish("1.b", "stopped");
    order.fail("1.b", "undo");
    expect(order.answers()).toMatchObject([
      {
        id: "cancel",
        answer: { ok: false, problem: "undo-failed", state: "FAILED", allowedActions: ["retry", "terminate"] },
      },
    ]);
    expect(order.calls()).toEqual([]);
    order.ask("retry", { id: "again" });
    expect(order.calls()).toEqual(["undo 1.b"]);
    order.fail("1.b", "undo");
    expect(order.answers()).toMatchObject([{ id: "again", answer: { ok: false, problem: "undo-failed" } }]);
    // By task is as good.
    expect(order.askTask("retry", "1.b", { id: "once more" })).toMatchObject({ ok: true });
    order.finish("1.b", {}, "undo");
    expect(order.calls()).toEqual(["undo 1.a"]);
    order.fail("1.a", "undo");
    expect(order.ask("terminate")).toMatchObject({ ok: true, state: "TERMINATED" });
  });

  test("has two halves: all hold and say whether they have changed anything, then all are cancelled", () => {
    const order = running([
      nested("a"),
      nested("b"),
      gate("1.g", ["1.a"]),
      nested("c", ["1.g"]),
      activity("1.x", ["1.a"]),
    ]);
    order.ask("cancel", { id: "cancel" });
    expect(order.controls()).toEqual(["hold 1.a", "hold 1.b"]);
    // What ends meanwhile sets nothing going.
    order.hear("1.a", { state: "SUCCEEDED" });
    expect([...order.of("startChild"), ...order.of("call")]).toEqual([]);
    order.hear("1.b", { acknowledges: { id: "cancel" } });
    expect(order.controls()).toEqual(["cancel 1.b"]);
    order.hear("1.b", { state: "CANCELLED", acknowledges: { id: "cancel" } });
    expect(order.answers()).toMatchObject([{ id: "cancel", answer: { ok: true, state: "CANCELLED" } }]);
    expect(order.tasks()).toEqual({
      "1.a": "SUCCEEDED",
      "1.b": "CANCELLED",
      "1.g": "SUCCEEDED",
      "1.c": "CANCELLED",
      "1.x": "CANCELLED",
    });
  });

  test("is refused when a child turns out to have changed something, and all are let go again", () => {
    const order = running([nested("a"), nested("b"), activity("1.x", ["1.b"])]);
    order.ask("cancel", { id: "cancel" });
    order.hear("1.b", { state: "SUCCEEDED" });
    order.hear("1.a", { committed: true, acknowledges: { id: "cancel" } });
    expect(order.controls()).toEqual(["release 1.a"]);
    expect(order.calls()).toEqual(["run 1.x"]);
    expect(order.answers()).toEqual([]);
    order.hear("1.a", { acknowledges: { id: "cancel" } });
    expect(order.answers()).toMatchObject([
      {
        id: "cancel",
        answer: { ok: false, problem: "already-changed", detail: expect.stringContaining("a:"), state: "RUNNING" },
      },
    ]);
  });

  test("that is refused leaves a paused order paused, for its own reason", () => {
    const order = running([nested("a")]);
    order.ask("pause", { id: "pause" });
    order.hear("1.a", { acknowledges: { id: "pause" } });
    order.ask("cancel", { id: "cancel" });
    expect(order.of("control")[0]?.control).not.toHaveProperty("reason");
    order.hear("1.a", { committed: true, acknowledges: { id: "cancel" } });
    expect(order.controls()).toEqual([]);
    expect(order.answers()).toMatchObject([{ id: "cancel", answer: { ok: false, state: "PAUSED" } }]);
    expect(order.state.shown?.reason).toBe("pause by ann: why not");
  });

  test("that has nothing running ends in one step, with one answer and one end", () => {
    const order = running([confirmation("1.c", [])]);
    expect(order.ask("cancel")).toMatchObject({ ok: true, state: "CANCELLED" });
    expect(order.of("end")).toHaveLength(1);
    expect(order.tasks()).toEqual({ "1.c": "CANCELLED" });
  });

  test("takes back its own only after the children have taken back theirs", () => {
    const order = running([activity("1.x", [], undoable), nested("a", ["1.x"])]);
    order.finish("1.x");
    order.ask("cancel", { id: "cancel" });
    order.hear("1.a", { acknowledges: { id: "cancel" } });
    expect(order.calls()).toEqual([]);
    order.hear("1.a", {
      state: "FAILED",
      acknowledges: { id: "cancel", refused: { problem: "undo-failed", detail: "stuck" } },
    });
    expect(order.answers()).toMatchObject([{ answer: { ok: false, problem: "undo-failed", state: "FAILED" } }]);
    order.ask("retry", { id: "retry" });
    expect(order.controls()).toEqual(["retry 1.a"]);
    order.hear("1.a", { state: "RUNNING", acknowledges: { id: "retry" } });
    order.hear("1.a", { state: "CANCELLED" });
    expect(order.calls()).toEqual(["undo 1.x"]);
    order.finish("1.x", {}, "undo");
    expect(order.answers()).toMatchObject([{ id: "retry", answer: { ok: true, state: "CANCELLED" } }]);
  });

  test("does not pretend for a child that was lost half way", () => {
    const order = running([nested("a")]);
    order.hear("1.a", {});
    order.ask("cancel", { id: "cancel" });
    order.hear("1.a", { acknowledges: { id: "cancel" } });
    order.send({ type: "childLost", task: "1.a", reason: "gone" });
    expect(order.answers()).toMatchObject([
      {
        answer: {
          ok: false,
          problem: "undo-failed",
          detail: expect.stringContaining("gone"),
          allowedActions: ["terminate"],
        },
      },
    ]);
    expect(order.askTask("retry", "1.a")).toMatchObject({ ok: false, problem: "verb-not-allowed" });
    expect(order.ask("terminate")).toMatchObject({ ok: true, state: "TERMINATED" });
  });
});

describe("cancelling one child", () => {
  const order = (): Bench => running([nested("a"), nested("b")]);

  test("that has not begun needs nobody's leave", () => {
    const one = running([nested("a"), gate("1.g", ["1.a"]), nested("b", ["1.g"])]);
    expect(one.askTask("cancel", "1.b")).toMatchObject({ ok: true, state: "RUNNING" });
    one.hear("1.a", { state: "SUCCEEDED" });
    expect(one.of("startChild")).toEqual([]);
    expect(one.shown()).toBe("SUCCEEDED");
  });

  test.each([
    [{ state: "CANCELLED" }, { ok: true }],
    [{ refused: { problem: "already-changed", detail: "pods" } }, { ok: false, problem: "already-changed" }],
    [
      { state: "FAILED", refused: { problem: "undo-failed", detail: "stuck" } },
      { ok: false, problem: "undo-failed" },
    ],
    [
      { state: "SUCCEEDED", committed: true },
      { ok: false, problem: "already-changed" },
    ],
    [{ state: "SUCCEEDED" }, { ok: false, problem: "verb-not-allowed" }],
  ] as const)("that answers %j is answered %j", (said, answer) => {
    const one = order();
    one.askTask("cancel", "1.a", { id: "cancel" });
    expect(one.controls()).toEqual(["cancel 1.a"]);
    const { refused, ...rest } = { refused: undefined, ...said };
    one.hear("1.a", { ...rest, acknowledges: { id: "cancel", ...(refused && { refused }) } });
    expect(one.answers()).toMatchObject([{ id: "cancel", answer }]);
    expect(one.shown()).toBe("state" in said && said.state === "FAILED" ? "FAILED" : "RUNNING");
  });

  test("that is lost before it answers is not said to be cancelled", () => {
    const one = order();
    one.hear("1.a", {});
    one.askTask("cancel", "1.a", { id: "cancel" });
    one.send({ type: "childLost", task: "1.a", reason: "gone" });
    expect(one.answers()).toMatchObject([
      { id: "cancel", answer: { ok: false, problem: "already-changed", state: "FAILED" } },
    ]);
    expect(one.tasks()["1.a"]).toBe("FAILED");
  });

  test.each([
    ["was lost after it had begun", { lost: true }],
    ["was abandoned after it had changed something", { lost: false }],
  ])("is refused when a former run of it %s, whatever the present one says", (_what, { lost }) => {
    const one = order();
    one.hear("1.a", { committed: !lost });
    if (lost) one.send({ type: "childLost", task: "1.a", reason: "gone" });
    else one.hear("1.a", { state: "ABANDONED" });
    for (const retried of [false, true]) {
      if (retried) {
        one.askTask("retry", "1.a");
        one.hear("1.a", { sequence: 1, state: "FAILED", committed: false });
      }
      expect(one.askTask("cancel", "1.a")).toMatchObject({ ok: false, problem: "already-changed" });
      expect(one.ask("cancel")).toMatchObject({ ok: false, problem: "already-changed" });
    }
  });

  test("that could not be started is free of that", () => {
    const one = order();
    one.send({ type: "childLost", task: "1.a", reason: "could not be started" });
    expect(one.askTask("cancel", "1.a")).toMatchObject({ ok: true });
  });
});

describe("a child that is told to cancel", () => {
  const one = (): Bench => child([activity("1.a.x", [], undoable), activity("1.a.y", ["1.a.x"], committing)]);

  test("takes back, ends, and acknowledges at the end only", () => {
    const bench = one();
    bench.control("cancel", "it");
    expect(bench.acknowledged()).toEqual([]);
    bench.finish("1.a.x", "stopped");
    expect(bench.calls()).toEqual(["undo 1.a.x"]);
    bench.finish("1.a.x", {}, "undo");
    expect(bench.acknowledged()).toEqual([{ id: "it" }]);
    expect(bench.commands.at(-1)).toEqual({ do: "end", state: "CANCELLED" });
  });

  test.each(["is changing", "has changed"])(
    "refuses while something %s that nothing takes back, and runs on",
    (what) => {
      const bench = one();
      bench.finish("1.a.x");
      if (what === "has changed") bench.fail("1.a.y");
      bench.control("cancel", "it");
      expect(bench.acknowledged()).toMatchObject([{ id: "it", refused: { problem: "already-changed" } }]);
      expect(bench.state.stage).toBe("RUNNING");
    },
  );

  test("says when it cannot take back; a retry from above is acknowledged at once", () => {
    const bench = one();
    bench.control("cancel", "it");
    bench.finish("1.a.x", "stopped");
    bench.fail("1.a.x", "undo");
    expect(bench.acknowledged()).toMatchObject([{ id: "it", refused: { problem: "undo-failed" } }]);
    expect(bench.shown()).toBe("FAILED");
    bench.control("retry", "again");
    expect(bench.acknowledged()).toEqual([{ id: "again" }]);
    expect(bench.calls()).toEqual(["undo 1.a.x"]);
    expect(bench.shown()).toBe("RUNNING");
  });

  test("and then to terminate, does not refuse that because its undo was interrupted", () => {
    const bench = one();
    bench.control("cancel", "first");
    bench.finish("1.a.x", "stopped");
    bench.control("terminate", "second");
    expect(bench.of("cancelCall")).toMatchObject([{ task: "1.a.x", role: "undo" }]);
    bench.finish("1.a.x", "stopped", "undo");
    expect(bench.acknowledged()).toEqual([{ id: "second" }]);
    expect(bench.shown()).toBe("TERMINATED");
  });

  test("after it was told to end otherwise, stays with that", () => {
    const bench = one();
    bench.send({ type: "abandoned", reason: "from outside" });
    bench.control("cancel", "it");
    bench.finish("1.a.x", "stopped");
    expect(bench.shown()).toBe("ABANDONED");
    expect(bench.state.reason).toBe("from outside");
    // Nobody took back what it changed.
    expect(bench.state.shown?.committed).toBe(true);
  });
});
