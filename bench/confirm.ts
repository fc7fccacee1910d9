/** How long it takes from a confirm to the first changed pod, against a bare update that is followed by one activity. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import type { PodObject } from "../activities/kubernetes/objects.ts";
import { bareUpdates, confirmUpdate, FLOOR_QUEUE } from "./floors/update-workflow.ts";
import { startProgram } from "./program.ts";
import { imageOf, NODES, openService } from "./service.ts";
import type { Order, ReleaseInstallation, Service } from "./service.ts";
import { openWitness, runs } from "./witness.ts";

const FLOOR_POD = "floor";
/** Between two looks at an order, ms. */
const LOOK = 100;
/** Left to the servers before each confirm and each bare update, ms: people do not confirm while a group comes to its end. */
const SETTLE = 300;

/** Times in ms: of each confirm, and of the bare update that took its turn after it. */
export type Confirms = { ours: number[]; floor: number[] };

/** `orders` releases with `each` confirms: one pod a group, and a confirm after every group. */
export async function measureConfirms(
  installation: ReleaseInstallation,
  { orders, each }: { orders: number; each: number },
): Promise<Confirms> {
  // A confirm before each group but the first; the one after the last group moves no pod.
  const groups = each + 1;
  const service = await openService(installation, { pods: groups, groups });
  const floor = await openFloor(installation, service, orders * (each + 1));
  const witness = await openWitness(service.kube, service.namespace);
  const times: Confirms = { ours: [], floor: [] };
  try {
    await service.release({ tag: "first" });
    for (let number = 1; number <= orders; number++) {
      const image = imageOf(`${number}`);
      const order = await service.plan({ tag: `${number}`, pause: "ALL" });
      await service.start(order);
      // The first is not counted: its worker may have been idle for long.
      await floor.update(`${number}-0`);
      for (let group = 1; group <= groups; group++) {
        const task = await untilAsked(service, order, group);
        await sleep(SETTLE);
        const changed = changedPods(witness.pods(), image);
        const begin = performance.now();
        const answer = service.confirm(order, task);
        if (group === groups) {
          await answer;
          break;
        }
        const end = await witness.until("a pod's change", (pods) => changedPods(pods, image) > changed);
        times.ours.push(end - begin);
        await answer;
        await sleep(SETTLE);
        times.floor.push(await floor.update(`${number}-${group}`));
      }
      await service.reach(order, "SUCCEEDED");
    }
  } finally {
    witness.close();
    await floor.close();
  }
  return times;
}

function changedPods(pods: PodObject[], image: string): number {
  return pods.filter((pod) => pod.spec.containers[0]?.image === image).length;
}

/** The task that asks for the confirmation of a group, once it does. */
async function untilAsked(service: Service, order: Order, group: number): Promise<string> {
  for (;;) {
    const { tasks = [], state, reason } = await service.read(order);
    const asked = tasks.find((task) => task.kind === "confirm" && task.state === "AWAITING_CONFIRM");
    if (asked?.id.endsWith(`.${group}.confirm`) === true) return asked.id;
    if (state === "FAILED") throw new Error(`order ${order.id} is ${state}: ${reason}`);
    await sleep(LOOK);
  }
}

async function openFloor({ kubernetes, temporalServer }: ReleaseInstallation, near: Service, times: number) {
  const { kube } = near;
  const namespace = `${near.namespace}-floor`;
  await kube.request({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name: namespace } } });
  const witness = await openWitness(kube, namespace);
  const spec = { nodeSelector: NODES, containers: [{ name: "main", image: imageOf("first") }] };
  const body = { apiVersion: "v1", kind: "Pod", metadata: { name: FLOOR_POD }, spec };
  await kube.request({ method: "POST", path: `/api/v1/namespaces/${namespace}/pods`, body });
  const { address, namespace: temporalNamespace } = temporalServer;
  const connection = await Connection.connect({ address });
  const temporal = new Client({ connection, namespace: temporalNamespace });
  const worker = await startProgram("floors/update-worker.ts", [
    address,
    temporalNamespace,
    kubernetes.kubeconfigs.admin,
    namespace,
    FLOOR_POD,
  ]);
  const handle = await temporal.workflow.start(bareUpdates, {
    workflowId: namespace,
    taskQueue: FLOOR_QUEUE,
    args: [times],
  });
  const runsAt = async (image: string): Promise<unknown> =>
    witness.until("the pod's return", (pods) => pods.some((pod) => runs(pod, image)));
  await runsAt(imageOf("first"));
  return {
    /** Answers with the time from asking until the watch shows the changed pod, ms. */
    async update(tag: string): Promise<number> {
      const image = imageOf(tag);
      const begin = performance.now();
      const answer = handle.executeUpdate(confirmUpdate, { args: [image] });
      const end = await witness.until("the pod's change", (pods) => changedPods(pods, image) > 0);
      await answer;
      await runsAt(image);
      return end - begin;
    },
    async close(): Promise<void> {
      witness.close();
      await handle.terminate("the bench is over").catch(() => undefined);
      await worker.close();
      await connection.close();
    },
  };
}
