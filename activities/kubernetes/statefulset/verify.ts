/** Success is more than our own report: the pods themselves, and the controller's own judgement. */
import { setTimeout as sleep } from "node:timers/promises";
import { whyNot } from "../../../domain/workload/reason.ts";
import { imagesOf, podName } from "../../../domain/workload/render.ts";
import { judgePod, type PodFacts } from "../../../domain/workload/updated.ts";
import type { Desired, Outcome, PodProgress, Progress } from "../port.ts";
import type { NamespaceView } from "../view.ts";
import { insist, type Cluster } from "./cluster.ts";
import { podFacts } from "./facts.ts";
import { isWindowOpen, readNotes, targetHash } from "./metadata.ts";
import { keyOf } from "./right.ts";
import { StuckWatch, type Watched } from "./stuck-watch.ts";

type Finding = {
  pods: (PodProgress & { reason: string; watched: Watched })[];
  fault?: string;
  wrong?: string;
};

const LULL_MS = 1000;

/**
 * Waits until every pod of every workload is updated and the workload has promoted itself (its pods would come back at
 * this revision without our help). Fails when that lasts longer than the longest `progressDeadlineSeconds` + `readySeconds`
 * after the last pod that came, counted from `startedAt`.
 */
export async function verifyWorkloads(
  cluster: Cluster,
  { desired, startedAt }: { desired: Desired[]; startedAt: number },
  progress: Progress,
): Promise<Outcome & { pods: PodProgress[] }> {
  const acquired = desired.map((one) => ({ one, ...cluster.views.acquire(one.placement.namespace) }));
  const patienceMs =
    Math.max(0, ...desired.map(({ spec: { release } }) => release.progressDeadlineSeconds + release.readySeconds)) *
    1000;
  const watch = new StuckWatch(
    cluster,
    Math.max(0, ...desired.map(({ spec: { release } }) => release.progressDeadlineSeconds)),
  );
  let reported = "";
  let most = 0;
  let progressedAt = startedAt;
  try {
    const refresh = (olderThanMs: number) =>
      insist(
        cluster,
        async () => {
          await Promise.all(acquired.map(({ view }) => view.refreshIfOlder(olderThanMs)));
        },
        progress.signal,
      );
    await refresh(0);
    // What is true at the first look may have become so long ago; only what changes from then on is progress.
    let isFirst = true;
    for (;;) {
      const now = Date.now();
      const findings = acquired.map(({ one, view }) => inspect(one, view, now));
      const rows = findings.flatMap((finding) => finding.pods);
      const stuck = await watch.look(watchedOf(findings), now);
      const pods = rows.map(({ cell, name, state, reason }): PodProgress =>
        state === "UPDATED" ? { cell, name, state } : { cell, name, state, reason: watch.reasonOf(name) ?? reason },
      );
      const text = JSON.stringify(pods);
      if (text !== reported) progress.report(pods);
      reported = text;
      const updated = pods.filter((pod) => pod.state === "UPDATED").length;
      if (updated > most && !isFirst) progressedAt = now;
      most = Math.max(most, updated);
      isFirst = false;
      const wrong = findings.map((finding) => finding.wrong).find((one) => one !== undefined);
      if (wrong !== undefined) return { outcome: "failed", reason: wrong, changed: false, pods };
      const fault = findings.map((finding) => finding.fault).find((one) => one !== undefined);
      const late = rows.filter((pod) => pod.state !== "UPDATED");
      if (late.length === 0 && fault === undefined) {
        return {
          outcome: "done",
          summary: `${pods.length} pods updated, ${desired.length} workloads promoted`,
          changed: false,
          pods,
        };
      }
      if (progress.signal.aborted)
        return { outcome: "failed", reason: "Stopped before everything was verified", changed: false, pods };
      const isOver = now > progressedAt + patienceMs;
      if (isOver || stuck !== undefined) {
        await refresh(1000);
        const again = acquired.map(({ one, view }) => inspect(one, view, now));
        if (
          again.every((finding) => finding.fault === undefined && finding.pods.every((pod) => pod.state === "UPDATED"))
        )
          continue;
        const still = await watch.look(watchedOf(again), now);
        if (still === undefined && !isOver) continue;
        const told = async () => `Not updated: ${await watch.tell(late.map((row) => row.watched))}`;
        const reason = still ?? (late.length > 0 ? await told() : fault!);
        return { outcome: "failed", reason, changed: false, pods };
      }
      await news(
        acquired.map(({ view }) => view),
        progress.signal,
      );
      await refresh(cluster.bounds.staleMs * 2);
    }
  } finally {
    for (const { release } of acquired) release();
  }
}

function watchedOf(findings: Finding[]): Watched[] {
  return findings.flatMap((finding) => finding.pods.map((pod) => pod.watched));
}

function inspect(desired: Desired, view: NamespaceView, now: number): Finding {
  const { placement, order, revision, spec } = desired;
  const { name, namespace } = keyOf(placement);
  const where = `${namespace}/${name}`;
  const set = view.set(name);
  if (set === undefined) return { pods: [], wrong: `${where} does not exist` };
  const notes = readNotes(set);
  if (notes.order !== order || notes.revision !== revision) {
    return {
      pods: [],
      wrong: `${where} is at revision ${notes.revision} of order ${notes.order} now, not at revision ${revision} of order ${order}`,
    };
  }
  const hash = targetHash(set);
  const target = { hash: hash ?? "", images: imagesOf(desired), readySeconds: spec.release.readySeconds };
  const facts = new Map<number, PodFacts>();
  for (const pod of view.pods(name)) {
    const one = podFacts(name, pod, view.readySeenAt(pod.metadata.uid));
    if (one !== undefined) facts.set(one.ordinal, one);
  }
  const replicas = set.spec.replicas ?? 1;
  const wanted = spec.cells[placement.cell]?.replicas ?? 0;
  if (replicas > wanted)
    return { pods: [], wrong: `${where} has ${replicas} pods, and revision ${revision} wants ${wanted}` };
  const pods = Array.from({ length: wanted }, (_, ordinal) => {
    const pod = facts.get(ordinal);
    const judgement = judgePod(pod, target, now);
    const called = podName(placement.service, placement.cell, ordinal);
    return {
      cell: placement.cell,
      name: called,
      watched: { name: called, namespace, facts: pod, judgement, set: set.metadata.uid },
      state:
        judgement.kind === "updated"
          ? ("UPDATED" as const)
          : judgement.kind === "old"
            ? ("NOT_UPDATED" as const)
            : ("UPDATING" as const),
      reason: whyNot(pod, judgement),
    };
  });
  if (hash === undefined)
    return { pods, fault: `The StatefulSet controller has not noticed the last change of ${where}` };
  if (isWindowOpen(set))
    return {
      pods,
      fault: `${where} is still in a window of recreation: a pod that dies comes back at the new revision`,
    };
  const { currentRevision } = set.status!;
  if (currentRevision !== hash)
    return {
      pods,
      fault: `${where} has not promoted itself: a new pod would come at ${currentRevision}, not at ${hash}`,
    };
  return { pods };
}

/** Resolves at the next change of any view, or after a while. */
async function news(views: NamespaceView[], signal: AbortSignal): Promise<void> {
  const wake = new AbortController();
  const ends = views.map((view) => view.onAnyChange(() => wake.abort()));
  await sleep(LULL_MS, undefined, { signal: AbortSignal.any([wake.signal, signal]) }).catch(() => undefined);
  for (const end of ends) end();
}
