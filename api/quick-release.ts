/** Quick actions: a small edit of an app service becomes a revision and a release order of it, by one call. */
import type { FastifyBaseLogger, FastifyRequest } from "fastify";
import type { Database, Tx } from "../db/client.ts";
import { holdAppService } from "../db/repositories/app-services.ts";
import { readLive } from "../db/repositories/releases.ts";
import { createRevision, getNewestRevision, getRevision } from "../db/repositories/revisions.ts";
import type { Revision, RevisionSpec } from "../domain/catalogue/revision.ts";
import { revisionFaults, type Checked } from "../domain/catalogue/validate.ts";
import type { OrderEngine } from "../domain/pipeline/engine.ts";
import { specOf } from "../domain/revision/document.ts";
import type { Live } from "../domain/revision/live.ts";
import { actorOf, caller, mutate, type Answer } from "./mutation.ts";
import { ACT_TIMEOUT, refusalProblem } from "./order-actions.ts";
import { existingOrder, insertReleaseOrder, previewed } from "./order-creation.ts";
import { readReleaseOrder } from "./order-view.ts";
import { invalid, Problem, refused } from "./problem.ts";

type Deps = { readonly db: Database; readonly engine: OrderEngine; readonly log: FastifyBaseLogger };

/** What every quick action can be told. */
export type QuickOptions = {
  /** Number of the revision that is edited; the one that runs unless told, or else the newest. */
  readonly baseRevision?: number;
  readonly title?: string;
  /** Starts the order as soon as its preview is there, without anybody having looked at it. */
  readonly start?: boolean;
};

export type QuickAction = {
  readonly group: string;
  readonly service: string;
  readonly options: QuickOptions;
  /** What is done, for the order's title, e.g. `cart: main → shop/cart:1.2.0`. */
  readonly title: string;
  /** `live`: what runs by the records. @throws Problem when the action makes no sense now */
  readonly edit: (base: RevisionSpec, live: Live) => Checked<RevisionSpec>;
  /** Field of the body that a fault of the edited revision is about; undefined when it was there before the edit. */
  readonly fieldOf?: (field: string) => string | undefined;
};

const LONGEST_TITLE = 100;
/** The same for each order: a call that is repeated starts it once. */
const START_ID = "quick-action-start";

/**
 * Revision, order, idempotency key and audit record are stored in one transaction: a repeated key makes none of them
 * twice, whenever the process died. What comes after them, preview and start, can be repeated.
 */
export async function quickRelease(deps: Deps, request: FastifyRequest, action: QuickAction): Promise<Answer> {
  const { subject } = caller(request);
  const answer = await mutate(deps.db, request, async (tx) => {
    const revision = await editRevision(tx, action, subject);
    const body = {
      workspaceGroup: action.group,
      // One that was given has been checked: it counts characters, not halves of them.
      title: action.options.title ?? action.title.slice(0, LONGEST_TITLE),
      type: "GROUPED" as const,
      apps: [{ service: action.service, revision }],
    };
    return { status: 201, body: { id: await insertReleaseOrder(tx, body, subject) } };
  });
  const { id } = answer.body as { id: string };
  let order = await previewed(deps, id);
  if (action.options.start === true) {
    await start(deps, request, id);
    order = await existingOrder(deps.db, id);
  }
  return { ...answer, body: await readReleaseOrder(deps.db, order) };
}

/** @returns the number of the new revision */
async function editRevision(tx: Tx, action: QuickAction, createdBy: string): Promise<number> {
  const { group, service } = action;
  // Whoever else makes a revision of it has to wait, so that the base is still the newest when it is edited.
  const owner = await holdAppService(tx, group, service, "no key update");
  if (owner === undefined)
    throw refused({ kind: "not-found", what: `app service "${service}" in workspace group "${group}"` });
  const live = await readLive(tx, group, service);
  const base = await baseOf(tx, action, live);
  const edited = action.edit(specOf(base), live);
  if (!edited.ok) throw invalid(edited.faults);
  for (const { field, message } of revisionFaults(service, edited.value)) {
    const own = action.fieldOf?.(field);
    if (own !== undefined) throw invalid([{ field: own, message }]);
    throw refused({
      kind: "conflict",
      why: `revision ${base.number} does not keep today's rules (${field} ${message}): make a revision that does, and release that`,
    });
  }
  const created = await createRevision(tx, { group, service, spec: edited.value, createdBy });
  if (created.kind !== "created") throw refused(created);
  return created.value.number;
}

async function baseOf(tx: Tx, { group, service, options }: QuickAction, live: Live): Promise<Revision> {
  const { baseRevision } = options;
  if (baseRevision !== undefined) {
    const found = await getRevision(tx, group, service, baseRevision);
    if (found !== undefined) return found;
    throw invalid([{ field: "/baseRevision", message: `names no revision of ${service}; list its revisions` }]);
  }
  const base =
    (live.kind === "revision" ? await getRevision(tx, group, service, live.number) : undefined) ??
    (await getNewestRevision(tx, group, service));
  if (base !== undefined) return base;
  throw refused({ kind: "conflict", why: `app service "${service}" has no revision yet: create one first` });
}

/** @throws Problem when the order has not been started; it exists, and the call can be repeated */
async function start({ db, engine }: Deps, request: FastifyRequest, id: string): Promise<void> {
  const order = await existingOrder(db, id);
  const made = `The revision and its order ${id} have been created, and the order has not been started: `;
  if (order.state === "INITIALIZING") {
    const detail = `${made}its preview is not there yet. Start it then, or repeat this request with the same Idempotency-Key.`;
    throw new Problem("unavailable", detail, { members: { orderId: id }, headers: { "Retry-After": "5" } });
  }
  // Started before, or not possible, which the order says itself.
  if (order.state !== "READY" || order.digest === null) return;
  const verb = { id: START_ID, actor: actorOf(request), verb: "start" as const, digest: order.digest };
  const result = await engine.act(order.workflowId, verb, ACT_TIMEOUT);
  switch (result.kind) {
    case "answered":
      if (!result.answer.ok) throw await notStarted(result.answer);
      return;
    case "refused": {
      // Somebody else may have been quicker.
      const now = await existingOrder(db, id);
      if (now.state !== "READY") return;
      throw await notStarted(result.refusal);
    }
    case "not-running":
    case "late":
      throw new Problem(
        "unavailable",
        `The revision and its order ${id} have been created; whether the order has been started is not known yet: read it, or repeat this request with the same Idempotency-Key.`,
        { members: { orderId: id }, headers: { "Retry-After": "2" } },
      );
  }

  async function notStarted(refusal: Parameters<typeof refusalProblem>[2]): Promise<Problem> {
    const why = await refusalProblem({ db, engine }, order, refusal);
    return new Problem(why.kind, `${made}${why.message}`, {
      ...why.options,
      members: { ...why.options.members, orderId: id },
    });
  }
}
