/**
 * Level-triggered repair: a pod whose group has started and that is not at the template's revision (it was evicted,
 * drained, deleted by hand, and came back at the promoted one) is put right, whatever its order does: running, paused,
 * cancelled, ended.
 *
 * It works under epochs like everybody, so any number of reconcilers and movers may run. It leaves an open epoch to its
 * mover, unless something has been waiting for repair under it for so long that the mover is dead; fencing makes a wrong
 * guess harmless. When nothing is wrong, it costs the views' watches and one list now and then.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CellwrightFailure } from "../../domain/failures.ts";
import { LABELS, MANAGED_BY } from "../../domain/workload/render.ts";
import { paths } from "./client.ts";
import type { List, SetObject } from "./objects.ts";
import type { Cluster } from "./statefulset/cluster.ts";
import { closeEpoch, takeEpoch } from "./statefulset/epoch.ts";
import { duePods, newHands, putRight, settle } from "./statefulset/hands.ts";
import { readNotes } from "./statefulset/metadata.ts";
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
const ROUNDS = 10;

/** Starts; resolves when the signal has ended it and nothing of it is under way. */
export async function startReconciler(options: ReconcilerOptions): Promise<void> {
  const { cluster, signal, everyMs = 10_000, namespaces = () => usedNamespaces(cluster) } = options;
  const watched = new Map<string, { release: () => void; end: () => void; repairs: Repairs }>();
  while (!signal.aborted) {
    try {
      for (const namespace of await namespaces()) {
        if (watched.has(namespace)) continue;
        const { view, release } = cluster.views.acquire(namespace);
        const repairs = new Repairs(options, view);
        watched.set(namespace, { release, repairs, end: view.onAnyChange((set) => repairs.look(set)) });
      }
      for (const { repairs } of watched.values()) repairs.lookAtAll();
    } catch (error) {
      cluster.log.warn({ cluster: cluster.client.cluster, err: message(error) }, "reconciler: namespaces not readable");
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  for (const { release, end } of watched.values()) {
    end();
    release();
  }
  await Promise.all([...watched.values()].map(({ repairs }) => repairs.idle()));
}

/** The repairs of one namespace; one at a time per workload. */
class Repairs {
  readonly #options: ReconcilerOptions;
  readonly #view: NamespaceView;
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, { count: number; notBefore: number }>();
  /** Since when something has been waiting under this open epoch (`performance.now()`). */
  readonly #waiting = new Map<string, { epoch: number; since: number }>();

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
    const { cluster, takeOverAfterMs = 60_000 } = this.#options;
    const set = this.#view.set(name);
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return false;
    if (cluster.busy.has(`${set.metadata.namespace}/${name}`)) return false;
    const notes = readNotes(set);
    const due = duePods(set, notes.enrolled, this.#view.pods(name));
    if (due.length === 0) {
      this.#waiting.delete(name);
      return false;
    }
    if (notes.holder === "") return true;
    const waiting = this.#waiting.get(name);
    if (waiting?.epoch !== notes.epoch) {
      this.#waiting.set(name, { epoch: notes.epoch, since: performance.now() });
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
      for (let round = 0; round < ROUNDS && !signal.aborted; round++) {
        await putRight(cluster, held, this.#view, hands, signal);
        const due = duePods(held.set, held.notes.enrolled, this.#view.pods(name));
        if ((due.length === 0 && hands.unknown.size === 0) || hands.forbidden !== undefined) break;
        await sleep(200);
      }
      if (hands.moved.size > 0)
        cluster.log.info({ workload: name, epoch: held.epoch, pods: [...hands.moved] }, "repaired");
    } finally {
      if (await settle(cluster, held, hands)) await closeEpoch(cluster, held);
    }
    const refusal = [...hands.refusals.values()][0];
    if (refusal !== undefined) throw new CellwrightFailure("Invalid", refusal);
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
