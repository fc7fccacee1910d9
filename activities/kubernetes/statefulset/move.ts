/** Moves one group and watches until it is there. Level-triggered: every round is decided from what is observed. */
import { setTimeout as sleep } from "node:timers/promises";
import { CellwrightFailure } from "../../../domain/failures.ts";
import { nextWave } from "../../../domain/workload/wave.ts";
import type { SetObject } from "../objects.ts";
import type { GroupPart, Outcome, PodProgress, Progress } from "../port.ts";
import { all, patience, type Cluster } from "./cluster.ts";
import { budgetReason, heldByBudgets } from "./budgets.ts";
import { enrol, takeEpoch } from "./epoch.ts";
import { closeParts } from "./close.ts";
import { catchUp, putRight } from "./hands.ts";
import { isWindowOpen, readNotes, type Notes } from "./metadata.ts";
import { insistOnRevision } from "./right.ts";
import { Pace } from "./pace.ts";
import { openPart, ordinalsIn, otherCells, partRows, progressOf, uidsOf, type Part, type Row } from "./rows.ts";
import { StuckWatch, type Watched } from "./stuck-watch.ts";
import { attemptOf } from "./taker.ts";
import { Wake } from "./wake.ts";
import { areOthersAwaited, isWindowNeeded } from "./window.ts";

type Input = { parts: GroupPart[]; holder: string; startedAt: number };
type Moved = Outcome & { pods: PodProgress[] };

/** Time between rounds without any event, ms. */
const LULL_MS = 1000;
/** Events come in bursts; one round serves them all. */
const GATHER_MS = 25;
/** The same once only so `FEW` pods are left: the next group waits for the last of them. */
const GATHER_LAST_MS = 2;
const FEW = 8;

export async function moveGroup(cluster: Cluster, input: Input, progress: Progress): Promise<Moved> {
  const parts = input.parts.map((part) => openPart(cluster, part));
  const busy = parts.map((part) => `${part.desired.placement.namespace}/${part.name}`);
  for (const key of busy) cluster.busy.add(key);
  try {
    return await new Mover(cluster, parts, input, progress).run();
  } finally {
    for (const part of parts) part.release();
    for (const key of busy) cluster.busy.delete(key);
  }
}

class Mover {
  readonly #cluster: Cluster;
  readonly #parts: Part[];
  readonly #input: Input;
  readonly #progress: Progress;
  readonly #patience: ReturnType<typeof patience>;
  readonly #watch: StuckWatch;
  readonly #pace: Pace;
  #reported = "";
  /** Pods of the group that were not updated at the last look. */
  #left = Number.POSITIVE_INFINITY;

  constructor(cluster: Cluster, parts: Part[], input: Input, progress: Progress) {
    this.#cluster = cluster;
    this.#parts = parts;
    this.#input = input;
    this.#progress = progress;
    this.#patience = patience(cluster.bounds);
    this.#watch = new StuckWatch(cluster, this.#deadlineSeconds());
    this.#pace = new Pace(input.startedAt, this.#deadlineSeconds());
  }

