import { and, asc, between, desc, eq, gte, inArray, lt, sql } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { auditRecords } from "../schema/access.ts";
import { page, present, type Page, type PageRequest } from "./rows.ts";

export interface NewAuditRecord {
  /** Subject of the token; left out when nobody could be identified. */
  readonly actor?: string | undefined;
  readonly method: string;
  /** Path of the call, without its query. */
  readonly resource: string;
  /** The group that the call concerns, where that is known. */
  readonly workspaceGroup?: string | undefined;
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
  readonly method?: string | undefined;
  readonly workspaceGroup?: string | undefined;
  readonly requestId?: string | undefined;
  /** Least and greatest status of the answer. */
  readonly status?: readonly [number, number] | undefined;
  /** Type of the problem with which calls were refused. */
  readonly problem?: string | undefined;
  /** From this time on. */
  readonly from?: Date | undefined;
  /** Before this time. */
  readonly to?: Date | undefined;
}

export async function recordAudit(tx: Tx, record: NewAuditRecord): Promise<void> {
  await tx.insert(auditRecords).values(record);
}

/**
 * Deletes the oldest records from before a time, at most `limit` of them.
 * @returns how many are gone; fewer than the limit when none is left
 */
export async function pruneAuditRecords(tx: Tx, before: Date, limit: number): Promise<number> {
  const old = tx
    .select({ id: auditRecords.id })
    .from(auditRecords)
    .where(lt(auditRecords.at, before))
    .orderBy(asc(auditRecords.at))
    .limit(limit);
  const { rowCount } = await tx.delete(auditRecords).where(inArray(auditRecords.id, old));
  return rowCount ?? 0;
}

/**
 * Newest first; the position is a record's id.
 * @param visible the groups whose records may be shown; records that belong to none are for who may see all.
 */
export async function listAuditRecords(
  tx: Tx,
  visible: "all" | readonly string[],
  filter: AuditFilter,
  request: PageRequest<number>,
): Promise<Page<StoredAuditRecord>> {
  const rows = await tx
    .select()
    .from(auditRecords)
    .where(
      and(
        visible === "all" ? undefined : inArray(auditRecords.workspaceGroup, [...visible]),
        filter.actor === undefined ? undefined : eq(auditRecords.actor, filter.actor),
        filter.method === undefined ? undefined : eq(auditRecords.method, filter.method),
        filter.workspaceGroup === undefined ? undefined : eq(auditRecords.workspaceGroup, filter.workspaceGroup),
        filter.status === undefined ? undefined : between(auditRecords.status, ...filter.status),
        filter.problem === undefined ? undefined : eq(auditRecords.problem, filter.problem),
        filter.from === undefined ? undefined : gte(auditRecords.at, filter.from),
        filter.to === undefined ? undefined : lt(auditRecords.at, filter.to),
        filter.resource === undefined ? undefined : sql`starts_with(${auditRecords.resource}, ${filter.resource})`,
        filter.requestId === undefined ? undefined : eq(auditRecords.requestId, filter.requestId),
        request.after === undefined ? undefined : lt(auditRecords.id, request.after),
      ),
    )
    .orderBy(desc(auditRecords.id))
    .limit(request.limit + 1);
  return page(rows, request.limit, ({ actor, workspaceGroup, idempotencyKey, problem, at, ...rest }) => ({
    ...rest,
    ...present({ actor, workspaceGroup, idempotencyKey, problem }),
    at: at.toISOString(),
  }));
}
