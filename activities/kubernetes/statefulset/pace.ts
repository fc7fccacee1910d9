/** How a group gets on, and how long it is still waited for. */
import { milestonesOf, type Row } from "./rows.ts";

export class Pace {
  /** Each pod's milestones count once per attempt, so that a pod that comes and goes cannot put the deadline off for ever. */
  readonly #milestones = new Set<string>();
  readonly #deadlineSeconds: number;
  #progressedAt: number;

  /** `startedAt`: the person's click, ms since epoch. */
  constructor(startedAt: number, deadlineSeconds: number) {
    this.#progressedAt = startedAt;
    this.#deadlineSeconds = deadlineSeconds;
  }

  /** When the last step forward was taken, ms since epoch. */
  get progressedAt(): number {
    return this.#progressedAt;
  }

  /** What an earlier attempt did counts as progress from when it was done. */
  seed(rows: readonly Row[]): void {
    for (const { inGroup, facts, judgement } of rows) {
      if (!inGroup || facts === undefined) continue;
      const times = [facts.movedAt, facts.createdAt, judgement.kind === "updated" ? judgement.since : undefined];
      for (const time of times)
        if (time !== undefined && time <= Date.now()) this.#progressedAt = Math.max(this.#progressedAt, time);
    }
    for (const row of rows) for (const milestone of milestonesOf(row)) this.#milestones.add(milestone);
  }

  note(rows: readonly Row[], now: number): void {
    for (const milestone of rows.flatMap(milestonesOf)) {
      if (this.#milestones.has(milestone)) continue;
      this.#milestones.add(milestone);
      this.#progressedAt = now;
    }
  }

  /** Ms since epoch. Pods that leave take what time they were given. */
  deadline(rows: readonly Row[]): number {
    const graceEnds = rows.filter((row) => row.inGroup).map((row) => row.facts?.deletionDue ?? 0);
    return Math.max(this.#progressedAt, ...graceEnds) + this.#deadlineSeconds * 1000;
  }
}
