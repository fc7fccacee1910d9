import { and, asc, eq, gt, inArray, sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { DeleteOutcome, ExpectedVersion, PutOutcome, Refusal } from "../../domain/catalogue/refusal.ts";
import type { AppService, AppServiceBody } from "../../domain/catalogue/types.ts";
import { unsettledBy } from "../../domain/revision/live.ts";
import type { Tx } from "../client.ts";
import {
  applications,
  appServices,
  deletedAppServices,
  orderRevisions,
  revisionDrafts,
  revisions,
} from "../schema/index.ts";
import { requireGroup } from "./groups.ts";
import { putRow, removeRow } from "./put.ts";
import { ordersHolding, readLive } from "./releases.ts";
import { bump, NAMED_DEPENDANTS, page, present, stamps, type Page, type PageRequest } from "./rows.ts";

type Row = typeof appServices.$inferSelect;

function show(row: Row): AppService {
  const { name, application, namespace, kind } = row;
  return { name, application, namespace, kind, ...present({ description: row.description }), ...stamps(row) };
}

function describe(name: string): string {
  return `app service "${name}"`;
}

function at(group: string, name: string) {
  return and(eq(appServices.workspaceGroup, group), eq(appServices.name, name));
}

export async function getAppService(tx: Tx, group: string, name: string): Promise<AppService | undefined> {
  const [row] = await tx.select().from(appServices).where(at(group, name));
  return row === undefined ? undefined : show(row);
}

export async function listAppServices(tx: Tx, group: string, request: PageRequest<string>): Promise<Page<AppService>> {
  const rows = await tx
    .select()
    .from(appServices)
    .where(
      and(
        eq(appServices.workspaceGroup, group),
        request.after === undefined ? undefined : gt(appServices.name, request.after),
      ),
    )
    .orderBy(asc(appServices.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
}

/** Only the description can change: application, namespace and kind are what the service is. */
export async function putAppService(
  tx: Tx,
  group: string,
  name: string,
  body: AppServiceBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<AppService>> {
  const refusal = await requireGroup(tx, group);
  if (refusal !== undefined) return refusal;
  const [application] = await tx
    .select({ name: applications.name })
    .from(applications)
    .where(and(eq(applications.workspaceGroup, group), eq(applications.name, body.application)))
    .for("key share");
  if (application === undefined) {
    const message = `names no application of workspace group "${group}"; create it first`;
    return { kind: "invalid", faults: [{ field: "/application", message }] };
  }
  const identity = {
    application: body.application,
    namespace: body.namespace,
    kind: body.kind ?? ("StatefulSet" as const),
  };
  const values = { ...identity, description: body.description ?? null };
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    insert: async () =>
      (
        await tx
          .insert(appServices)
          .values({ workspaceGroup: group, name, ...values, lastRevision: await lastRevisionBefore(tx, group, name) })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) => changedIdentity(row, identity).length === 0 && row.description === values.description,
    check: (row) => {
      const changes = changedIdentity(row, identity);
      if (changes.length === 0) return undefined;
      return {
        kind: "conflict",
        why:
          `${changes.join(" and ")} of ${describe(name)} cannot change after its creation; ` +
          "create an app service of another name, or delete this one first",
      };
    },
    update: async () =>
      (
        await tx
          .update(appServices)
          .set({ description: values.description, ...bump(appServices.version) })
          .where(at(group, name))
          .returning()
      )[0],
    show,
  });
}

/** How a transaction holds the row of an app service. */
type Hold =
  /** It comes to name the service or one of its revisions: neither can be deleted before it ends. */
  | "key share"
  /** It changes the service or its draft as the only one. */
  | "no key update"
  /** It deletes the service, or something of it. */
  | "update";

/**
 * Holds the row of a service until the transaction ends; undefined when there is none. Whoever needs locks on a service
 * and on what belongs to it takes this one first, so that nobody waits for anybody in a circle.
 */
export async function holdAppService(tx: Tx, group: string, name: string, hold: Hold): Promise<AppService | undefined> {
  const [row] = await tx.select().from(appServices).where(at(group, name)).for(hold);
  return row === undefined ? undefined : show(row);
}

/** Holds those of the services that there are, so that neither they nor their revisions can be deleted; answers their names. */
export async function shareAppServices(tx: Tx, group: string, names: readonly string[]): Promise<Set<string>> {
  const rows = await tx
    .select({ name: appServices.name })
    .from(appServices)
    .where(and(eq(appServices.workspaceGroup, group), inArray(appServices.name, [...names])))
    .orderBy(asc(appServices.name))
    .for("key share");
  return new Set(rows.map((row) => row.name));
}

/**
 * Deletes a service with its draft and its revisions. Refused while an order that has not ended names it or one holds its
 * lock, and while pods of it may run. The records of orders stay; their numbers of revisions are not given again.
 */
export async function deleteAppService(
  tx: Tx,
  group: string,
  name: string,
  expected?: ExpectedVersion,
): Promise<DeleteOutcome> {
  const belongs = (table: { workspaceGroup: AnyPgColumn; service: AnyPgColumn }) =>
    and(eq(table.workspaceGroup, group), eq(table.service, name));
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    dependants: () => ordersHolding(tx, group, name, NAMED_DEPENDANTS),
    check: () => podsMayRun(tx, group, name),
    remove: async (inner) => {
      await inner.delete(orderRevisions).where(belongs(orderRevisions));
      await inner.delete(revisionDrafts).where(belongs(revisionDrafts));
      await inner.delete(revisions).where(belongs(revisions));
      const [gone] = await inner.delete(appServices).where(at(group, name)).returning();
      const { lastRevision = 0 } = gone ?? {};
      if (lastRevision === 0) return;
      await inner
        .insert(deletedAppServices)
        .values({ workspaceGroup: group, name, lastRevision })
        .onConflictDoUpdate({
          target: [deletedAppServices.workspaceGroup, deletedAppServices.name],
          set: { lastRevision, deletedAt: sql`now()` },
        });
    },
  });
}

