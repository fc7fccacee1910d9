/** Every verb in every state. */
import { describe, expect, test } from "vitest";
import { initialOrder, ORDER_VERBS, TASK_VERBS } from "../../../domain/pipeline/model.ts";
import type { Answer, OrderVerb, TaskVerb } from "../../../domain/pipeline/model.ts";
import { allowedOrderVerbs } from "../../../domain/pipeline/view.ts";
import { Bench, child, ready, running } from "./bench.ts";
import { activity, committing, confirmation, gate, nested, ORDER, undoable } from "./plans.ts";

function after(bench: Bench, ...steps: ((bench: Bench) => unknown)[]): Bench {
  for (const step of steps) step(bench);
  return bench;
}

function split<T>(all: readonly T[], allowed: readonly T[]): [T[], T[]] {
  return [all.filter((one) => allowed.includes(one)), all.filter((one) => !allowed.includes(one))];
}

/** Answered at once, or later. */
function isTaken(order: Bench, answer: Answer | undefined): boolean {
  return answer?.ok ?? order.state.pending?.verb.id === "it";
}

const opened = (): Bench => after(new Bench(initialOrder(ORDER)), (one) => one.send({ type: "opened" }));
const stopping = (): Bench => after(running([activity("1.a", [], undoable)]), (one) => one.ask("cancel"));

const states: [string, () => Bench, OrderVerb[]][] = [
  ["INITIALIZING", opened, ["cancel"]],
  [
    "INIT_FAILED",
    () => after(opened(), (one) => one.send({ type: "initialisationFailed", reason: "gone" })),
    ["initialise", "cancel"],
  ],
  ["READY", () => ready([activity("1.a")]), ["start", "initialise", "cancel"]],
  ["READY, starting", () => after(ready([activity("1.a")]), (one) => one.ask("start", { digest: "one" })), []],
  ["RUNNING", () => running([activity("1.a")]), ["pause", "cancel", "terminate"]],
  ["RUNNING, committed", () => running([activity("1.a", [], committing)]), ["pause", "terminate"]],
  ["PAUSED", () => after(running([activity("1.a")]), (one) => one.ask("pause")), ["resume", "cancel", "terminate"]],
  ["AWAITING_CONFIRM", () => running([confirmation("1.c", [])]), ["pause", "cancel", "terminate"]],
  [
    "BLOCKED",
    () =>
      after(running([nested("a"), gate("1.g", ["1.a"]), activity("1.b", ["1.g"])]), (one) =>
        one.hear("1.a", { state: "CANCELLED" }),
      ),
    ["pause", "cancel", "rollback", "terminate"],
  ],
  [
    "FAILED",
    () => after(running([activity("1.a")]), (one) => one.fail("1.a")),
    ["retry", "pause", "cancel", "terminate"],
  ],
  ["RUNNING, being taken back", stopping, ["terminate"]],
  [
    "FAILED, could not be taken back",
    () =>
      after(
        stopping(),
        (one) => one.finish("1.a"),
        (one) => one.fail("1.a", "undo"),
      ),
    ["retry", "terminate"],
  ],
  ["SUCCEEDED", () => after(running([activity("1.a")]), (one) => one.finish("1.a")), []],
  ["CANCELLED", () => after(ready([activity("1.a")]), (one) => one.ask("cancel")), []],
  [
    "TERMINATED",
    () =>
      after(
        running([activity("1.a")]),
        (one) => one.ask("terminate"),
        (one) => one.finish("1.a", "stopped"),
      ),
    [],
  ],
  ["ABANDONED", () => after(ready([]), (one) => one.send({ type: "abandoned", reason: "gone" })), []],
];

describe.each(states)("an order that is %s", (name, make, allowed) => {
  test("shows its state and what may be done", () => {
    const order = make();
    expect(order.shown()).toBe(name.replace(/,.*/, ""));
    expect(allowedOrderVerbs(order.state)).toEqual(allowed);
    expect(order.state.shown).toMatchObject({ state: order.shown(), allowed });
  });

  const [taken, refused] = split(ORDER_VERBS, allowed);

  test.each(taken)("%s is taken", (verb) => {
    const order = make();
    expect(isTaken(order, order.ask(verb, { id: "it", digest: "one" }))).toBe(true);
  });

  test.each(refused)("%s is refused, and only recorded", (verb) => {
    const order = make();
    const before = order.state;
    const answer = order.ask(verb, { id: "it", digest: "one" });
    const problem = verb === "cancel" && name.includes("committed") ? "already-changed" : "verb-not-allowed";
    expect(answer).toMatchObject({ ok: false, problem, state: order.shown(), allowedActions: allowed });
    expect(answer).toHaveProperty("detail", expect.stringContaining(allowed.join(", ") || "nothing"));
    expect({ ...order.state, answers: [] }).toEqual({ ...before, answers: [] });
    expect(order.commands.map((one) => (one.do === "record" ? one.event.type : one.do))).toEqual(["acted", "answer"]);
  });
});

