/** From the first look at the world to the start. */
import { describe, expect, test } from "vitest";
import { initialOrder } from "../../../domain/pipeline/model.ts";
import { refusalOf } from "../../../domain/pipeline/refusal.ts";
import { Bench, ready, running } from "./bench.ts";
import { activity, ORDER } from "./plans.ts";

const tasks = [activity("1.a")];
const others = [activity("2.a")];

describe("initialising", () => {
  test("looks at the world when it is opened, once", () => {
    const order = new Bench(initialOrder(ORDER));
    expect(order.send({ type: "opened" }).filter((one) => one.do !== "record")).toEqual([
      { do: "initialise", generation: 1 },
    ]);
    expect(order.shown()).toBe("INITIALIZING");
    order.send({ type: "initialised", generation: 1, digest: "one", tasks });
    expect(order.shown()).toBe("READY");
    expect(order.of("record").map(({ event }) => event.type)).toContain("planned");
    order.send({ type: "opened" });
    expect(order.commands).toEqual([]);
  });

  test("that fails says why, and can be tried again", () => {
    const order = new Bench(initialOrder(ORDER));
    order.send({ type: "opened" });
    order.send({ type: "initialisationFailed", reason: "the cluster does not answer" });
    expect(order.state).toMatchObject({ stage: "INIT_FAILED", reason: "the cluster does not answer" });
    expect(order.ask("initialise", { id: "again" })).toBeUndefined();
    expect(order.of("initialise")).toEqual([{ do: "initialise", generation: 2 }]);
    order.send({ type: "initialised", generation: 2, digest: "one", tasks: others });
    expect(order.answers()).toMatchObject([{ id: "again", answer: { ok: true, state: "READY", digest: "one" } }]);
    expect(order.state.reason).toBeUndefined();
  });

  test("asked for and failed again is answered with the state that it led to", () => {
    const order = ready(tasks);
    order.ask("initialise", { id: "again" });
    order.send({ type: "initialisationFailed", reason: "gone" });
    expect(order.answers()).toMatchObject([{ id: "again", answer: { ok: true, state: "INIT_FAILED" } }]);
  });

  test("a plan of an older generation is ignored", () => {
    const order = ready(tasks);
    order.ask("initialise");
    order.send({ type: "initialised", generation: 1, digest: "stale", tasks: others });
    expect(order.state).toMatchObject({ stage: "INITIALIZING", digest: "one" });
  });

  test("what was cancelled stays so, whatever the look brings", () => {
    const order = new Bench(initialOrder(ORDER));
    order.send({ type: "opened" });
    expect(order.ask("cancel")).toMatchObject({ ok: true, state: "CANCELLED" });
    order.send({ type: "initialised", generation: 1, digest: "one", tasks });
    expect(order.commands).toEqual([]);
    expect(order.shown()).toBe("CANCELLED");
  });
});

