/** Who takes epochs, as noted on workloads, and which of two calls is the later one. */
import { ATTEMPTS_PER_RUN, lastAttemptOfRun } from "../../../domain/pipeline/attempts.ts";
import { nonce } from "./cluster.ts";

/** Who takes an epoch, as noted on the workload. */
export type Taker = {
  role: "move" | "apply" | "freeze" | "restore" | "reconcile" | "trim" | "remove";
  /** For a person and for the order of tries; ends in `#<attempt>.<try>` if there may be several of one call. */
  who: string;
  /** The person's click, ms since epoch; orders calls. */
  startedAt: number;
};

/** As noted on the workload; unique, so that a swap of ours whose answer was lost can be recognised. */
export function formatTaker({ role, startedAt, who }: Taker): string {
  return `${role} ${startedAt} ${who} ${nonce()}`;
}

export function parseTaker(text: string): { role: string; startedAt: number; who: string } | undefined {
  const match = /^(\S+) (\d+) (.*) \S+$/.exec(text);
  return match === null ? undefined : { role: match[1]!, startedAt: Number(match[2]), who: match[3]! };
}

/** The attempt of a call that is named `…#<attempt>.<try>`; 0 when it is not. */
export function attemptOf(who: string): number {
  return Number(/#(\d+)\.\d+$/.exec(who)?.[1] ?? 0);
}

/** The last attempt of the runs before the one that this attempt belongs to; 0 for the first run. */
export function lastAttemptBefore(attempt: number): number {
  return lastAttemptOfRun(attempt) - ATTEMPTS_PER_RUN;
}

function tryOf(who: string): number {
  return Number(/#\d+\.(\d+)$/.exec(who)?.[1] ?? 0);
}

/** Whether a call of one task is a later attempt or try than another. */
export function isLater(one: string, other: string): boolean {
  return attemptOf(one) === attemptOf(other) ? tryOf(one) > tryOf(other) : attemptOf(one) > attemptOf(other);
}
