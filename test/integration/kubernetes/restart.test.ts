import { mkdtemp, rm, chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { startStack, type Stack } from "../../../local/stack.ts";
import { startReconciler } from "../../../activities/kubernetes/reconciler.ts";
import { imagePatches } from "../../support/audit-log.ts";
import { deploy, openBench, podNames, until, watchProgress, type Bench } from "../../support/workloads.ts";

let directory: string;
let stack: Stack;
let bench: Bench;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cellwright-"));
  await chmod(directory, 0o755);
  stack = await startStack({
    directory,
    tools: inject("stack").tools,
    parts: ["kubernetes"],
    durable: false,
    log: () => undefined,
  });
  bench = await openBench(stack.kubernetes);
});
afterAll(async () => {
  bench?.close();
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

test("the API server is restarted in the middle of a group, and the reconciler goes on afterwards", async () => {
  const local = await bench.connect();
  await deploy(local, bench.desired({ order: "o1", revision: 1, tag: "1" }));
  const stop = new AbortController();
  const namespaces = async () => [bench.namespace];
  const reconciler = startReconciler({
    cluster: local.cluster,
    signal: stop.signal,
    name: "w1",
    namespaces,
    everyMs: 500,
  });

  const desired = bench.desired({ order: "o2", revision: 2, tag: "slow-2", release: { progressDeadlineSeconds: 60 } });
  await local.driver.apply(desired, watchProgress());
  const move = local.driver.move(
    { parts: [{ desired, pods: podNames("cell-a", 0, 1) }], holder: "o2/t1#1.1", startedAt: Date.now() },
    watchProgress(),
  );
  const settled = move.catch((error: unknown) => error);
  const accepted = () => imagePatches(bench.auditLog, bench.namespace).filter((patch) => patch.status === 200);
  await until("patched", async () => accepted().length === 2);
  await stack.processes.get("kube-apiserver")!.restart();
  expect(await settled).toMatchObject({ outcome: "done" });
  expect(
    accepted()
      .map((patch) => patch.pod)
      .toSorted(),
  ).toEqual(podNames("cell-a", 0, 1));

  await bench.deletePod("cart-cell-a-0");
  await until("repaired", async () => accepted().length === 3);
  stop.abort();
  await reconciler;
});
