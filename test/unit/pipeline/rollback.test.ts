/** Rolling back: the whole order, one task of it, and what stands in the way; and being superseded. */
import { describe, expect, test } from "vitest";
import type { PipelineStateName } from "../../../domain/pipeline/states.ts";
import { allowedTaskVerbs, standingOf, stateOf } from "../../../domain/pipeline/view.ts";
import { child, running } from "./bench.ts";
import type { Bench } from "./bench.ts";
import { activity, backTasks, committing, gate, nested } from "./plans.ts";

/** `b` needs `a`; both have changed something. */
function bothChanged(): Bench {
  const order = running([nested("a"), gate("1.b.needs.a", ["1.a"]), nested("b", ["1.b.needs.a"])]);
  order.hear("1.a", { state: "SUCCEEDED", committed: true });
  order.hear("1.b", { state: "AWAITING_CONFIRM", committed: true });
  return order;
}

/** Every open child says that it holds. */
function allHold(order: Bench, id: string): void {
  for (const [task, { child: open }] of Object.entries(order.state.tasks)) {
    if (open?.open) order.hear(task, { state: "PAUSED", acknowledges: { id } });
  }
}

function begun(order: Bench): string[] {
  return order.of("startChild").map(({ task, back, nested: { workflowType } }) => `${workflowType} ${task} ${back}`);
}

function ended(order: Bench, task: string, state: PipelineStateName): void {
  order.hear(task, { state, committed: true });
}

function verbs(order: Bench, task: string): string[] {
  return allowedTaskVerbs(standingOf(order.state, order.state.tasks[task]!), stateOf(order.state));
}

