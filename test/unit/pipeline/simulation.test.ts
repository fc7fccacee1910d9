import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OrderVerb, TaskVerb } from "../../../domain/pipeline/model.ts";
import { ORDER_VERBS, TASK_VERBS } from "../../../domain/pipeline/model.ts";
import { allowedOrderVerbs, allowedTaskVerbs, standingOf, stateOf } from "../../../domain/pipeline/view.ts";
import { plan } from "./plans.ts";
import type { Choose, Run, World } from "./world.ts";
import { createWorld } from "./world.ts";

const shapes = fc.array(
  fc.record({
    needs: fc.array(fc.nat(3), { maxLength: 2 }),
    preparations: fc.integer({ min: 1, max: 2 }),
    groups: fc.array(fc.record({ parallel: fc.integer({ min: 1, max: 2 }), confirm: fc.boolean() }), { maxLength: 2 }),
  }),
  { minLength: 1, maxLength: 3 },
);

/** Decisions of chance, one after the other; when they are used up, always the first possibility. */
const tape = fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 600, size: "max" });

function reader(numbers: readonly number[]): { choose: Choose; isOver: () => boolean } {
  let next = 0;
  return { choose: (n) => (numbers[next++] ?? 0) % n, isOver: () => next >= numbers.length };
}

function pick<T>(from: readonly T[], choose: Choose): T | undefined {
  return from[choose(Math.max(1, from.length))];
}

function finishSome(world: World, run: Run, choose: Choose): boolean {
  const call = pick(run.calls, choose);
  if (!call) return false;
  const changed = choose(2) === 1;
  if (call.asked && choose(2) === 1) world.finish(run, call, "stopped");
  else if (choose(4) === 3) world.finish(run, call, { outcome: "failed", reason: "by chance", changed });
  else world.finish(run, call, { outcome: "done", summary: "", changed });
  return true;
}

/** Mostly what is allowed, now and then anything. */
function askSomething(world: World, run: Run, choose: Choose): void {
  const { state } = run;
  const sloppy = choose(6) === 5;
  const task = pick(Object.values(state.tasks), choose);
  if (run !== world.order || choose(3) === 0) {
    if (!task) return;
    const allowed = allowedTaskVerbs(standingOf(state, task), stateOf(state));
    const verb = pick<TaskVerb>(sloppy ? TASK_VERBS : allowed, choose);
    if (verb) world.ask(run, { verb, task: task.definition.id });
    return;
  }
  if (sloppy && choose(8) === 7) {
    const subjects = Object.values(state.tasks).flatMap((one) => one.definition.pipeline?.subject ?? []);
    world.ask(run, { verb: "supersede", covers: choose(3) === 2 ? [] : subjects });
    return;
  }
  const verb = pick<OrderVerb>(sloppy ? ORDER_VERBS : allowedOrderVerbs(state), choose);
  if (!verb || ((verb === "terminate" || verb === "cancel") && choose(3) > 0)) return;
  world.ask(run, { verb, ...(verb === "start" && state.digest !== undefined && { digest: state.digest }) });
}

function somethingHappens(world: World, choose: Choose): void {
  const run = pick(world.alive(), choose) ?? world.order;
  const what = choose(40);
  if (what < 16) {
    const line = pick(world.waitingLines(), choose);
    if (line) world.deliver(line);
  } else if (what < 26) finishSome(world, run, choose);
  else if (what < 29) world.see();
  else if (what < 37) askSomething(world, run, choose);
  else if (what < 38) world.close(run);
  else if (what < 39) {
    if (run !== world.order && run.state.stage !== "ENDED") world.lose(run);
  } else if (choose(8) === 7 && run.state.stage !== "ENDED") world.abandon(run);
}

/** Lets everything come to rest that goes on by itself. */
function settle(world: World): void {
  for (let busy = true; busy;) {
    busy = world.see();
    for (const line of world.waitingLines()) busy = world.deliver(line) || busy;
    for (const run of world.alive()) {
      for (const call of run.calls.slice()) {
        world.finish(run, call, call.asked ? "stopped" : { outcome: "done", summary: "", changed: true });
        busy = true;
      }
      busy = world.close(run) || busy;
    }
  }
}

/** A patient person who wants the order to come to its end. */
function bringToItsEnd(world: World, choose: Choose): void {
  for (let round = 0; round < 200; round++) {
    settle(world);
    const { order } = world;
    expect(order.state.pending, "nobody is waited for when all is quiet").toBeUndefined();
    expect(order.verbs).toEqual([]);
    if (order.state.stage === "ENDED") return;
    const before = JSON.stringify(world.alive().map((run) => run.state));
    const allowed = allowedOrderVerbs(order.state);
    const digest = order.state.digest;
    if (allowed.includes("start")) world.ask(order, { verb: "start", ...(digest !== undefined && { digest }) });
    else if (allowed.includes("initialise")) world.ask(order, { verb: "initialise" });
    else if (allowed.includes("confirm-rollback")) world.ask(order, { verb: "confirm-rollback" });
    else if (allowed.includes("resume")) world.ask(order, { verb: "resume" });
    else if (allowed.includes("retry") && choose(4) < 3) world.ask(order, { verb: "retry" });
    else if (!askForTask(world, choose) && allowed.includes("terminate")) world.ask(order, { verb: "terminate" });
    settle(world);
    expect(JSON.stringify(world.alive().map((run) => run.state)), "something can be done").not.toBe(before);
  }
  throw new Error(`no end: ${JSON.stringify(world.order.state)}`);
}

function askForTask(world: World, choose: Choose): boolean {
  for (const run of world.alive()) {
    for (const task of Object.values(run.state.tasks)) {
      const { id: name } = task.definition;
      const allowed = allowedTaskVerbs(standingOf(run.state, task), stateOf(run.state));
      if (run.state.stage !== "RUNNING") continue;
      if (allowed.includes("confirm")) {
        world.ask(run, { verb: "confirm", task: name });
        return true;
      }
      if (task.state === "BLOCKED" && choose(2) === 0) {
        world.ask(run, { verb: "ignore", task: name });
        return true;
      }
    }
  }
  return false;
}

describe("an order and its children, whatever happens in whatever sequence", () => {
  test("keeps every promise, and comes to its end", { timeout: 180_000 }, () => {
    const ends = new Map<string, number>();
    fc.assert(
      fc.property(shapes, fc.boolean(), tape, (apps, around, numbers) => {
        const { choose, isOver } = reader(numbers);
        const world = createWorld(plan(apps, around), choose);
        world.open();
        // Most interesting things happen after a start.
        if (choose(8) > 0) {
          settle(world);
          if (world.order.state.digest) world.ask(world.order, { verb: "start", digest: world.order.state.digest });
        }
        while (!isOver()) somethingHappens(world, choose);
        bringToItsEnd(world, choose);
        world.judge.close();
        const { ended } = world.order.state;
        ends.set(String(ended), (ends.get(String(ended)) ?? 0) + 1);
      }),
      { seed: 20_261_121, numRuns: 1_500 },
    );
    // The runs reach all ends, else they would prove little.
    expect([...ends.keys()].toSorted()).toEqual([
      "ABANDONED",
      "CANCELLED",
      "ROLLED_BACK",
      "SUCCEEDED",
      "SUPERSEDED",
      "TERMINATED",
    ]);
  });
});
