import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Database, Tx } from "../db/client.ts";
import { recordAudit } from "../db/repositories/audit.ts";
import { claimKey, storeAnswer, type KeyedCall, type StoredAnswer } from "../db/repositories/idempotency.ts";
import type { DeleteOutcome, PutOutcome } from "../domain/catalogue/refusal.ts";
import type { Actor } from "../domain/pipeline/model.ts";
import { accessOf } from "./access/authorise.ts";
import type { Identity } from "./identity.ts";
import { auditRecord } from "./plugins/audit.ts";
import { Problem, refused } from "./problem.ts";
import { entityTag, pathOf } from "./request.ts";

/** A successful answer to a request that changes something. */
export interface Answer {
  readonly status: 200 | 201 | 202 | 204;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Does the work of a mutating request in one transaction, together with its audit record and, for a POST with an
 * `Idempotency-Key`, its answer: all three are kept, or none. A repeated key gets the first answer without the work.
 */
export async function mutate(
  db: Database,
  request: FastifyRequest,
  work: (tx: Tx) => Promise<Answer>,
): Promise<Answer> {
  const call = request.method === "POST" ? keyedCall(request) : undefined;
  const answer = await db.transaction(async (tx) => {
    const first = call === undefined ? undefined : await claimOrRepeat(tx, call);
    const given = first ?? (await work(tx));
    if (first === undefined && call !== undefined) {
      await storeAnswer(tx, call, { status: given.status, body: given.body });
    }
    await recordAudit(tx, auditRecord(request, given.status));
    return given;
  });
  request.audited = true;
  return answer;
}

async function claimOrRepeat(tx: Tx, call: KeyedCall): Promise<Answer | undefined> {
  const claim = await claimKey(tx, call);
  switch (claim.kind) {
    case "first":
      return undefined;
    case "misused":
      throw keyReused();
    case "repeated":
      return repeatedAnswer(claim.answer);
    case "unanswered":
      throw new Error("A key that is claimed together with its work has no answer");
  }
}

/** The first answer to a key, given again. */
export function repeatedAnswer(stored: StoredAnswer): Answer {
  return {
    status: stored.status as Answer["status"],
    body: stored.body,
    headers: { "Idempotency-Replayed": "true" },
  };
}

/** The answer to a key that comes again with another body. */
export function keyReused(): Problem {
  return new Problem(
    "idempotency-key-reused",
    "This Idempotency-Key was sent before with another body; use a new key for a new request.",
    { errors: [{ field: "header:Idempotency-Key", message: "was used with another body" }] },
  );
}

/**
 * The key of a request, if it has one.
 * @throws Problem when the header is not 1 to 255 printable ASCII characters.
 */
export function keyedCall(request: FastifyRequest): KeyedCall | undefined {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || !/^[ -~]{1,255}$/.test(key)) {
    const message = "must be 1 to 255 printable ASCII characters";
    throw new Problem("malformed-request", `The header Idempotency-Key ${message}.`, {
      errors: [{ field: "header:Idempotency-Key", message }],
    });
  }
  return {
    subject: caller(request).subject,
    route: `${request.method} ${pathOf(request)}`,
    key,
    bodyHash: createHash("sha256").update(canonical(request.body)).digest("hex"),
  };
}

/** Who makes a request, and the role by which it was let in: for the records of orders. */
export function actorOf(request: FastifyRequest): Actor {
  return { subject: caller(request).subject, role: accessOf(request).role };
}

/** Who makes a request on a route that is not public. */
export function caller(request: FastifyRequest): Identity {
  if (request.identity === null) throw new Error("This route is public and has no caller");
  return request.identity;
}

/** JSON with sorted keys: the same content gives the same text. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : inner,
    ) ?? ""
  );
}

export function send(reply: FastifyReply, answer: Answer): FastifyReply {
  return reply
    .code(answer.status)
    .headers(answer.headers ?? {})
    .send(answer.body);
}

/** @throws Problem for a refusal */
export function answerPut<T extends { readonly version: number }>(outcome: PutOutcome<T>): Answer {
  switch (outcome.kind) {
    case "created":
    case "replaced":
    case "unchanged":
      return {
        status: outcome.kind === "created" ? 201 : 200,
        body: outcome.value,
        headers: { ETag: entityTag(outcome.value.version) },
      };
    default:
      throw refused(outcome);
  }
}

/** @throws Problem for a refusal */
export function answerDelete(outcome: DeleteOutcome): Answer {
  if (outcome.kind !== "deleted") throw refused(outcome);
  return { status: 204 };
}
