/** Waits until pods that the controller takes away are gone. */
import { ordinalOf } from "../../../domain/workload/render.ts";
import type { PodObject } from "../objects.ts";
import type { Progress } from "../port.ts";
import { insist, type Cluster, type WorkloadKey } from "./cluster.ts";
import { podFacts } from "./facts.ts";
import { StuckWatch } from "./stuck-watch.ts";
import { Wake } from "./wake.ts";

/** Time between looks without any event, ms. */
const LULL_MS = 1000;

type Input = {
  key: WorkloadKey;
  isSurplus: (ordinal: number) => boolean;
  /** ms since epoch. */
  startedAt: number;
  /** How long nothing may happen after the last step forward and the end of all grace periods. */
  deadlineSeconds: number;
};

/** Returns why pods are still there, for a person; undefined when they are gone. */
export async function untilGone(cluster: Cluster, input: Input, progress: Progress): Promise<string | undefined> {
  const { key, isSurplus, startedAt, deadlineSeconds } = input;
  const { view, release } = cluster.views.acquire(key.namespace);
  const wake = new Wake();
  const end = view.onChange(key.name, wake.now);
  progress.signal.addEventListener("abort", wake.now);
  const surplus = () =>
    view.pods(key.name).filter((pod) => {
      const ordinal = ordinalOf(key.name, pod.metadata.name);
      return ordinal !== undefined && isSurplus(ordinal);
    });
  const seen = new Set<string>();
  let progressedAt = startedAt;
  try {
    await insist(cluster, () => view.refresh(), progress.signal);
    for (;;) {
      const pods = surplus();
      if (pods.length === 0) return undefined;
      if (progress.signal.aborted) return "Stopped before the pods were gone";
      // Each pod counts once as leaving; every pod that goes counts.
      const milestones = [...pods.filter(isLeaving).map((pod) => pod.metadata.uid), `${pods.length} left`];
      if (seen.size === 0) for (const milestone of milestones) seen.add(milestone);
      else if (milestones.some((milestone) => !seen.has(milestone))) {
        progressedAt = Date.now();
        for (const milestone of milestones) seen.add(milestone);
      }
      const graceEnds = pods.map((pod) => Date.parse(pod.metadata.deletionTimestamp ?? "") || 0);
      const deadline = Math.max(progressedAt, ...graceEnds) + deadlineSeconds * 1000;
      if (Date.now() > deadline) {
        await insist(cluster, () => view.refresh(), progress.signal);
        const left = surplus();
        if (left.length > 0) return await explain(cluster, key, left, deadlineSeconds);
        continue;
      }
      await wake.within(Math.min(LULL_MS, Math.max(1, deadline - Date.now())));
      await insist(cluster, () => view.refreshIfOlder(cluster.bounds.staleMs * 2), progress.signal);
    }
  } finally {
    end();
    progress.signal.removeEventListener("abort", wake.now);
    release();
  }
}

function isLeaving(pod: PodObject): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

async function explain(
  cluster: Cluster,
  { name, namespace }: WorkloadKey,
  pods: PodObject[],
  deadlineSeconds: number,
): Promise<string> {
  const told = await new StuckWatch(cluster, deadlineSeconds).tell(
    pods.map((pod) => ({
      name: pod.metadata.name,
      namespace,
      facts: podFacts(name, pod),
      judgement: { kind: isLeaving(pod) ? ("leaving" as const) : ("changing" as const) },
      set: undefined,
    })),
  );
  return `${pods.length} pods of ${namespace}/${name} that are to go are still there. ${told}`;
}
