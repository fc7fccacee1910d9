/** What a failed call tells a person, and whether it is tried again. */
import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { ActivityFailure, ApplicationFailure, RetryState, TimeoutFailure } from "@temporalio/common";
import { DrizzleQueryError } from "drizzle-orm";
import { DatabaseError } from "pg";
import { describe, expect, test } from "vitest";
import { guarded } from "../../activities/activity.ts";
import { describeFailure } from "../../workflows/calls.ts";

describe("a call that ran out of time", () => {
  const call = (type: TimeoutFailure["timeoutType"], last?: Error): ActivityFailure => {
    const timeout = Object.assign(new TimeoutFailure("timed out", undefined, type), last && { cause: last });
    return new ActivityFailure("failed", "look", "1", RetryState.TIMEOUT, "worker", timeout);
  };

  test("says what the last try failed with", () => {
    const last = ApplicationFailure.create({ message: "the cluster does not answer" });
    expect(describeFailure(call("SCHEDULE_TO_CLOSE", last), "q")).toBe(
      "the work on task queue q ran out of time; at the last try: the cluster does not answer",
    );
    const died = new TimeoutFailure("timed out", undefined, "HEARTBEAT");
    expect(describeFailure(call("SCHEDULE_TO_CLOSE", died), "q")).toMatch(/at the last try: .*\(HEARTBEAT\)/);
  });

  test("without a failed try names its queue", () => {
    expect(describeFailure(call("SCHEDULE_TO_CLOSE"), "q")).toMatch(/queue q ran out of time \(SCHEDULE_TO_CLOSE\)/);
    expect(describeFailure(call("SCHEDULE_TO_START"), "q")).toMatch(/no worker took the work from task queue q/);
  });
});

test.each([
  ["22P05", "a character that Postgres does not store", true],
  ["23505", "a key that is there already", true],
  ["42P01", "a table that a migration still has to bring", false],
])("a statement that fails with %s (%s) is final: %s", async (code, _what, nonRetryable) => {
  const cause = Object.assign(new DatabaseError("no", 2, "error"), { code });
  const { store } = guarded({
    store: (_input: object) => Promise.reject(new DrizzleQueryError("insert", ["secret"], cause)),
  });
  const logged: unknown[] = [];
  const context = { log: { error: (...said: unknown[]) => logged.push(said) } } as unknown as Context;
  await expect(asyncLocalStorage.run(context, () => store({}))).rejects.toMatchObject({
    type: "RecordsFailed",
    message: expect.stringContaining(code),
    nonRetryable,
  });
  expect(JSON.stringify(logged)).not.toContain("secret");
});
