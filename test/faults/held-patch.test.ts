/**
 * One pod patch of a worker is held on its way, until a successor has taken over and stamped its epoch: then it arrives,
 * and must be refused. Time plays no part in this: a patch may be held for any length of time.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type JsonPatch, imagePatches, readAuditLog } from "../support/audit-log.ts";
import { changesPod } from "../support/hold-proxy.ts";
import { confirmAll } from "../support/person.ts";
import { beginTrial, judgeTrial, openStage, workerAt, type Stage } from "../support/trial.ts";

const LONG = 180_000;
const POD = "cart-cell-a-1";

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ workers: { clusters: 2 } }, { services: { cart: 3 } });
}, LONG);
afterAll(() => stage?.close());

/** Releases `tag`; returns when the patch of the pod is being held and its sender is dead or asleep. */
async function begin(tag: string, signal: "SIGKILL" | "SIGSTOP") {
  const { product, proxy } = stage;
  const holding = proxy.hold(changesPod(POD));
  const trial = await beginTrial(stage, ["cart"], {
    tag,
    release: { strategy: "QUICK", minGroups: 2, beta: true, pause: "OFF", readySeconds: 0 },
  });
  const order = confirmAll(product.client, trial.preview.id, { within: LONG });
  const held = await holding.next();
  const sender = await workerAt(product, `${trial.preview.workflowId}/cart`, "movePods");
  await sender.kill(signal);
  return { trial, order, held, sender };
}

/** Patches of the pod by Cellwright since then, as the API server answered them. */
function patches(since: number): { status: number; epoch: number }[] {
  return imagePatches(stage.product.auditLog, stage.shop.namespace)
    .filter(({ pod, at }) => pod === POD && at >= since)
    .map(({ status, epoch }) => ({ status, epoch }));
}

/** Epochs that were stamped on the pod: noted without any other change. */
function stamps(since: number): number[] {
  return readAuditLog(stage.product.auditLog, { namespace: stage.shop.namespace, verb: "patch", name: POD })
    .filter(({ resource, receivedAt, status }) => resource === "pods" && receivedAt >= since && status === 200)
    .flatMap(({ body }) => {
      // Others write the pod's status, with patches of another kind.
      if (!Array.isArray(body)) return [];
      const changes = (body as JsonPatch).filter(({ op }) => op !== "test");
      return changes.length === 1 && changes[0]!.path.endsWith("~1epoch") ? [Number(changes[0]!.value)] : [];
    });
}

test.for(["SIGKILL", "SIGSTOP"] as const)(
  "%s: let go after the successor's stamp and before its own patch, it is refused",
  { timeout: LONG },
  async (signal) => {
    const { trial, order, held, sender } = await begin(`${signal.toLowerCase()}-early`, signal);
    const holding = stage.proxy.hold(changesPod(POD));
    if (signal === "SIGKILL") await sender.start();
    // Nothing is read before both are on their way: the successor's request is bounded by 5 s.
    const successor = await holding.next();
    expect(await held.release()).toBe(422);
    expect(await successor.release()).toBe(200);
    const [stamped = 0] = stamps(trial.since);
    const [late] = patches(trial.since);
    expect(late).toMatchObject({ status: 422 });
    expect(late?.epoch).toBeLessThan(stamped);
    if (signal === "SIGSTOP") await sender.kill("SIGCONT");

    expect((await order).state).toBe("SUCCEEDED");
    expect(patches(trial.since)).toEqual([late, { status: 200, epoch: stamped }]);
    expect((await judgeTrial(stage, trial)).faults).toEqual([]);
  },
);

test(
  "let go after the end of the order, it is refused",
  async () => {
    const { trial, order, held, sender } = await begin("at-the-end", "SIGKILL");
    await sender.start();
    expect((await order).state).toBe("SUCCEEDED");
    expect(await held.release()).toBe(422);
    const [done, late] = patches(trial.since);
    expect([done?.status, late?.status]).toEqual([200, 422]);
    expect(late!.epoch).toBeLessThan(done!.epoch);
    expect((await judgeTrial(stage, trial)).faults).toEqual([]);
  },
  LONG,
);