/** Refuses what would leave pods behind that nobody looks after. */
async function podsMayRun(tx: Tx, group: string, name: string): Promise<Refusal | undefined> {
  const live = await readLive(tx, group, name);
  const remedy =
    `Release a revision without cells first (POST /api/v1/workspace-groups/${group}/app-services/${name}/actions/undeploy ` +
    "makes both), which takes it away, and then delete it";
  switch (live.kind) {
    case "nothing":
      return undefined;
    case "unsettled":
      return { kind: "conflict", why: `pods of ${describe(name)} may run: ${unsettledBy(live)}. ${remedy}` };
    case "revision": {
      const [row] = await tx
        .select({ spec: revisions.spec })
        .from(revisions)
        .where(
          and(eq(revisions.workspaceGroup, group), eq(revisions.service, name), eq(revisions.number, live.number)),
        );
      const runs = Object.entries(row?.spec.cells ?? {});
      if (runs.length === 0) return undefined;
      const where = runs.map(([cell, { replicas }]) => `${replicas} pods in ${cell}`).join(", ");
      const why = `${describe(name)} runs: revision ${live.number}, by release order ${live.order}, with ${where}. ${remedy}`;
      return { kind: "conflict", why };
    }
  }
}

/** Highest revision number of a deleted service of this name, 0 when there was none. */
async function lastRevisionBefore(tx: Tx, group: string, name: string): Promise<number> {
  const [row] = await tx
    .select({ lastRevision: deletedAppServices.lastRevision })
    .from(deletedAppServices)
    .where(and(eq(deletedAppServices.workspaceGroup, group), eq(deletedAppServices.name, name)));
  return row?.lastRevision ?? 0;
}

function changedIdentity(row: Row, identity: Pick<Row, "application" | "namespace" | "kind">): string[] {
  const changes: string[] = [];
  for (const field of ["application", "namespace", "kind"] as const) {
    if (row[field] !== identity[field]) changes.push(`${field} (now "${row[field]}")`);
  }
  return changes;
}

async function findLocked(tx: Tx, group: string, name: string): Promise<Row | undefined> {
  return (await tx.select().from(appServices).where(at(group, name)).for("update"))[0];
}