describe("rolling back the whole order", () => {
  test("stops everybody, plans anew, goes back in reverse order, and asks a person at the end", () => {
    const order = bothChanged();
    expect(order.ask("rollback", { id: "back" })).toBeUndefined();
    expect(order.controls()).toEqual(["hold 1.b"]);
    order.hear("1.b", { state: "PAUSED", acknowledges: { id: "back" } });
    expect(order.answers()).toMatchObject([{ id: "back", answer: { ok: true, state: "ROLLING_BACK" } }]);
    expect(order.controls()).toEqual(["terminate 1.b"]);
    expect(order.of("compileRollback")).toEqual([]);

    ended(order, "1.b", "TERMINATED");
    expect(order.of("compileRollback")).toMatchObject([{ generation: 3, subjects: ["a", "b"], confirm: false }]);
    order.send({ type: "rollbackCompiled", generation: 3, to: { a: { revision: 7 } } });
    expect(begun(order)).toEqual(["back 1.b 3"]);
    expect(order.of("record").map(({ event }) => event)).toContainEqual(
      expect.objectContaining({
        type: "rollbackPlanned",
        tasks: [
          { task: "1.a", to: { revision: 7 } },
          { task: "1.b", to: null },
        ],
      }),
    );

    ended(order, "1.b", "ROLLED_BACK");
    expect(begun(order)).toEqual(["back 1.a 3"]);
    expect(order.shown()).toBe("ROLLING_BACK");
    ended(order, "1.a", "ROLLED_BACK");
    expect(order.shown()).toBe("AWAITING_ROLLBACK_CONFIRM");
    expect(order.ask("retry")).toMatchObject({ ok: false, allowedActions: ["confirm-rollback", "terminate"] });
    expect(order.ask("confirm-rollback")).toMatchObject({ ok: true, state: "ROLLED_BACK" });
    expect(order.commands.at(-1)).toEqual({ do: "end", state: "ROLLED_BACK" });
  });

  test("cancels what has changed nothing", () => {
    const order = running([nested("a"), nested("b"), gate("1.c.needs.b", ["1.b"]), nested("c", ["1.c.needs.b"])]);
    order.hear("1.a", { state: "FAILED", committed: true });
    order.ask("rollback", { id: "back" });
    allHold(order, "back");
    expect(order.controls()).toEqual(["terminate 1.a", "cancel 1.b"]);
    expect(order.tasks()).toMatchObject({ "1.c.needs.b": "CANCELLED", "1.c": "CANCELLED" });
    ended(order, "1.a", "TERMINATED");
    expect(order.of("compileRollback")).toMatchObject([{ subjects: ["a"] }]);
    order.hear("1.b", { state: "CANCELLED" });
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    ended(order, "1.a", "ROLLED_BACK");
    expect(order.shown()).toBe("AWAITING_ROLLBACK_CONFIRM");
  });

  test("is a cancel when nothing at all has been changed", () => {
    const order = running([nested("a")]);
    order.ask("rollback", { id: "back" });
    allHold(order, "back");
    expect(order.controls()).toEqual(["cancel 1.a"]);
    order.hear("1.a", { state: "CANCELLED", acknowledges: { id: "back" } });
    expect(order.answers()).toMatchObject([{ id: "back", answer: { ok: true, state: "CANCELLED" } }]);
  });

  test("lifts a pause, and can itself be paused", () => {
    const order = bothChanged();
    order.ask("pause", { id: "pause" });
    allHold(order, "pause");
    order.ask("rollback", { id: "back" });
    allHold(order, "back");
    expect(order.shown()).toBe("ROLLING_BACK");
    ended(order, "1.b", "TERMINATED");
    order.ask("pause");
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    expect([order.shown(), begun(order)]).toEqual(["PAUSED", []]);
    order.ask("resume");
    expect(begun(order)).toEqual(["back 1.b 3"]);
  });

  test("whose plan cannot be made says why, and is planned again", () => {
    const order = bothChanged();
    order.ask("rollback", { id: "back" });
    allHold(order, "back");
    ended(order, "1.b", "TERMINATED");
    order.send({ type: "rollbackNotCompiled", generation: 3, reason: "the cluster is away" });
    expect(order.shown()).toBe("ROLLBACK_FAILED");
    expect(order.state.shown?.reason).toContain("the cluster is away");
    expect(order.ask("retry")).toMatchObject({ ok: true, state: "ROLLING_BACK" });
    expect(order.of("compileRollback")).toMatchObject([{ generation: 4 }]);
    // What was planned before comes too late.
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    expect(begun(order)).toEqual([]);
    order.send({ type: "rollbackCompiled", generation: 4, to: {} });
    expect(begun(order)).toEqual(["back 1.b 4"]);
  });

  test("starts a child again that is lost on its way back", () => {
    const order = bothChanged();
    order.ask("rollback", { id: "back" });
    allHold(order, "back");
    ended(order, "1.b", "TERMINATED");
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    order.send({ type: "childLost", task: "1.b", reason: "gone" });
    expect(order.shown()).toBe("ROLLBACK_FAILED");
    order.ask("retry");
    expect(begun(order)).toEqual(["back 1.b 3"]);
    expect(order.state.tasks["1.b"]?.attempt).toBe(3);
  });

  test("can be given up: nothing goes forward any more, but it can be asked for again", () => {
    const order = bothChanged();
    order.ask("rollback", { id: "back" });
    allHold(order, "back");
    ended(order, "1.b", "TERMINATED");
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    order.hear("1.b", { state: "ROLLBACK_FAILED", committed: true, reason: "no node" });
    expect(order.ask("cancel-rollback", { reason: "enough" })).toMatchObject({ ok: true });
    expect(order.controls()).toEqual(["terminate 1.b"]);
    ended(order, "1.b", "TERMINATED");
    expect(order.shown()).toBe("FAILED");
    expect(order.state.tasks["1.b"]?.reason).toContain("the rollback was cancelled by ann: enough");
    expect(order.state.shown?.allowed).toEqual(["pause", "rollback", "terminate"]);
    expect(verbs(order, "1.b")).toEqual(["rollback"]);
    order.ask("rollback", { id: "again" });
    expect(order.of("compileRollback")).toMatchObject([{ generation: 4, subjects: ["a", "b"] }]);
  });
});

describe("rolling back one task", () => {
  test("is refused while others that need it have begun", () => {
    const order = bothChanged();
    expect(order.askTask("rollback", "1.a")).toMatchObject({ ok: false, problem: "needed-by-others" });
    expect(order.askTask("rollback", "1.b")).toMatchObject({ ok: true });
  });

  test("needs a reason", () => {
    expect(bothChanged().askTask("rollback", "1.b", { reason: "" })).toMatchObject({ problem: "reason-required" });
  });

  test("leaves the others alone, and those that need it waiting", () => {
    const order = running([
      nested("a"),
      nested("x"),
      gate("1.b.needs.a", ["1.a"]),
      nested("b", ["1.b.needs.a", "1.x"]),
    ]);
    order.hear("1.a", { state: "SUCCEEDED", committed: true });
    expect(order.tasks()["1.b.needs.a"]).toBe("SUCCEEDED");
    order.askTask("rollback", "1.a", { id: "back" });
    expect(order.of("compileRollback")).toMatchObject([{ subjects: ["a"], confirm: true }]);
    order.hear("1.x", { state: "SUCCEEDED", committed: true });
    expect([begun(order), order.tasks()["1.b"]]).toEqual([[], "WAITING"]);
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    expect(begun(order)).toEqual(["back 1.a 3"]);
    ended(order, "1.a", "ROLLED_BACK");
    expect(order.tasks()).toMatchObject({ "1.a": "CANCELLED", "1.b.needs.a": "BLOCKED", "1.b": "WAITING" });
    // What is back stands in nobody's way.
    order.askTask("cancel", "1.b");
    expect(order.commands.at(-1)).toEqual({ do: "end", state: "SUCCEEDED" });
  });

  test("an order of which everything was rolled back, one after the other, is rolled back", () => {
    const order = running([nested("a")]);
    order.hear("1.a", { state: "FAILED", committed: true });
    order.askTask("rollback", "1.a");
    ended(order, "1.a", "TERMINATED");
    order.send({ type: "rollbackCompiled", generation: 3, to: {} });
    ended(order, "1.a", "ROLLED_BACK");
    expect(order.commands.at(-1)).toEqual({ do: "end", state: "ROLLED_BACK" });
  });
});

