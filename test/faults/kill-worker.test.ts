/**
 * Workers are killed (SIGKILL) at seeded moments in the middle of releases, and started again at once. Whatever was cut
 * off: the same judgement as of a release that nobody disturbed.
 *
 * `KILL_SEED=<n>` plays the round of that seed alone; `SOAK_ROUNDS=<n>` plays more of them.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { describePlan, MOMENTS, planKill, type Moment } from "../support/kill-plan.ts";
import { playRound } from "../support/kill-round.ts";
import { openStage, type Stage } from "../support/trial.ts";

const givenSeed = process.env["KILL_SEED"];
const rounds = Number(process.env["SOAK_ROUNDS"] ?? (givenSeed === undefined ? 20 : 1));
const firstSeed = givenSeed === undefined ? Math.floor(Math.random() * 1_000_000_000) : Number(givenSeed);
/** Rounds at a time, each on a product of its own: most of a round is waiting for the dead worker's heartbeat to be missed. */
const lanes = Math.min(3, rounds);

const stages: Stage[] = [];
beforeAll(async () => {
  const opened = await Promise.allSettled(
    Array.from({ length: lanes }, async (_, lane) =>
      stages.push(await openStage({ name: `lane-${lane}` }, { services: { cart: 4, web: 3 } })),
    ),
  );
  throwAny(opened);
}, 180_000);
afterAll(async () => throwAny(await Promise.allSettled(stages.map((stage) => stage.close()))));

function throwAny(results: readonly PromiseSettledResult<unknown>[]): void {
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("\n"));
}

test(
  `${rounds} rounds from seed ${firstSeed} on: killed in the middle, every pod is changed once`,
  async () => {
    const queue = Array.from({ length: rounds }, (_, index) => firstSeed + index);
    // A kill that came outside of the patches (or of the burst) proves nothing; its round is played with another seed of
    // the same moment.
    const most = Math.ceil(rounds / 2);
    const outside: string[] = [];
    const failed: string[] = [];
    const proven: Moment[] = [];
    const play = async (stage: Stage): Promise<void> => {
      for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
        const plan = planKill(seed);
        const { faults, before, after, parted, lasted } = await playRound(stage, plan).catch((error: unknown) => {
          throw new Error(`${describePlan(plan)}: ${String(error)}`, { cause: error });
        });
        const line = `${describePlan(plan)}: ${before} pods before, ${after} after${parted ? ", a group parted" : ""}, ${(lasted / 1000).toFixed(1)} s`;
        console.log(line);
        if (faults.length > 0) failed.push(`${line}\n  ${faults.join("\n  ")}`);
        else if (before > 0 && after > 0 && (parted || plan.moment !== "burst")) proven.push(plan.moment);
        else if (outside.push(line) <= most) queue.push(seed + MOMENTS.length * Math.max(1000, rounds));
      }
    };
    const played = await Promise.allSettled(stages.map(play));
    for (const lane of played) if (lane.status === "rejected") failed.push(String(lane.reason));
    expect(failed, "play one alone with KILL_SEED").toEqual([]);
    expect(outside.length > most ? outside : [], "too many kills that prove nothing").toEqual([]);
    expect(proven.length).toBe(rounds);
    const wanted = rounds >= 2 * MOMENTS.length ? MOMENTS : proven;
    expect(new Set(proven)).toEqual(new Set(wanted));
  },
  Math.max(600_000, rounds * 60_000),
);
