import { expect, test } from "vitest";
import { PIPELINE_STATES } from "../../../domain/pipeline/states.ts";
import { liveOf, unsettledBy } from "../../../domain/revision/live.ts";

const change = { order: "o1", revision: 3 };

test("what runs is certain after a success and after a rollback only", () => {
  expect(liveOf(undefined)).toEqual({ kind: "nothing" });
  expect(liveOf({ ...change, state: "SUCCEEDED" })).toEqual({ kind: "revision", number: 3, order: "o1" });
  expect(liveOf({ ...change, state: "ROLLED_BACK", rolledBackTo: 2 })).toEqual({
    kind: "revision",
    number: 2,
    order: "o1",
  });
  expect(liveOf({ ...change, state: "ROLLED_BACK" })).toEqual({ kind: "nothing" });
  for (const state of PIPELINE_STATES) {
    if (state === "SUCCEEDED" || state === "ROLLED_BACK") continue;
    const live = liveOf({ ...change, state });
    expect(live).toEqual({ kind: "unsettled", order: "o1", state });
  }
});

test.each([
  ["RUNNING", /is changing it \(RUNNING\)/],
  ["TERMINATED", /has ended TERMINATED/],
] as const)("an unsettled service in state %s says by which order", (state, message) => {
  expect(unsettledBy({ kind: "unsettled", order: "o1", state })).toMatch(message);
});
