/**
 * A cluster worker is stopped (SIGSTOP) in the middle of a group for longer than its heartbeat may be silent (10 s).
 * Another one takes over. Then the first goes on as if nothing had happened, and nothing that it still does may count.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BOUNDS } from "../../activities/kubernetes/statefulset/cluster.ts";
import { imagePatches, type ImagePatch } from "../support/audit-log.ts";
import { changesPod } from "../support/hold-proxy.ts";
import { confirmAll } from "../support/person.ts";
import { beginTrial, judgeTrial, openStage, stopInTheMiddle, type Stage, type Trial } from "../support/trial.ts";

/** The polls of a stopped worker go on swallowing tasks until each has been missed, ms. */
const LONG = 240_000;
/** More than a worker patches at once, so that there are some that it has not sent. */
const PODS = BOUNDS.concurrency + 8;
/** How long a worker that wakes up is watched, ms: its requests run into their bounds, and its heartbeat is answered. */
const AWAKE = 8000;
const inOneGroup = { strategy: "QUICK", minGroups: 1, beta: false, pause: "ALL", readySeconds: 0 } as const;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(
    { workers: { clusters: 2 } },
    { services: { cart: PODS }, cells: { "cell-a": { cell: "cell-a" } } },
  );
}, LONG);
afterAll(() => stage?.close());

function patchesOf({ since }: Trial): ImagePatch[] {
  const { product, shop } = stage;
  return imagePatches(product.auditLog, shop.namespace).filter(({ at }) => at >= since);
}

function accepted(trial: Trial): ImagePatch[] {
  return patchesOf(trial).filter(({ status }) => status < 300);
}

test(
  "a stopped worker wakes up while its successor is about to patch what it had left",
  async () => {
    const { trial, stopped } = await stopInTheMiddle(stage, "cart", { tag: "2", release: inOneGroup });
    const before = accepted(trial);
    expect(before.length).toBeGreaterThan(0);
    expect(before.length).toBeLessThan(PODS);
    const rest = PODS - before.length;
    const holding = stage.proxy.hold(changesPod(), rest);
    const order = confirmAll(stage.product.client, trial.preview.id, { within: LONG });
    const held = await Promise.all(Array.from({ length: rest }, () => holding.next()));
    await stopped.kill("SIGCONT");
    // Its successor must not lose patience: its requests are bounded by 5 s.
    await sleep(2500);
    expect(accepted(trial)).toEqual(before);
    const answers = await Promise.all(held.map((one) => one.release()));
    expect(answers).toEqual(Array(rest).fill(200));

    expect((await order).state).toBe("SUCCEEDED");
    await sleep(AWAKE);
    expectLate(trial, before);
    expect((await judgeTrial(stage, trial)).faults).toEqual([]);
  },
  LONG,
);

test(
  "a stopped worker wakes up after its order has ended, while the next one moves the same pods",
  async () => {
    const { product, shop } = stage;
    const { trial, stopped } = await stopInTheMiddle(stage, "cart", { tag: "3", release: inOneGroup });
    const before = accepted(trial);
    expect(before.length).toBeLessThan(PODS);
    const ended = await confirmAll(product.client, trial.preview.id, { within: LONG });
    expect(ended.state).toBe("SUCCEEDED");
    expect((await judgeTrial(stage, trial)).faults).toEqual([]);

    const next = await beginTrial(stage, ["cart"], {
      tag: "4",
      release: { strategy: "QUICK", minGroups: 3, beta: true, pause: "ALL", readySeconds: 0 },
    });
    let awake = Infinity;
    const last = await confirmAll(product.client, next.preview.id, {
      within: LONG,
      onConfirm: () => {
        if (awake !== Infinity) return;
        process.kill(stopped.pid, "SIGCONT");
        awake = Date.now() + AWAKE;
      },
      // The first group is done; the rest waits until the sleeper has had its time.
      waits: () => awake !== Infinity && Date.now() < awake,
    });
    expect(last.state).toBe("SUCCEEDED");
    expectLate(trial, before);
    expect((await judgeTrial(stage, next)).faults).toEqual([]);
    expect(new Set(Object.values(await shop.tags()))).toEqual(new Set(["4"]));
  },
  LONG,
);

/** Under the epoch of the worker that was stopped, nothing has been accepted since. */
function expectLate(trial: Trial, before: readonly ImagePatch[]): void {
  const epoch = Math.max(...before.map((patch) => patch.epoch));
  const late = patchesOf(trial).filter(
    (patch) => patch.epoch <= epoch && !before.some(({ at, pod }) => at === patch.at && pod === patch.pod),
  );
  expect(late.filter(({ status }) => status !== 422 && status !== 409)).toEqual([]);
  console.log(`${late.length} late patches of the worker that was stopped, all refused`);
}
