/** What people may ask about one pod of an order, and what they are told. */

/** `tailLines`, `sinceSeconds`: the end of the log that is wanted. */
export type PodQuestion =
  | { kind: "events" }
  | { kind: "logs"; container?: string; previous: boolean; tailLines: number; sinceSeconds?: number };

/** Something that a component of the cluster noted. Times as ISO 8601. */
export type NotedEvent = {
  type: string;
  reason: string;
  message: string;
  count: number;
  firstAt?: string;
  lastAt?: string;
  /** Which component noted it. */
  source?: string;
  /** What it is about: the pod, or the workload that makes it. */
  about: "pod" | "workload";
};

export type PodAnswer =
  | { kind: "events"; exists: boolean; events: NotedEvent[] }
  /** `truncated`: the beginning was left out because of its size. */
  | { kind: "logs"; container: string; containers: string[]; text: string; truncated: boolean }
  /** There is no such pod. `since`: when something was last noted about it (ISO 8601). */
  | { kind: "gone"; since?: string }
  | { kind: "unknown-container"; containers: string[] }
  /** The container has no such log; `why` in the cluster's words, or that its node is a simulated one. */
  | { kind: "no-log"; container: string; why: string };

/** Most of a log that is handed out, bytes. */
export const LOG_BYTES = 256 * 1024;
/** Most lines of a log that may be asked for. */
export const LOG_LINES = 2000;

/** The port to whatever carries a question to the workers of the pod's cluster. */
export interface PodReports {
  /** Has the stored question answered. Resolves when the answer is stored, or with why there is none. */
  answer(
    question: { id: string; cluster: string; title: string },
    signal: AbortSignal,
  ): Promise<{ kind: "answered" } | { kind: "failed"; reason: string } | { kind: "late" }>;
}
