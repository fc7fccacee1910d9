/** What people do with orders: from an HTTP request to the workflow that owns the order or task, and back. */
import { createHash, randomUUID } from "node:crypto";
import type { FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import type { Database } from "../db/client.ts";
import { recordAudit } from "../db/repositories/audit.ts";
import { claimKey, storeAnswer, type KeyedCall, type StoredAnswer } from "../db/repositories/idempotency.ts";
import { RELEASE_LOCKS } from "../db/repositories/locks.ts";
import { lastSuccesses } from "../db/repositories/order-revisions.ts";
import { findOrder, findTask, freeLocks, hasBegun, readPipelines } from "../db/repositories/orders.ts";
import type { Order } from "../db/repositories/orders.ts";
import type { OrderEngine } from "../domain/pipeline/engine.ts";
import type { Actor, OrderVerb, Problem as Refused, TaskVerb, Verb } from "../domain/pipeline/model.ts";
import { isEnded, PIPELINE_STATES } from "../domain/pipeline/states.ts";
import { generationOf } from "../domain/pipeline/task.ts";
import type { Json } from "../domain/pipeline/task.ts";
import { RollbackOptions } from "../domain/release/order.ts";
import type { Answer } from "./mutation.ts";
import { actorOf, keyedCall, keyReused, mutate, repeatedAnswer } from "./mutation.ts";
import { readReleaseOrder } from "./order-view.ts";
import { auditRecord } from "./plugins/audit.ts";
import { invalid, Problem } from "./problem.ts";

/** How long a verb may take: a start waits for locks and a second look at the world, a pause for all apps. Milliseconds. */
export const ACT_TIMEOUT = 45_000;

export const ActionBody = Type.Optional(
  Type.Union([
    Type.Object(
      {
        reason: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 500,
            pattern: "\\S",
            description: "a text of 1 to 500 characters, not blank",
          }),
        ),
        digest: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 64,
            description: "the digest of the preview that was looked at (start)",
          }),
        ),
        /** Only for rollback: how, and what may be removed altogether. */
        ...RollbackOptions.properties,
      },
      { additionalProperties: false },
    ),
    Type.Null(),
  ]),
);
type ActionBody = ({ reason?: string; digest?: string } & RollbackOptions) | null | undefined;

export const ActionAnswer = Type.Object({
  id: Type.String({ description: "The order's id" }),
  state: Type.Enum([...PIPELINE_STATES], {
    description: "State that the action led to: of the order, or of the app that owns the task",
  }),
  digest: Type.Optional(Type.String()),
  allowedActions: Type.Array(Type.String()),
});
type ActionAnswer = Static<typeof ActionAnswer>;

type Deps = { db: Database; engine: OrderEngine };

export async function actOnOrder(
  deps: Deps,
  request: FastifyRequest,
  order: Order,
  verb: OrderVerb | typeof RELEASE_LOCKS,
  body: ActionBody,
): Promise<Answer> {
  if (verb === RELEASE_LOCKS) return releaseLocks(deps, request, order, body?.reason);
  if (body?.digest !== undefined && verb !== "start") {
    throw invalid([{ field: "/digest", message: `belongs to start only, not to ${verb}` }]);
  }
  return perform(deps, request, order, order.workflowId, verb, async ({ id, actor, again }) => {
    const options = await rollbackOptions(deps, order, verb, body, { again });
    return {
      id,
      actor,
      verb,
      ...(body?.reason !== undefined && { reason: body.reason }),
      ...(body?.digest !== undefined && { digest: body.digest }),
      ...(options && { options }),
    };
  });
}

/** Verbs for one app service of an order: some are for the order's task, one for the last task of the app's way back. */
export const APP_VERBS = ["retry", "cancel", "rollback", "confirm-rollback", "cancel-rollback"] as const;
type AppVerb = (typeof APP_VERBS)[number];

/**
 * How a rollback is to be done. Second confirmation: what was never released successfully is removed by it, and must be
 * named.
 */
