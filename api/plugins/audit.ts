import type { FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import type { DatabaseHandle } from "../../db/client.ts";
import { recordAudit, type NewAuditRecord } from "../../db/repositories/audit.ts";
import { Problem } from "../problem.ts";
import { pathOf } from "../request.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Whether the audit record of this request has been stored, in the transaction of what it did. */
    audited: boolean;
  }
}

const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** The audit record of a request that is answered with `status`. */
export function auditRecord(request: FastifyRequest, status: number): NewAuditRecord {
  const key = request.headers["idempotency-key"];
  return {
    actor: request.identity?.subject,
    method: request.method,
    resource: storable(pathOf(request)),
    workspaceGroup: request.concernsGroup === null ? undefined : storable(request.concernsGroup).slice(0, 64),
    sourceIp: request.ip,
    requestId: request.id,
    // Only what the API accepts as a key; anything else was refused.
    idempotencyKey: typeof key === "string" && /^[ -~]{1,255}$/.test(key) ? key : undefined,
    status,
    problem: request.problem?.type,
  };
}

/**
 * Sees to it that every mutating call leaves a record, every call that somebody was denied, also a reading one, and reading
 * calls of routes that want it. Changes of the catalogue store theirs in their own transaction (`mutation.ts`); whatever has none when its answer is sent, above all refusals, gets it here.
 */
export const audit = fp<{ readonly database: DatabaseHandle }>(
  (app, { database }, done) => {
    app.decorateRequest("audited", false);
    app.addHook("onSend", async (request, reply, payload) => {
      const { audited = false } = request.routeOptions.config;
      const due = !READING.has(request.method) || request.denied || audited;
      if (!due || request.is404 || request.audited) return payload;
      request.audited = true;
      try {
        await recordAudit(database.db, auditRecord(request, reply.statusCode));
        return payload;
      } catch (error) {
        request.log.error({ err: error }, "the audit record of a request could not be stored");
        // A refusal changed nothing and stays what it is. A success that left no record must not look like one.
        if (reply.statusCode >= 400) return payload;
        const problem = new Problem(
          "unaudited",
          "The request was carried out, but its audit record could not be stored. Read the present state before repeating.",
        );
        reply.code(problem.status).type("application/problem+json").removeHeader("content-length");
        return JSON.stringify(problem.document(pathOf(request), request.id));
      }
    });
    done();
  },
  { name: "audit", fastify: "5.x", dependencies: ["auth"] },
);

function storable(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}