  async run(): Promise<Moved> {
    const wake = new Wake();
    const ends = this.#parts.map((part) => part.view.onAnyChange(() => wake.now()));
    this.#progress.signal.addEventListener("abort", wake.now);
    try {
      const outcome = await this.#rounds(wake);
      await closeParts(this.#cluster, this.#parts, this.#progress.signal.aborted);
      return outcome;
    } catch (error) {
      // Not after being fenced: then it is not ours to close. Otherwise a settled attempt leaves a closed epoch.
      if (!(error instanceof CellwrightFailure && error.type === "Fenced"))
        await closeParts(this.#cluster, this.#parts, this.#progress.signal.aborted);
      throw error;
    } finally {
      for (const end of ends) end();
      this.#progress.signal.removeEventListener("abort", wake.now);
    }
  }

  async #rounds(wake: Wake): Promise<Moved> {
    await this.#whilePatient(() => this.#refreshIfOld(this.#cluster.bounds.staleMs));
    const seeded = this.#rows();
    this.#pace.seed(seeded);
    await this.#take(seeded);
    for (;;) {
      if (this.#progress.signal.aborted) return this.#stopped();
      const pause = await this.#round();
      if (typeof pause !== "number") return pause;
      await wake.within(pause);
      await sleep(this.#left > FEW ? GATHER_MS : GATHER_LAST_MS);
    }
  }

  /** One round. Returns the end of the move, or how long to wait for news, ms. */
  async #round(): Promise<Moved | number> {
    const endured = await this.#act();
    if (endured !== undefined) return endured;
    const now = Date.now();
    const rows = this.#rows(now);
    this.#pace.note(rows, now);
    const stuck = await this.#watch.look(watched(rows), now);
    this.#report(rows);
    const group = rows.filter((row) => row.inGroup);
    this.#left = group.filter((row) => row.judgement.kind !== "updated").length;
    if (this.#left === 0) {
      const pods = group.length === 1 ? "1 pod is" : `${group.length} pods are`;
      return { outcome: "done", summary: `${pods} updated`, changed: this.#changed(), pods: this.#podProgress(rows) };
    }
    const forbidden = this.#parts.map((part) => part.hands.forbidden).find((text) => text !== undefined);
    if (forbidden !== undefined) return this.#failed(rows, forbidden);
    const refused = heldByBudgets(group, now);
    const patienceMs = Math.min(this.#cluster.bounds.budgetMs, this.#deadlineSeconds() * 1000);
    if (refused !== undefined && now - Math.max(refused.since, this.#pace.progressedAt) >= patienceMs)
      return this.#blocked(rows, refused.rows);
    if (stuck !== undefined) return (await this.#enduring(() => this.#refreshIfOld(1000))) ?? this.#stuck();
    const deadline = this.#pace.deadline(rows);
    const settling = group.flatMap((row) => (row.judgement.kind === "settling" ? [row.judgement.at - now] : []));
    if (now < deadline || settling.length > 0) {
      return Math.max(1, Math.min(LULL_MS, deadline - now > 0 ? deadline - now : LULL_MS, ...settling));
    }
    // Never on the word of an old view.
    const fresh = await this.#enduring(() => this.#refreshIfOld(1000));
    if (fresh !== undefined) return fresh;
    return this.#overdue();
  }

  /** Everything that writes. Returns how long to wait if the cluster did not answer. */
  async #act(): Promise<number | undefined> {
    return this.#enduring(async () => {
      await this.#refreshIfOld(this.#cluster.bounds.staleMs * 2);
      for (const part of this.#parts) catchUp(part.held!, part.view);
      for (const part of this.#parts) this.#check(part)(part.held!.set, part.held!.notes);
      const seen = new Map(this.#parts.map((part) => [part, uidsOf(part)]));
      const wave = this.#isAllEnrolled() ? undefined : nextWave(this.#rows());
      if (wave?.kind === "enrol" && wave.pods.length > 0 && !this.#progress.signal.aborted) {
        await all(this.#parts, async (part) => {
          const ordinals = ordinalsIn(part, wave.pods);
          if (ordinals.length > 0)
            await enrol(this.#cluster, part.held!, ordinals, seen.get(part)!, this.#windowFor(part, ordinals));
        });
      }
      await all(this.#parts, (part) =>
        putRight(this.#cluster, part.held!, part.view, part.hands, this.#progress.signal),
      );
    });
  }

  /** Takes the epoch of every part; the first wave goes with it, if nothing has to be waited for. */
  async #take(rows: Row[]): Promise<void> {
    const wave = nextWave(rows);
    const first = wave.kind === "enrol" ? wave.pods : [];
    const { holder, startedAt } = this.#input;
    await all(this.#parts, async (part) => {
      part.held = await takeEpoch(this.#cluster, {
        key: { namespace: part.desired.placement.namespace, name: part.name },
        taker: { role: "move", who: holder, startedAt },
        check: this.#check(part),
        enrol: ordinalsIn(part, first),
        window: this.#windowFor(part, ordinalsIn(part, first)),
        seen: uidsOf(part),
        known: part.view.set(part.name),
        onStamped: part.view.absorbPod,
        signal: this.#progress.signal,
      });
      part.view.absorbSet(part.held.set);
    });
  }

  /** Whether a window has to be open once these ordinals are enrolled, so that it opens with the same write. */
  #windowFor(part: Part, ordinals: number[]): boolean {
    const set = part.held?.set ?? part.view.set(part.name);
    if (set === undefined) return false;
    const notes = part.held?.notes ?? readNotes(set);
    const enrolled = new Set([...notes.enrolled, ...ordinals]);
    const pods = part.view.pods(part.name);
    return (
      isWindowNeeded(set, { ...notes, enrolled }, pods) && (isWindowOpen(set) || !areOthersAwaited(set, enrolled, pods))
    );
  }

  /** The workload must be as this group's order wants it. */
  #check(part: Part): (set: SetObject, notes: Notes) => void {
    return (set, notes) => insistOnRevision(set, notes, part.desired, attemptOf(this.#input.holder));
  }

  /** The group's pods, the other pods of its workloads, and those of the service's other cells in this cluster. */
  #rows(now = Date.now()): Row[] {
    return [...this.#parts.flatMap((part) => partRows(part, now)), ...otherCells(this.#parts)];
  }

  #deadlineSeconds(): number {
    return Math.max(...this.#parts.map((part) => part.desired.spec.release.progressDeadlineSeconds));
  }

  /** The bound of some pod's trouble has passed, on a fresh view: the end, unless the fresh view shows that it has not. */
  async #stuck(): Promise<Moved | number> {
    const now = Date.now();
    const rows = this.#rows(now);
    this.#pace.note(rows, now);
    const reason = await this.#watch.look(watched(rows), now);
    if (reason === undefined) return 1;
    // The others are on their way, and go on.
    return this.#failed(rows, reason, (row) => this.#watch.reasonOf(row.name) !== undefined);
  }

  /** Past the deadline, on a fresh view: the end, unless the fresh view shows that it is not. */
  async #overdue(): Promise<Moved | number> {
    const now = Date.now();
    const rows = this.#rows(now);
    this.#pace.note(rows, now);
    const group = rows.filter((row) => row.inGroup);
    if (now < this.#pace.deadline(rows) || group.every((row) => row.judgement.kind === "updated")) return 1;
    const wave = nextWave(rows);
    const culprits =
      wave.kind === "wait-for-earlier"
        ? rows.filter((row) => wave.pods.includes(row.name))
        : group
            .filter((row) => row.judgement.kind !== "updated")
            .toSorted((a, b) => Number(b.enrolled) - Number(a.enrolled));
    const what =
      wave.kind === "wait-for-earlier" ? "Pods of earlier groups have not come back" : "No pod has progressed";
    const told = await this.#watch.tell(culprits.map(toWatched));
    return this.#failed(rows, `${what} for ${Math.round((now - this.#pace.progressedAt) / 1000)} s. ${told}`);
  }

  #failed(rows: Row[], reason: string, hasFailed: (row: Row) => boolean = () => true): Moved {
    return { outcome: "failed", reason, changed: this.#changed(), pods: this.#podProgress(rows, hasFailed) };
  }

  /** Pods that were never evicted are not meant to be anywhere else any more: nobody moves them behind a person's back. */
  #blocked(rows: Row[], refused: Row[]): Moved {
    for (const { part, name } of refused) part?.givenUp.add(ordinalsIn(part, [name])[0]!);
    const left = new Set(refused);
    return {
      outcome: "blocked",
      reason: budgetReason(refused),
      changed: rows.some((row) => row.inGroup && row.enrolled && !left.has(row)),
      pods: this.#podProgress(rows),
    };
  }

  #stopped(): Moved {
    return {
      outcome: "failed",
      reason: "Stopped before the group was done",
      changed: this.#changed(),
      pods: this.#podProgress(this.#rows()),
    };
  }

  /** Once a pod of the group is enrolled, it may have been changed: by this attempt, an earlier one, or a repair. */
  #changed(): boolean {
    return this.#parts.some(
      (part) => part.held !== undefined && [...part.ordinals].some((ordinal) => part.held!.notes.enrolled.has(ordinal)),
    );
  }