async function rollbackOptions(
  { db }: Pick<Deps, "db">,
  order: Order,
  verb: string,
  body: ActionBody,
  { again = false, service }: { again?: boolean | undefined; service?: string },
): Promise<{ [key: string]: Json } | undefined> {
  const { grouping, remove } = body ?? {};
  if (verb !== "rollback") {
    const odd = grouping === undefined ? remove && "/remove" : "/grouping";
    if (odd) throw invalid([{ field: odd, message: `belongs to rollback only, not to ${verb}` }]);
    return undefined;
  }
  // Of an order that has ended nothing goes back any more: to be told what to name would mislead.
  const begun = (isEnded(order.state) ? [] : await readPipelines(db, order.id))
    .filter(hasBegun)
    .map((row) => row.subject ?? "")
    .filter((subject) => service === undefined || subject === service);
  const successes = await lastSuccesses(db, order, begun);
  const gone = begun.filter((subject) => !successes.has(subject)).toSorted();
  const unnamed = gone.filter((subject) => !(remove ?? []).includes(subject));
  // Who asks again was let through the first time.
  if (unnamed.length > 0 && !again) {
    throw invalid([
      {
        field: "/remove",
        message: `must name ${unnamed.join(", ")}: no release of ${unnamed.length === 1 ? "it" : "them"} has ever succeeded, so rolling back removes all pods and workloads. To confirm that, send "remove": ${JSON.stringify(gone)}`,
      },
    ]);
  }
  return { ...(grouping && { grouping: { ...grouping } }), ...(remove && { remove }) };
}

export async function actOnApp(
  deps: Deps,
  request: FastifyRequest,
  order: Order,
  service: string,
  verb: AppVerb,
  body: ActionBody,
): Promise<Answer> {
  if (verb !== "confirm-rollback") {
    return actOnTask(deps, request, order, `${order.generation}.${service}`, verb, body);
  }
  const row = (await readPipelines(deps.db, order.id)).find((one) => one.subject === service);
  const task = row?.generation == null ? undefined : `${row.generation}.${service}.rolled-back`;
  if (task === undefined || !(await findTask(deps.db, order.id, task))) {
    throw new Problem(
      "verb-not-allowed",
      `confirm-rollback is not possible: ${service} is not being rolled back by itself. Where the whole order is rolled back, confirm that of the order.`,
      { members: { state: row?.state ?? order.state, allowedActions: order.allowedActions } },
    );
  }
  return actOnTask(deps, request, order, task, "confirm", body);
}

export async function actOnTask(
  deps: Deps,
  request: FastifyRequest,
  order: Order,
  taskId: string,
  verb: TaskVerb,
  body: ActionBody,
): Promise<Answer> {
  if (body?.digest !== undefined) throw invalid([{ field: "/digest", message: "belongs to start only" }]);
  const task = await findTask(deps.db, order.id, taskId);
  const generation = task?.generation ?? generationOf(taskId);
  if (generation !== undefined && generation < order.generation) {
    throw new Problem(
      "stale-task",
      `Task ${taskId} belongs to plan ${generation}; the order is at plan ${order.generation}. Read the order again and use its task ids.`,
      { members: { state: order.state, allowedActions: order.allowedActions } },
    );
  }
  if (!task) throw new Problem("not-found", `Order ${order.id} has no task ${taskId}; read the order for its tasks.`);
  return perform(deps, request, order, task.stream, verb, async ({ id, actor, again }) => {
    const options = await rollbackOptions(deps, order, verb, body, { again, service: task.subject ?? "" });
    return {
      id,
      actor,
      verb,
      task: task.id,
      ...(body?.reason !== undefined && { reason: body.reason }),
      ...(options && { options }),
    };
  });
}

function refuseEnded(order: Order, verb: string): void {
  if (!isEnded(order.state)) return;
  const allowed = order.allowedActions.length > 0 ? order.allowedActions.join(", ") : "nothing; make a new order";
  throw new Problem(
    "verb-not-allowed",
    `${verb} is not possible: the order has ended ${order.state}. Allowed now: ${allowed}.`,
    {
      members: { state: order.state, allowedActions: order.allowedActions },
    },
  );
}

type Asker = {
  /** Of the verb: the same key of the same caller on the same path is the same verb. */
  id: string;
  actor: Actor;
  /** Only with an Idempotency-Key. */
  call?: KeyedCall;
  /** The verb has been asked for before under this key. */
  again?: boolean;
  /** What was answered then. */
  answer?: StoredAnswer;
};

/** Who asks, and under which id. Claims the key. */
async function identify(deps: Deps, request: FastifyRequest): Promise<Asker> {
  const actor = actorOf(request);
  const call = keyedCall(request);
  if (!call) return { id: randomUUID(), actor };
  const claim = await deps.db.transaction((tx) => claimKey(tx, call));
  if (claim.kind === "misused") throw keyReused();
  const id = createHash("sha256")
    .update(JSON.stringify([call.subject, call.route, call.key]))
    .digest("hex")
    .slice(0, 32);
  return {
    id,
    actor,
    call,
    again: claim.kind !== "first",
    ...(claim.kind === "repeated" && { answer: claim.answer }),
  };
}

