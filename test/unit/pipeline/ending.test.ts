/** Terminating, abandoning, and what may still happen after an end. */
import { describe, expect, test } from "vitest";
import { child, running } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { activity, committing, nested, undoable } from "./plans.ts";

describe.each(["terminate", "abandon"] as const)("to %s", (how) => {
  const end = (bench: Bench): unknown =>
    how === "terminate"
      ? bench.ask("terminate", { id: "it" })
      : bench.send({ type: "abandoned", reason: "from outside" });
  const state = how === "terminate" ? "TERMINATED" : "ABANDONED";

  test("makes safe what was under way or has failed, when all calls have ended, and takes nothing back", () => {
    const order = running([
      activity("1.done", [], { ...committing, ...undoable }),
      activity("1.failed", [], committing),
      activity("1.running", [], committing),
      activity("1.late", [], committing),
      activity("1.plain"),
      activity("1.waiting", ["1.running"], committing),
    ]);
    order.finish("1.done");
    order.fail("1.failed");
    end(order);
    expect(order.of("cancelCall").map(({ task }) => task)).toEqual(["1.running", "1.late", "1.plain"]);
    order.finish("1.late");
    order.finish("1.plain", "stopped");
    expect(order.calls()).toEqual([]);
    order.finish("1.running", "stopped");
    expect(order.calls()).toEqual(["stop 1.failed", "stop 1.running"]);
    order.finish("1.running", {}, "stop");
    order.fail("1.failed", "stop");
    expect(order.commands.at(-1)).toEqual({ do: "end", state });
    expect(order.answers()).toMatchObject(how === "terminate" ? [{ id: "it", answer: { ok: true, state } }] : []);
    expect(order.state.tasks["1.failed"]).toMatchObject({
      state: "CANCELLED",
      reason: "stopped; could not be made safe: it broke",
    });
    expect(order.tasks()).toMatchObject({ "1.done": "SUCCEEDED", "1.late": "SUCCEEDED", "1.waiting": "CANCELLED" });
  });

  test("waits for all children", () => {
    const order = running([nested("a"), nested("b")]);
    order.hear("1.b", { state: "FAILED" });
    end(order);
    expect(order.controls()).toEqual(["terminate 1.a", "terminate 1.b"]);
    // The failure of before is not one of ending.
    expect(order.shown()).toBe("RUNNING");
    expect(order.tasks()).toEqual({ "1.a": "RUNNING", "1.b": "RUNNING" });
    order.hear("1.a", { state: "TERMINATED" });
    expect(order.of("end")).toEqual([]);
    order.send({ type: "childLost", task: "1.b", reason: "gone" });
    expect(order.of("end")).toEqual([{ do: "end", state }]);
  });

  test("is stronger than a cancel that is under way", () => {
    const order = running([activity("1.a", [], undoable)]);
    order.ask("cancel", { id: "cancel" });
    end(order);
    order.finish("1.a", "stopped");
    expect(order.shown()).toBe(state);
    const cancels = order.state.answers.filter((one) => one.id === "cancel");
    expect(cancels).toMatchObject([{ answer: { ok: false, problem: "verb-not-allowed" } }]);
  });
});

describe("after the end", () => {
  const ended = (): Bench => {
    const bench = child([activity("1.a.x", [], committing)]);
    bench.finish("1.a.x");
    expect(bench.shown()).toBe("SUCCEEDED");
    return bench;
  };

  test.each(["hold", "release", "retry", "terminate"] as const)("%s is acknowledged and changes nothing", (action) => {
    const bench = ended();
    const before = bench.state;
    bench.control(action, "late");
    expect(bench.commands).toHaveLength(1);
    expect(bench.acknowledged()).toEqual([{ id: "late" }]);
    expect({ ...bench.state, reportSequence: 0 }).toEqual({ ...before, reportSequence: 0 });
  });

  test("a cancel of what has changed something is refused", () => {
    const bench = ended();
    bench.control("cancel", "late");
    expect(bench.acknowledged()).toMatchObject([{ id: "late", refused: { problem: "already-changed" } }]);
    expect(bench.shown()).toBe("SUCCEEDED");
  });

  test("whatever else arrives is of no account", () => {
    const bench = ended();
    const before = bench.state;
    bench.finish("1.a.x", "stopped");
    bench.send({ type: "abandoned", reason: "late" });
    bench.send({ type: "opened" });
    bench.send({ type: "locked" });
    expect(bench.state).toEqual(before);
    expect(bench.commands).toEqual([]);
  });

  test("what was changed and is not taken back any more commits", () => {
    const bench = child([activity("1.a.x", [], undoable)]);
    bench.finish("1.a.x");
    expect(bench.state.shown).toMatchObject({ state: "SUCCEEDED", committed: true });
  });
});
