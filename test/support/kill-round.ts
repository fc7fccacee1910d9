/** One round: a release, in the middle of which a worker is killed and started again. */
import { setTimeout as sleep } from "node:timers/promises";
import { changesPod, changesSet, closesEpoch, type SeenRequest } from "./hold-proxy.ts";
import { patchNumber, type KillPlan } from "./kill-plan.ts";
import { confirmAll } from "./person.ts";
import { createRandom } from "./random.ts";
import { beginTrial, judgeTrial, type Stage, type Trial } from "./trial.ts";

export type Round = {
  /** What the witnesses have to say against it. */
  faults: string[];
  /** Changes of pods stored before the kill, and made after the victim was back. */
  before: number;
  after: number;
  /** By the time of the kill, some pods of a group had been changed, and some had not. */
  parted: boolean;
  /** Milliseconds. */
  lasted: number;
};

/** How long one release may take, whatever happens to it, ms. */
const BOUND = 300_000;

export async function playRound(stage: Stage, plan: KillPlan): Promise<Round> {
  const { product, proxy } = stage;
  const begin = Date.now();
  const random = createRandom(plan.seed);
  proxy.clear();
  proxy.delay(changesPod(), () => random.integer(0, plan.latency), { lost: () => plan.lost });
  const trial = await beginTrial(stage, ["cart", "web"], {
    tag: `s${plan.seed}`,
    release: plan.release,
    needs: plan.chained ? [["web", "cart"]] : [],
  });
  const moment = awaitMoment(stage, plan, trial);
  const killing = moment.come.then(async (isThere) => {
    if (!isThere) return undefined;
    await sleep(plan.delay);
    const killedAt = Date.now();
    const victim = product.processes[plan.victim]!;
    await victim.kill("SIGKILL");
    await victim.start();
    return { killedAt, backAt: Date.now() };
  });
  try {
    const ended = await confirmAll(product.client, trial.preview.id, { onConfirm: moment.onConfirm, within: BOUND });
    moment.missed();
    const killed = await killing;
    const { faults, changes } = await judgeTrial(stage, trial);
    const before = changes.filter(({ storedAt }) => storedAt < (killed?.killedAt ?? 0));
    const after = changes.filter(({ receivedAt }) => receivedAt > (killed?.backAt ?? Infinity));
    const groups = trial.preview.apps.flatMap((app) => app.groups.map(({ pods }) => pods.map(({ name }) => name)));
    const changedBefore = (pod: string): boolean => before.some((change) => change.pod === pod);
    // Verifying may be over between two looks; what else is looked for happens in every release.
    if (killed === undefined && plan.moment !== "verify")
      faults.unshift("the moment was not recognised: nobody was killed");
    if (ended.state !== "SUCCEEDED") faults.unshift(`the order ended ${ended.state}`);
    return {
      faults,
      before: before.length,
      after: after.length,
      parted: groups.some((pods) => pods.some(changedBefore) && !pods.every(changedBefore)),
      lasted: Date.now() - begin,
    };
  } finally {
    moment.missed();
    await killing;
  }
}

/** Looks out for the plan's moment. `come` tells whether it came, or the release was over before. */
function awaitMoment(
  { product, proxy }: Stage,
  plan: KillPlan,
  { preview }: Trial,
): { come: Promise<boolean>; onConfirm: () => void; missed: () => void } {
  const { promise: come, resolve } = Promise.withResolvers<boolean>();
  const wanted = patchNumber(plan, preview);
  let patches = 0;
  let confirms = 0;
  const isPatch = changesPod();
  const stopListening = proxy.onRequest((request) => {
    if (isPatch(request)) patches++;
    if (isMoment(plan, request, patches, wanted)) resolve(true);
  });
  const watching = plan.moment === "verify" ? untilVerified() : Promise.resolve();
  void come.finally(stopListening);
  void watching;

  /** Nothing is written while an app is being verified: its task tells. */
  async function untilVerified(): Promise<void> {
    let over = false;
    void come.finally(() => (over = true));
    while (!over) {
      const { rowCount } = await product.database.pool.query(
        "select 1 from tasks where order_id = $1 and id like '%.verify.%' and state = 'RUNNING'",
        [preview.id],
      );
      if (rowCount !== 0) resolve(true);
      await sleep(15);
    }
  }

  return {
    come,
    onConfirm: () => {
      confirms++;
      const all = preview.tasks.filter(({ kind }) => kind === "confirm").length;
      // The last of each app has nothing of it behind it.
      if (plan.moment === "confirm" && confirms > plan.share * Math.max(1, all - 2)) resolve(true);
    },
    missed: () => resolve(false),
  };
}

function isMoment({ moment }: KillPlan, request: SeenRequest, patches: number, wanted: number): boolean {
  switch (moment) {
    case "burst":
    case "readiness":
    case "whenever":
      return patches >= wanted;
    case "between":
      return patches >= wanted && closesEpoch()(request);
    case "apply":
      return patches >= 1 && changesSet()(request) && request.url.includes("fieldManager=cellwright&");
    case "verify":
    case "confirm":
      return false;
  }
}