  #isAllEnrolled(): boolean {
    return this.#parts.every((part) => [...part.ordinals].every((ordinal) => part.held!.notes.enrolled.has(ordinal)));
  }

  #podProgress(rows: Row[], hasFailed: (row: Row) => boolean = () => false): PodProgress[] {
    return rows
      .filter((row) => row.inGroup)
      .map((row) => progressOf(row, hasFailed(row), this.#watch.reasonOf(row.name)));
  }

  #report(rows: Row[]): void {
    const pods = this.#podProgress(rows);
    const text = JSON.stringify(pods);
    if (text === this.#reported) return;
    this.#reported = text;
    this.#progress.report(pods);
  }

  async #refreshIfOld(olderThanMs: number): Promise<void> {
    await all([...new Set(this.#parts.map((part) => part.view))], (view) => view.refreshIfOlder(olderThanMs));
  }

  /** Runs `work`; a passing failure gives the time to wait, until the patience ends. */
  async #enduring(work: () => Promise<void>): Promise<number | undefined> {
    try {
      await work();
      this.#patience.reset();
      return undefined;
    } catch (error) {
      const pause = this.#patience.endure(error);
      this.#cluster.log.info({ err: (error as Error).message }, "waiting for the cluster");
      return pause;
    }
  }

  async #whilePatient(work: () => Promise<void>): Promise<void> {
    for (let pause = await this.#enduring(work); pause !== undefined; pause = await this.#enduring(work)) {
      if (this.#progress.signal.aborted) return;
      await sleep(pause);
    }
  }
}

/** Those that the group waits for now. */
function watched(rows: Row[]): Watched[] {
  return rows.filter((row) => row.inGroup && row.enrolled).map(toWatched);
}

function toWatched({ part, name, facts, judgement }: Row): Watched {
  return {
    name,
    facts,
    judgement,
    namespace: part?.desired.placement.namespace ?? "",
    set: part?.held?.set.metadata.uid,
    refusal: part?.hands.refusals.get(name),
  };
}
