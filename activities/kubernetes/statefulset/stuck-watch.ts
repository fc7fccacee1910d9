/** Watches over pods that do not come: whether they are stuck, and for how long that has been endured. */
import { overdue, sight, type Seen, type Sightings } from "../../../domain/workload/patience.ts";
import { eventsOf, freshEvents, summarise, whyNot, type PodEvent } from "../../../domain/workload/reason.ts";
import { diagnose, explain } from "../../../domain/workload/stuck.ts";
import type { Stuck } from "../../../domain/workload/stuck-kinds.ts";
import type { Judgement, PodFacts } from "../../../domain/workload/updated.ts";
import type { Cluster } from "./cluster.ts";
import { podEvents } from "./events.ts";

/** A pod that shall be at its target. */
export type Watched = {
  name: string;
  namespace: string;
  facts: PodFacts | undefined;
  judgement: Judgement;
  /** Uid of its workload, whose events tell why a pod is missing. */
  set?: string | undefined;
  refusal?: string | undefined;
};

/** A pod must have given no sign for so long before its events are read, ms. Most pods come sooner. */
const QUIET_MS = 5_000;
/** Events of so many pods at once; between two readings passes so much time, ms. */
const READ_AT_ONCE = 3;
const READ_EVERY_MS = 5_000;

export class StuckWatch {
  readonly #cluster: Cluster;
  readonly #deadlineSeconds: number;
  #sightings: Sightings = [];
  /** Since when a pod has not been well, by name and state. */
  #since = new Map<string, { state: string; at: number }>();
  readonly #events = new Map<string, PodEvent[]>();
  #readAt = 0;
  #stuck = new Map<string, Stuck>();
  /** What was wrong with pods when they crashed last. */
  #crashes = new Map<string, Stuck>();

  /** `deadlineSeconds`: the policy's, an upper bound for all kinds of trouble. */
  constructor(cluster: Cluster, deadlineSeconds: number) {
    this.#cluster = cluster;
    this.#deadlineSeconds = deadlineSeconds;
  }

  /**
   * To be called again and again with all pods that should have come. Returns why waiting is over, once the bound of any
   * pod's trouble has passed. Reads events of those that say nothing themselves; an API server that does not answer
   * changes nothing.
   */
  async look(pods: readonly Watched[], now: number): Promise<string | undefined> {
    await this.#readEvents(pods, now);
    this.#stuck = new Map();
    const looks = pods.map((pod): Seen => {
      const stuck = diagnose({ ...pod, pod: pod.facts, events: this.#known(pod), now });
      if (stuck !== undefined) this.#stuck.set(pod.name, stuck);
      const identity = `${pod.facts?.uid ?? ""} ${pod.facts?.hash ?? ""}`;
      return { pod: pod.name, identity, judgement: pod.judgement.kind, stuck };
    });
    this.#sightings = sight(this.#sightings, looks, now);
    this.#rememberCrashes();
    const late = overdue(this.#sightings, looks, now, this.#deadlineSeconds);
    if (late.length === 0) return undefined;
    const byName = new Map(pods.map((pod) => [pod.name, pod]));
    const seconds = Math.max(...late.map((one) => one.seconds));
    const told = await this.tell(late.map(({ pod }) => byName.get(pod)!));
    return `${late.length === 1 ? "A pod is" : `${late.length} pods are`} stuck, for ${seconds} s: ${told}`;
  }

  /** A container that crashes again and again runs in between: what is wrong with it has not changed. */
  #rememberCrashes(): void {
    const before = this.#crashes;
    this.#crashes = new Map();
    for (const { pod, kind } of this.#sightings) {
      const now = this.#stuck.get(pod);
      // What the kubelet says while it waits is more telling than that the container has just ended.
      const isTelling = now?.kind === "crash-loop" && /BackOff/.test(now.what);
      const crash = isTelling ? now : (before.get(pod) ?? now);
      if (kind !== "crash-loop" || crash?.kind !== "crash-loop") continue;
      this.#crashes.set(pod, crash);
      if (now === undefined || now.kind === "probe" || now.kind === "crash-loop") this.#stuck.set(pod, crash);
    }
  }

  /** What is wrong with a pod, as found at the last look, and what to do; undefined when nothing is known. */
  reasonOf(name: string): string | undefined {
    const stuck = this.#stuck.get(name);
    return stuck === undefined ? undefined : explain(stuck);
  }

  /** Why these pods are not there, with what the cluster's components noted about the first of them, and what to do. */
  async tell(pods: readonly Watched[], most = READ_AT_ONCE): Promise<string> {
    const told = await Promise.all(
      pods.map(async (pod, index) => ({ name: pod.name, reason: index < most ? await this.#tellOne(pod) : "" })),
    );
    const remedies = new Set(
      pods.map(({ name }) => this.#stuck.get(name)?.remedy).filter((remedy) => remedy !== undefined),
    );
    const doing = [...remedies].slice(0, 2).join("; ");
    return summarise(told, most) + (doing === "" ? "" : `. To do: ${doing}`);
  }

  async #tellOne(pod: Watched): Promise<string> {
    if (pod.refusal !== undefined) return pod.refusal;
    const events = await this.#read(pod);
    if (!this.#crashes.has(pod.name)) {
      const stuck = diagnose({ ...pod, pod: pod.facts, events, now: Date.now() });
      if (stuck !== undefined) this.#stuck.set(pod.name, stuck);
    }
    const fresh = pod.facts === undefined ? eventsOf(events, pod.name) : freshEvents(pod.facts, events);
    return whyNot(pod.facts, pod.judgement, fresh, this.#stuck.get(pod.name)?.what);
  }

  async #readEvents(pods: readonly Watched[], now: number): Promise<void> {
    const before = this.#since;
    this.#since = new Map();
    const silent: { pod: Watched; at: number }[] = [];
    for (const pod of pods) {
      if (pod.judgement.kind === "updated" || pod.judgement.kind === "settling") continue;
      const state = `${pod.facts?.uid ?? ""} ${pod.judgement.kind}`;
      const known = before.get(pod.name);
      const since = known?.state === state ? known : { state, at: now };
      this.#since.set(pod.name, since);
      const says = diagnose({ ...pod, pod: pod.facts, events: [], now }) !== undefined;
      if (!says && now - since.at >= QUIET_MS) silent.push({ pod, at: since.at });
    }
    if (silent.length === 0 || now - this.#readAt < READ_EVERY_MS) return;
    this.#readAt = now;
    const longest = silent.toSorted((a, b) => a.at - b.at).slice(0, READ_AT_ONCE);
    await Promise.all(longest.map(({ pod }) => this.#read(pod)));
  }

  /** Of the pod, or of its workload while there is none. The last known ones when they cannot be read. */
  async #read(pod: Watched): Promise<PodEvent[]> {
    const uid = pod.facts?.uid ?? pod.set;
    if (uid === undefined) return [];
    try {
      this.#events.set(uid, await podEvents(this.#cluster, pod.namespace, uid));
    } catch (error) {
      this.#cluster.log.info({ pod: pod.name, err: (error as Error).message }, "its events cannot be read");
    }
    return this.#known(pod);
  }

  #known(pod: Watched): PodEvent[] {
    return this.#events.get(pod.facts?.uid ?? pod.set ?? "") ?? [];
  }
}
