/**
 * The atomic-operation catalogue: everything that any kind of order can do to the world, by name. A capability is one
 * file that exports an operation; compilers name it, `invoke` turns the name into a call with all its bounds, and the
 * workers carry it out. Nothing here knows what an order is about.
 */
import { Value } from "typebox/value";
import type { TSchema } from "typebox";
import type { Bounds, Invocation, Json } from "./task.ts";

/**
 * How long an operation takes, which decides its bounds:
 * `look` reads while a person waits; `quick` one call of a store or an API; `wait` watches the world until it has changed; `script` foreign code;
 * `human` as long as people take.
 */
type LatencyClass = "look" | "quick" | "wait" | "script" | "human";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const LATENCY_BOUNDS = {
  look: { attempt: 12_000, total: 25_000, heartbeat: 10_000, attempts: 2 },
  quick: { attempt: 30_000, total: 2 * MINUTE, heartbeat: 10_000, attempts: 10 },
  wait: { attempt: 6 * HOUR, total: 24 * HOUR, heartbeat: 10_000, attempts: 0 },
  script: { attempt: HOUR, total: 2 * HOUR, heartbeat: 10_000, attempts: 1 },
  human: { attempt: 30 * 24 * HOUR, heartbeat: 60_000, attempts: 0 },
} satisfies Record<LatencyClass, Bounds & { attempts: number }>;

export type OperationSpec = {
  /** Lower camel case; also the activity type in Temporal's UI. */
  name: string;
  /** What it does, for people who look for it in the catalogue. */
  description: string;
  params: TSchema;
  latency: LatencyClass;
  /** Why doing it twice is the same as doing it once, or how a second try knows of the first. */
  idempotency: string;
  /** Name of the operation that takes it back, called with the same parameters. */
  undo?: string;
  /** Name of the operation that makes the world safe when this one is stopped half way, called with the same parameters. */
  onStop?: string;
  /** Once it has changed anything, its pipeline can no longer be cancelled. */
  commits?: boolean;
};

export type OperationCatalogue = ReadonlyMap<string, OperationSpec>;

/** How long a call waits for a worker before it fails and says that there is none. Milliseconds. */
export type QueueWait = { queueWait: number };

function invocation(
  catalogue: OperationCatalogue,
  name: string,
  params: { [key: string]: Json },
  at: { queue: string; summary: string } & QueueWait,
): { spec: OperationSpec; call: Invocation } {
  const spec = catalogue.get(name);
  if (!spec) throw new Error(`no atomic operation is named ${name}; known: ${[...catalogue.keys()].join(", ")}`);
  if (!Value.Check(spec.params, params)) {
    const [first] = Value.Errors(spec.params, params);
    throw new Error(`parameters of ${name}: ${first?.instancePath ?? ""} ${first?.message ?? "do not fit"}`);
  }
  const { attempts, ...bounds } = LATENCY_BOUNDS[spec.latency];
  return {
    spec,
    call: {
      operation: name,
      params,
      queue: at.queue,
      bounds: { ...bounds, queueWait: at.queueWait },
      attempts,
      summary: at.summary,
    },
  };
}

/**
 * The calls of one task: what it does, how it is taken back, how it is made safe when stopped.
 * @throws Error when the name is unknown or the parameters do not fit: a fault of the compiler that asked.
 */
export function invoke(
  catalogue: OperationCatalogue,
  name: string,
  params: { [key: string]: Json },
  at: { queue: string; summary: string } & QueueWait,
): { run: Invocation; undo?: Invocation; onStop?: Invocation; commits?: boolean } {
  const { spec, call } = invocation(catalogue, name, params, at);
  return {
    run: call,
    ...(spec.undo && {
      undo: invocation(catalogue, spec.undo, params, { ...at, summary: `take back: ${at.summary}` }).call,
    }),
    ...(spec.onStop && {
      onStop: invocation(catalogue, spec.onStop, params, { ...at, summary: `make safe: ${at.summary}` }).call,
    }),
    ...(spec.commits && { commits: true }),
  };
}

/** What an operation came to. Expected outcomes are values; `changed` tells whether the world is different now. */
export type OperationOutcome =
  | { outcome: "done"; summary: string; changed: boolean }
  | { outcome: "failed"; reason: string; changed: boolean }
  /** Something outside does not let it go on for now; `reason` says what, and who can lift it. Trying again may help. */
  | { outcome: "blocked"; reason: string; changed: boolean };
