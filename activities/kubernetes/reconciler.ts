/**
 * Level-triggered repair: a pod whose group has started and that is not at the template's revision (it was evicted,
 * drained, deleted by hand, and came back at the promoted one) is put right, whatever its order does: running, paused,
 * cancelled, ended. In place where that is possible, else by recreating it once more. A window of recreation that a dead
 * mover has left open is closed.
 *
 * It works under epochs like everybody, so any number of reconcilers and movers may run. It leaves an open epoch to its
 * mover, unless something has been waiting for repair under it for so long that the mover is dead; fencing makes a wrong
 * guess harmless. When nothing is wrong, it costs the views' watches and one list now and then.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CellwrightFailure } from "../../domain/failures.ts";
import { LATENCY_BOUNDS } from "../../domain/pipeline/operation.ts";
import { LABELS, MANAGED_BY } from "../../domain/workload/render.ts";
import { paths } from "./client.ts";
import type { List, SetObject } from "./objects.ts";
import type { Cluster } from "./statefulset/cluster.ts";
import { closeEpoch, takeEpoch } from "./statefulset/epoch.ts";
import { newHands, putRight, settle, type Hands } from "./statefulset/hands.ts";
import type { Held } from "./statefulset/held.ts";
import { isWindowOpen, readNotes, targetHash } from "./statefulset/metadata.ts";
import { Wake } from "./statefulset/wake.ts";
import { areAwaited, duePods, isWindowNeeded } from "./statefulset/window.ts";
import type { NamespaceView } from "./view.ts";

export type ReconcilerOptions = {
  cluster: Cluster;
  signal: AbortSignal;
  /** This process, for the notes on workloads. */
  name: string;
  /** Namespaces in use. Default: those in which the cluster has workloads of ours. */
  namespaces?: () => Promise<string[]>;
  /** Time between two looks for namespaces, and between two looks at every workload, ms. */
  everyMs?: number;
  /** How long something must have been waiting under an unchanged open epoch before it is taken over, ms. */
  takeOverAfterMs?: number;
};

/** Changes come in bursts. */
const GATHER_MS = 50;
/** Time between two rounds of a repair without any event, ms. */
const LULL_MS = 1000;
/** A repair that takes longer ends, and a new one begins later: nobody else can act meanwhile without fencing it. ms */
const LONGEST_MS = 30_000;
/**
 * More than stopping a dead mover's group may take, which is to miss its heartbeat and to freeze with all tries, ms: what
 * a person rolls back must not be completed meanwhile.
 */
const TAKE_OVER_MS = LATENCY_BOUNDS.wait.heartbeat + LATENCY_BOUNDS.quick.total + 20_000;

type Watched = { release: () => void; end: () => void; repairs: Repairs };