describe("a verb for a task", () => {
  const plan = () => [
    nested("a"),
    gate("1.g", ["1.a"]),
    activity("1.b", ["1.g"]),
    confirmation("1.c", []),
    activity("1.d"),
    nested("e", ["1.c"]),
  ];
  const failed = (): Bench =>
    after(
      running(plan()),
      (one) => one.fail("1.d"),
      (one) => one.hear("1.a", { state: "FAILED" }),
    );

  const cases: [string, TaskVerb[]][] = [
    ["1.a", ["retry", "cancel"]],
    ["1.g", ["ignore"]],
    ["1.b", []],
    ["1.c", ["confirm"]],
    ["1.d", ["retry"]],
    ["1.e", ["cancel"]],
  ];
  test.each(cases)("%s may be done: %s", (task, allowed) => {
    const [taken, refused] = split(TASK_VERBS, allowed);
    for (const verb of taken) {
      const order = failed();
      expect(isTaken(order, order.askTask(verb, task, { id: "it" }))).toBe(true);
    }
    for (const verb of refused) {
      expect(failed().askTask(verb, task)).toMatchObject({ ok: false, problem: "verb-not-allowed" });
    }
  });

  describe("while paused", () => {
    const paused = (): Bench =>
      after(
        failed(),
        (one) => one.ask("pause", { id: "pause" }),
        (one) => one.hear("1.a", { acknowledges: { id: "pause" } }),
      );

    test("a dependency may be ignored", () => {
      expect(paused().askTask("ignore", "1.g")).toMatchObject({ ok: true, state: "PAUSED" });
    });

    test.each(cases)("nothing else may be done to %s", (task) => {
      for (const verb of TASK_VERBS.filter((one) => one !== "ignore" || task !== "1.g")) {
        expect(paused().askTask(verb, task)).toMatchObject({ ok: false, detail: expect.stringContaining("paused") });
      }
    });
  });

  test.each([["ignore", "1.g"] as const])("%s needs a reason", (verb, task) => {
    expect(failed().askTask(verb, task, { reason: "" })).toMatchObject({ ok: false, problem: "reason-required" });
  });

  test("terminate needs a reason", () => {
    expect(failed().ask("terminate", { reason: "" })).toMatchObject({ ok: false, problem: "reason-required" });
  });

  test("a task that is not there, or of another plan", () => {
    expect(failed().askTask("retry", "1.zzz")).toMatchObject({ ok: false, problem: "unknown-task" });
    expect(failed().askTask("retry", "9.d")).toMatchObject({ ok: false, problem: "stale-task" });
    expect(failed().askTask("retry", "nonsense")).toMatchObject({ ok: false, problem: "unknown-task" });
  });

  test("a child knows its tasks, not the order's verbs", () => {
    const one = child([confirmation("1.a.c", [])]);
    for (const verb of ORDER_VERBS) expect(one.ask(verb)).toMatchObject({ ok: false, problem: "verb-not-allowed" });
    expect(one.askTask("confirm", "1.a.c")).toMatchObject({ ok: true, state: "SUCCEEDED" });
  });
});

describe("turns", () => {
  const waiting = (): Bench => after(running([nested("a")]), (one) => one.ask("pause", { id: "first" }));

  test("a verb that comes while another waits takes nothing away from it", () => {
    const order = waiting();
    expect(order.ask("resume", { id: "second" })).toMatchObject({ ok: false, problem: "verb-not-allowed" });
    order.hear("1.a", { acknowledges: { id: "first" } });
    expect(order.answers()).toMatchObject([{ id: "first", answer: { ok: true } }]);
  });

  test("only terminate overtakes, and says so to whom it overtook", () => {
    const order = waiting();
    expect(order.ask("terminate", { id: "second" })).toBeUndefined();
    expect(order.answers()).toMatchObject([{ id: "first", answer: { ok: false, problem: "verb-not-allowed" } }]);
    order.hear("1.a", { acknowledges: { id: "first" } });
    expect(order.answers()).toEqual([]);
    order.hear("1.a", { state: "TERMINATED", acknowledges: { id: "second" } });
    expect(order.answers()).toMatchObject([{ id: "second", answer: { ok: true, state: "TERMINATED" } }]);
  });

  test("terminate need not wait for what cannot be taken back", () => {
    const order = running([nested("a")]);
    order.ask("cancel", { id: "first" });
    order.hear("1.a", { acknowledges: { id: "first" } });
    expect(order.controls()).toEqual(["cancel 1.a"]);
    order.ask("terminate", { id: "second" });
    expect(order.controls()).toEqual(["terminate 1.a"]);
    order.hear("1.a", { state: "TERMINATED", acknowledges: { id: "second" } });
    expect(order.of("end")).toEqual([{ do: "end", state: "TERMINATED" }]);
  });
});