test("what is to be rolled back counts as changed until it is back: a cancel is refused and not said to be granted", () => {
  const order = running([nested("a"), nested("b")]);
  order.hear("1.a", { state: "RUNNING", committed: true });
  order.askTask("rollback", "1.a");
  // The group that was in flight finds that it has changed nothing.
  order.hear("1.a", { state: "RUNNING", committed: false });
  expect(order.ask("cancel")).toMatchObject({ ok: false, problem: "already-changed", state: "RUNNING" });
  expect(order.state.shown?.allowed).not.toContain("cancel");
});

test("what joins a rollback waits for those that need it", () => {
  const order = running([nested("a"), gate("1.b.needs.a", ["1.a"]), nested("b", ["1.b.needs.a"])]);
  // b did not wait for a.
  order.askTask("ignore", "1.b.needs.a");
  order.hear("1.a", { state: "RUNNING", committed: false });
  order.hear("1.b", { state: "FAILED", committed: true });
  order.ask("rollback", { id: "back" });
  allHold(order, "back");
  expect(order.controls()).toEqual(["cancel 1.a", "terminate 1.b"]);
  order.send({ type: "childLost", task: "1.a", reason: "it was terminated from outside" });
  order.send({ type: "rollbackCompiled", generation: 3, to: {} });
  ended(order, "1.b", "TERMINATED");
  order.send({ type: "rollbackCompiled", generation: 4, to: {} });
  expect(begun(order)).toEqual(["back 1.b 4"]);
  ended(order, "1.b", "ROLLED_BACK");
  expect(begun(order)).toEqual(["back 1.a 3"]);
});

describe("a child on its way back", () => {
  test("shows so, and ends ROLLED_BACK", () => {
    const back = child(backTasks(3, "a", true), 2, false, true);
    expect([back.shown(), back.calls()]).toEqual(["ROLLING_BACK", ["run 3.a.freeze"]]);
    // What it is to take back is there, though it has changed nothing itself yet.
    expect(back.state.shown?.committed).toBe(true);
    back.finish("3.a.freeze");
    back.fail("3.a.move");
    expect(back.shown()).toBe("ROLLBACK_FAILED");
    back.askTask("retry", "3.a.move");
    back.finish("3.a.move");
    back.finish("3.a.check");
    expect(back.shown()).toBe("AWAITING_ROLLBACK_CONFIRM");
    expect(back.askTask("confirm", "3.a.rolled-back")).toMatchObject({ ok: true, state: "ROLLED_BACK" });
  });
});

test("a task that is blocked by something outside is tried again by a person", () => {
  const order = running([activity("1.a", [], committing)]);
  order.finish("1.a", { outcome: "blocked", reason: "the budget says no" });
  expect([order.shown(), order.state.shown?.reason]).toEqual(["BLOCKED", "title of 1.a: the budget says no"]);
  expect(order.ask("retry")).toMatchObject({ ok: true, state: "RUNNING" });
  expect(order.calls()).toEqual(["run 1.a"]);
});

describe("being superseded", () => {
  const ask = (order: Bench, covers: string[]) =>
    order.send({
      type: "verb",
      verb: { verb: "supersede", id: "s", actor: { subject: "next", role: "order" }, reason: "by order 2", covers },
    });

  test("stops everything and ends", () => {
    const order = bothChanged();
    ask(order, ["a", "b", "c"]);
    expect(order.controls()).toEqual(["terminate 1.b"]);
    ended(order, "1.b", "TERMINATED");
    expect(order.commands.at(-1)).toEqual({ do: "end", state: "SUPERSEDED" });
    expect(order.answers()).toMatchObject([{ id: "s", answer: { ok: true, state: "SUPERSEDED" } }]);
  });

  test("is refused by an order that has begun something else", () => {
    const order = bothChanged();
    ask(order, ["b"]);
    expect(order.answers()).toMatchObject([{ answer: { ok: false, problem: "not-covered" } }]);
    expect(order.answers()[0]?.answer).toHaveProperty("detail", expect.stringContaining("must cover a, too"));
    expect(order.shown()).toBe("AWAITING_CONFIRM");
  });
});