/** Starts; resolves when the signal has ended it and nothing of it is under way. */
export async function startReconciler(options: ReconcilerOptions): Promise<void> {
  const { cluster, signal, everyMs = 10_000, namespaces = () => usedNamespaces(cluster) } = options;
  const watched = new Map<string, Watched>();
  const leaving = new Set<Promise<void>>();
  const leave = (namespace: string, { release, end, repairs }: Watched) => {
    watched.delete(namespace);
    end();
    const idle = repairs.idle().then(release);
    leaving.add(idle);
    void idle.finally(() => leaving.delete(idle));
  };
  while (!signal.aborted) {
    try {
      const used = new Set(await namespaces());
      for (const namespace of used) {
        if (watched.has(namespace)) continue;
        const { view, release } = cluster.views.acquire(namespace);
        const repairs = new Repairs(options, view);
        watched.set(namespace, { release, repairs, end: view.onAnyChange((set) => repairs.look(set)) });
      }
      for (const [namespace, one] of watched) if (!used.has(namespace)) leave(namespace, one);
      for (const { repairs } of watched.values()) repairs.lookAtAll();
    } catch (error) {
      cluster.log.warn({ cluster: cluster.client.cluster, err: message(error) }, "reconciler: namespaces not readable");
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  for (const [namespace, one] of watched) leave(namespace, one);
  await Promise.all(leaving);
}

/** The repairs of one namespace; one at a time per workload. */
class Repairs {
  readonly #options: ReconcilerOptions;
  readonly #view: NamespaceView;
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBefore: number }>();
  /** Since when the same has been waiting under the same open epoch (`performance.now()`). */
  readonly #waiting = new Map<string, { what: string; since: number }>();

  constructor(options: ReconcilerOptions, view: NamespaceView) {
    this.#options = options;
    this.#view = view;
  }

  lookAtAll(): void {
    for (const set of this.#view.sets()) this.look(set.metadata.name);
  }

  look(name: string): void {
    if (this.#running.has(name)) {
      this.#again.add(name);
      return;
    }
    if (this.#options.signal.aborted) return;
    const run = this.#run(name).finally(() => {
      this.#running.delete(name);
      if (this.#again.delete(name)) this.look(name);
    });
    this.#running.set(name, run);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async #run(name: string): Promise<void> {
    const { cluster, signal } = this.#options;
    await sleep(GATHER_MS, undefined, { signal }).catch(() => undefined);
    this.#again.delete(name);
    if (signal.aborted || performance.now() < (this.#failures.get(name)?.notBefore ?? 0)) return;
    try {
      if (this.#isDue(name)) await this.#repair(name);
      this.#failures.delete(name);
    } catch (error) {
      // Somebody else holds it: their business, or seen at the next look.
      if (error instanceof CellwrightFailure && (error.type === "Fenced" || error.type === "NotFound")) return;
      const count = (this.#failures.get(name)?.count ?? 0) + 1;
      const pause = Math.min(60_000, 1000 * 2 ** Math.min(count - 1, 10)) * (0.5 + Math.random() / 2);
      this.#failures.set(name, { count, notBefore: performance.now() + pause });
      cluster.log.warn(
        { workload: name, err: message(error), pauseMs: Math.round(pause) },
        "reconciler: repair failed",
      );
    }
  }

  /** Whether there is something to repair, and it is ours to do. */
  #isDue(name: string): boolean {
    const { cluster, takeOverAfterMs = TAKE_OVER_MS } = this.#options;
    const set = this.#view.set(name);
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return false;
    if (cluster.busy.has(`${set.metadata.namespace}/${name}`)) return false;
    const notes = readNotes(set);
    const pods = this.#view.pods(name);
    const due = duePods(set, notes.enrolled, pods);
    if (due.length === 0 && !isWindowOpen(set)) {
      this.#waiting.delete(name);
      return false;
    }
    if (notes.holder === "") return true;
    // Pods that leave may take the time that they were given.
    const grace = pods.filter((pod) => Date.parse(pod.metadata.deletionTimestamp ?? "") > Date.now()).length;
    const what = [notes.epoch, ...due.map((pod) => pod.metadata.uid), pods.length, grace].join(" ");
    const waiting = this.#waiting.get(name);
    if (waiting?.what !== what || grace > 0) {
      this.#waiting.set(name, { what, since: performance.now() });
      return false;
    }
    return performance.now() - waiting.since > takeOverAfterMs;
  }

  async #repair(name: string): Promise<void> {
    const { cluster, signal } = this.#options;
    const key = { namespace: this.#view.namespace, name };
    const seen = this.#view.pods(name).map((pod) => pod.metadata.uid);
    const before = readNotes(this.#view.set(name)!);
    const held = await takeEpoch(cluster, {
      key,
      taker: { role: "reconcile", who: this.#options.name, startedAt: Date.now() },
      check: (_set, notes) => {
        // Open, and not the epoch that we have watched: a mover has come.
        if (notes.holder !== "" && notes.epoch !== before.epoch)
          throw new CellwrightFailure("Fenced", `${name} is being moved`);
      },
      seen,
      onStamped: this.#view.absorbPod,
      signal,
    });
    this.#view.absorbSet(held.set);
    const hands = newHands();
    try {
      await this.#rounds(held, hands);
      if (hands.moved.size > 0)
        cluster.log.info({ workload: name, epoch: held.epoch, pods: [...hands.moved] }, "repaired");
    } finally {
      if (await settle(cluster, held, hands)) await closeEpoch(cluster, held);
    }
    const budget = [...hands.budgets.values()][0]?.message;
    if (budget !== undefined) throw new CellwrightFailure("ClusterBusy", budget);
    const refusal = [...hands.refusals.values()][0];
    if (refusal !== undefined) throw new CellwrightFailure("Invalid", refusal);
  }

  /** Until everything is as it is meant to be, a budget or a right is missing, or it takes too long. */
  async #rounds(held: Held, hands: Hands): Promise<void> {
    const { cluster, signal } = this.#options;
    const { name } = held.key;
    const wake = new Wake();
    const end = this.#view.onChange(name, wake.now);
    const until = performance.now() + LONGEST_MS;
    try {
      while (!signal.aborted && performance.now() < until) {
        await putRight(cluster, held, this.#view, hands, signal);
        const pods = this.#view.pods(name);
        const isDone =
          targetHash(held.set) !== undefined &&
          duePods(held.set, held.notes.enrolled, pods).length === 0 &&
          !isWindowNeeded(held.set, held.notes, pods);
        const isRefused = hands.budgets.size > 0 && !areAwaited(held.set, held.notes.enrolled, pods);
        if ((isDone && hands.unknown.size === 0) || hands.forbidden !== undefined || isRefused) return;
        await wake.within(LULL_MS);
        await sleep(GATHER_MS);
      }
    } finally {
      end();
    }
  }
}

async function usedNamespaces({ client }: Cluster): Promise<string[]> {
  const list = await client.request<List<SetObject>>({
    method: "GET",
    path: paths.allSets,
    query: { labelSelector: `${LABELS.managedBy}=${MANAGED_BY}` },
    timeoutMs: 20_000,
  });
  return [...new Set(list.items.map((set) => set.metadata.namespace))];
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