describe("starting", () => {
  test("takes the locks, looks again, and answers when the first tasks are under way", () => {
    const order = ready(tasks);
    expect(order.ask("start", { id: "go", digest: "one" })).toBeUndefined();
    expect(order.of("acquireLocks")).toHaveLength(1);
    order.send({ type: "locked" });
    expect(order.of("initialise")).toEqual([{ do: "initialise", generation: 2, unless: "one" }]);
    order.send({ type: "initialised", generation: 2, digest: "one", tasks: [] });
    expect(order.answers()).toMatchObject([{ id: "go", answer: { ok: true, state: "RUNNING" } }]);
    expect(order.calls()).toEqual(["run 1.a"]);
    expect(order.state.generation).toBe(1);
  });

  test.each([
    [undefined, "digest-required"],
    ["two", "digest-mismatch"],
  ])("with digest %s is refused: %s", (digest, problem) => {
    const order = ready(tasks);
    expect(order.ask("start", digest === undefined ? {} : { digest })).toMatchObject({
      ok: false,
      problem,
      digest: "one",
    });
    expect(order.of("acquireLocks")).toEqual([]);
    expect(order.shown()).toBe("READY");
  });

  test("is refused, naming the holder, when a lock is missing; nothing has to be freed", () => {
    const order = ready(tasks);
    order.ask("start", { id: "go", digest: "one" });
    order.send({ type: "lockRefused", detail: "a is held by order 7" });
    expect(order.answers()).toMatchObject([
      { id: "go", answer: { ok: false, problem: "locked", detail: "a is held by order 7", state: "READY" } },
    ]);
    expect(order.of("releaseLocks")).toEqual([]);
  });

  test("under way is what other verbs are told of", () => {
    const order = ready(tasks);
    order.ask("start", { id: "go", digest: "one" });
    expect(refusalOf(order.state, { id: "2", verb: "cancel", actor: { subject: "ann", role: "admin" } })).toMatchObject(
      {
        problem: "verb-not-allowed",
        detail: expect.stringContaining("a start is under way"),
      },
    );
  });

  test("into a changed world starts nothing, frees the locks and shows the new plan", () => {
    const order = ready(tasks);
    order.ask("start", { id: "go", digest: "one" });
    order.send({ type: "locked" });
    order.send({ type: "initialised", generation: 2, digest: "two", tasks: others });
    expect(order.answers()).toMatchObject([
      { id: "go", answer: { ok: false, problem: "digest-mismatch", state: "READY", digest: "two" } },
    ]);
    expect(order.of("releaseLocks")).toHaveLength(1);
    expect(order.calls()).toEqual([]);
    expect(order.state).toMatchObject({ generation: 2, digest: "two" });
    expect(order.askTask("retry", "1.a")).toMatchObject({ ok: false, problem: "stale-task" });
    expect(order.askTask("retry", "2.b")).toMatchObject({ ok: false, problem: "unknown-task" });
  });

  test("whose second look fails starts nothing, frees the locks and can be tried again", () => {
    const order = ready(tasks);
    order.ask("start", { id: "go", digest: "one" });
    order.send({ type: "locked" });
    order.send({ type: "initialisationFailed", reason: "gone" });
    expect(order.answers()).toMatchObject([{ id: "go", answer: { ok: false, problem: "initialisation-failed" } }]);
    expect(order.of("releaseLocks")).toHaveLength(1);
    expect(order.ask("start", { digest: "one" })).toBeUndefined();
  });

  test.each(["locking", "observing"])("that is abandoned while %s is answered", (phase) => {
    const order = ready(tasks);
    order.ask("start", { id: "go", digest: "one" });
    if (phase === "observing") order.send({ type: "locked" });
    order.send({ type: "abandoned", reason: "cancelled from outside" });
    expect(order.answers()).toMatchObject([{ id: "go", answer: { ok: false, state: "ABANDONED" } }]);
    expect(order.of("end")).toEqual([{ do: "end", state: "ABANDONED" }]);
    // What was on its way comes too late.
    order.send({ type: "locked" });
    order.send({ type: "initialised", generation: 2, digest: "one", tasks: [] });
    expect(order.commands).toEqual([]);
  });
});

describe("answers", () => {
  test("are given again to the same verb with the same id, also after the state has gone on", () => {
    const order = ready(tasks);
    const first = order.ask("start", { id: "go", digest: "two" });
    order.ask("cancel");
    expect(order.ask("start", { id: "go", digest: "two" })).toEqual(first);
    expect(order.of("record")).toEqual([]);
  });

  test.each([
    ["another verb", (order: Bench) => order.ask("pause", { id: "one" })],
    ["another reason", (order: Bench) => order.ask("cancel", { id: "one", reason: "other" })],
    ["another person", (order: Bench) => order.ask("cancel", { id: "one", subject: "bob" })],
    ["another task", (order: Bench) => order.askTask("cancel", "1.a", { id: "one" })],
  ])("are refused to an id that was used for %s", (_what, again) => {
    const order = ready(tasks);
    order.ask("cancel", { id: "one" });
    expect(again(order)).toMatchObject({ ok: false, problem: "key-reused" });
    expect(order.commands).toHaveLength(1);
  });

  test("the youngest hundred are kept", () => {
    const order = running(tasks);
    for (let round = 0; round < 120; round++) order.ask("resume", { id: `resume ${round}` });
    expect(order.state.answers).toHaveLength(100);
    expect(order.state.answers.at(-1)?.id).toBe("resume 119");
  });
});
