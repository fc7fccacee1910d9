import { and, desc, eq, lt, sql } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { auditRecords } from "../schema/access.ts";
import { page, present, type Page, type PageRequest } from "./rows.ts";

export interface NewAuditRecord {
  /** Subject of the token; left out when nobody could be identified. */
  readonly actor?: string | undefined;
  readonly method: string;
  /** Path of the call, without its query. */
  readonly resource: string;
  readonly sourceIp: string;
  readonly requestId: string;
  readonly idempotencyKey?: string | undefined;
  /** HTTP status of the answer. */
  readonly status: number;
  /** Type of the problem with which the call was refused. */
  readonly problem?: string | undefined;
}

export interface StoredAuditRecord extends NewAuditRecord {
  readonly id: number;
  readonly at: string;
}

export interface AuditFilter {
  readonly actor?: string | undefined;
  /** A path, or the beginning of one. */
  readonly resource?: string | undefined;
  readonly requestId?: string | undefined;
}

export async function recordAudit(tx: Tx, record: NewAuditRecord): Promise<void> {
  await tx.insert(auditRecords).values(record);
}

/** Newest first; the position is a record's id. */
export async function listAuditRecords(
  tx: Tx,
  filter: AuditFilter,
  request: PageRequest<number>,
): Promise<Page<StoredAuditRecord>> {
  const rows = await tx
    .select()
    .from(auditRecords)
    .where(
      and(
        filter.actor === undefined ? undefined : eq(auditRecords.actor, filter.actor),
        filter.resource === undefined ? undefined : sql`starts_with(${auditRecords.resource}, ${filter.resource})`,
        filter.requestId === undefined ? undefined : eq(auditRecords.requestId, filter.requestId),
        request.after === undefined ? undefined : lt(auditRecords.id, request.after),
      ),
    )
    .orderBy(desc(auditRecords.id))
    .limit(request.limit + 1);
  return page(rows, request.limit, ({ actor, idempotencyKey, problem, at, ...rest }) => ({
    ...rest,
    ...present({ actor, idempotencyKey, problem }),
    at: at.toISOString(),
  }));
}