const STATUS: Partial<Record<Refused, ConstructorParameters<typeof Problem>[0]>> = {
  "verb-not-allowed": "verb-not-allowed",
  "unknown-task": "not-found",
  "stale-task": "stale-task",
  "digest-mismatch": "digest-mismatch",
  locked: "locked",
  "initialisation-failed": "initialisation-failed",
  "already-changed": "already-changed",
  "undo-failed": "undo-failed",
  "not-covered": "verb-not-allowed",
  "needed-by-others": "needed-by-others",
  "key-reused": "idempotency-key-reused",
};

async function perform(
  deps: Deps,
  request: FastifyRequest,
  order: Order,
  workflowId: string,
  name: string,
  verbOf: (asker: Asker) => Promise<Verb>,
): Promise<Answer> {
  const asker = await identify(deps, request);
  if (asker.answer) return repeatedAnswer(asker.answer);
  // What was asked for before may have been carried out and only its answer lost: the workflow knows, even an ended one.
  if (asker.again !== true) refuseEnded(order, name);
  const verb = await verbOf(asker);
  const result = await deps.engine.act(workflowId, verb, ACT_TIMEOUT);
  switch (result.kind) {
    case "answered": {
      const { answer } = result;
      if (answer.ok) {
        const body: ActionAnswer = {
          id: order.id,
          state: answer.state,
          ...(answer.digest !== undefined && { digest: answer.digest }),
          allowedActions: answer.allowedActions,
        };
        const { call } = asker;
        await deps.db.transaction(async (tx) => {
          if (call) await storeAnswer(tx, call, { status: 200, body });
          await recordAudit(tx, auditRecord(request, 200));
        });
        request.audited = true;
        return { status: 200, body };
      }
      throw await refusalProblem(deps, order, answer);
    }
    case "refused":
      throw await refusalProblem(deps, order, result.refusal);
    case "not-running": {
      const now = (await findOrder(deps.db, order.id)) ?? order;
      refuseEnded(now, verb.verb);
      throw new Problem(
        "verb-not-allowed",
        verb.task === undefined
          ? `${verb.verb} is not possible: the order's workflow does not run (state ${now.state}). If this lasts, the order will be marked ABANDONED; read it again in a moment.`
          : `${verb.verb} is not possible for task ${verb.task}: its app has not begun, or has ended.`,
        { members: { state: now.state, allowedActions: now.allowedActions } },
      );
    }
    case "late":
      throw new Problem(
        "unavailable",
        "The order has not answered in time. It may still do what you asked: read it, and repeat the request with the same Idempotency-Key if need be.",
        { headers: { "Retry-After": "2" } },
      );
  }
}

/** What the caller is told of a verb that the order has refused. */
export async function refusalProblem(
  deps: Deps,
  order: Order,
  refusal: { problem: Refused; detail: string; state?: string; allowedActions?: string[]; digest?: string },
): Promise<Problem> {
  if (refusal.problem === "reason-required")
    return invalid([{ field: "/reason", message: `is missing: ${refusal.detail}` }]);
  if (refusal.problem === "digest-required")
    return invalid([{ field: "/digest", message: `is missing: ${refusal.detail}` }]);
  const members: Record<string, unknown> = { state: refusal.state, allowedActions: refusal.allowedActions };
  if (refusal.problem === "digest-mismatch") {
    // The caller needs the new preview to decide anew.
    const now = (await findOrder(deps.db, order.id)) ?? order;
    members["digest"] = now.digest;
    members["order"] = await readReleaseOrder(deps.db, now);
  }
  return new Problem(STATUS[refusal.problem] ?? "conflict", refusal.detail, { members });
}

/**
 * Frees what an abandoned order still holds. The order's reason says whether all of it could be made safe; should some
 * of it not, the next order fences it before it changes anything.
 */
async function releaseLocks(
  deps: Deps,
  request: FastifyRequest,
  order: Order,
  reason: string | undefined,
): Promise<Answer> {
  if (order.state !== "ABANDONED" && order.state !== "SUPERSEDED") {
    throw new Problem(
      "verb-not-allowed",
      `${RELEASE_LOCKS} is only for orders that have ended ABANDONED or SUPERSEDED and hold locks; this one is ${order.state}.`,
      {
        members: { state: order.state, allowedActions: order.allowedActions },
      },
    );
  }
  if (reason === undefined)
    throw invalid([{ field: "/reason", message: `is missing: say why the locks of this order may be freed` }]);
  return mutate(deps.db, request, async (tx) => {
    await freeLocks(tx, order, { at: Date.now(), actor: actorOf(request), reason });
    const body: ActionAnswer = { id: order.id, state: order.state, allowedActions: [] };
    return { status: 200, body };
  });
}
