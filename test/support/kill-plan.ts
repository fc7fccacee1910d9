/** When and whom to kill: everything that one round chooses, from its seed alone. */
import type { ReleaseOrder } from "./client.ts";
import { createRandom } from "./random.ts";

export const MOMENTS = ["burst", "readiness", "between", "apply", "verify", "confirm", "whenever"] as const;
/**
 * `burst`: while a group's pods are being patched; `readiness`: while they come back; `between`: as an epoch is closed;
 * `apply`: as a template is written, `verify`: while an app is being verified, both with another app after it; `confirm`:
 * while a confirmation is on its way; `whenever`: any time.
 */
export type Moment = (typeof MOMENTS)[number];

export type KillPlan = {
  seed: number;
  moment: Moment;
  victim: "cluster" | "orchestrator";
  /** From the moment to the kill, ms. */
  delay: number;
  /** Where between the first and the last possible moment, 0 to 1. */
  share: number;
  /** Pod patches take up to this long, ms, so that a burst has a middle. */
  latency: number;
  /** What has not reached the API server when the worker dies never does; otherwise it arrives late. */
  lost: boolean;
  /** The second app waits for the first. */
  chained: boolean;
  release: {
    strategy: "QUICK" | "BY_CELL";
    minGroups: number;
    beta: boolean;
    pause: "ALL" | "FIRST" | "OFF";
    readySeconds: number;
  };
};

/** Consecutive seeds go through all moments. */
export function planKill(seed: number): KillPlan {
  const random = createRandom(seed);
  const moment = MOMENTS[seed % MOMENTS.length]!;
  // The patches of a burst arrive at once and pass on one after the other within `latency`.
  const latency = moment === "burst" ? random.pick([300, 600]) : random.pick([60, 200, 400]);
  // A burst is cut in its middle: at its edges, all or nothing has passed on.
  const delays = {
    burst: Math.floor(latency * 0.7),
    readiness: 400,
    between: 250,
    apply: 150,
    verify: 80,
    confirm: 80,
    whenever: 1500,
  };
  return {
    seed,
    moment,
    victim: Math.floor(seed / MOMENTS.length) % 2 === 0 ? "cluster" : "orchestrator",
    delay: random.integer(moment === "burst" ? Math.floor(latency * 0.3) : 0, delays[moment]),
    share: random.integer(0, 1000) / 1000,
    latency,
    lost: random.chance(0.5),
    chained: moment === "apply" || moment === "verify" || random.chance(0.6),
    release: {
      strategy: random.pick(["QUICK", "BY_CELL"]),
      minGroups: moment === "burst" ? 2 : random.integer(2, 4),
      beta: moment !== "burst" && random.chance(0.5),
      pause: moment === "confirm" ? "ALL" : random.pick(["ALL", "FIRST", "OFF", "OFF"]),
      readySeconds: random.integer(0, 1),
    },
  };
}

/** One line that tells what a seed stands for. */
export function describePlan({ seed, moment, victim, delay, latency, lost, chained, release }: KillPlan): string {
  const { strategy, minGroups, beta, pause, readySeconds } = release;
  const late = lost ? "late patches lost" : "late patches arrive";
  const policy = `${strategy} ${minGroups}${beta ? " with beta" : ""} pause ${pause} ready ${readySeconds} s`;
  return `seed ${seed}: ${victim} at ${moment} + ${delay} ms, patches take ${latency} ms, ${late}, ${policy}${chained ? ", chained" : ""}`;
}

/**
 * Number of the pod patch at which the moment is looked for: at `readiness` the last of a group, otherwise any that has
 * another group behind it.
 */
export function patchNumber({ moment, share, chained }: KillPlan, preview: ReleaseOrder): number {
  const sizes = preview.apps.map(({ groups }) => groups.map(({ pods }) => pods.length));
  if (moment === "readiness" && chained) {
    const ends = sizes.flat().map((_, index, all) => all.slice(0, index + 1).reduce((sum, size) => sum + size, 0));
    ends.pop();
    return ends[Math.floor(share * ends.length * 0.999)]!;
  }
  const total = sizes.flat().reduce((sum, size) => sum + size, 0);
  const last = chained ? sizes.at(-1)!.at(-1)! : Math.max(...sizes.map((groups) => groups.at(-1)!)) * sizes.length;
  return 1 + Math.floor(share * Math.max(0, total - last - 1));
}
