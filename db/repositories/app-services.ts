import { and, eq, sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { Refusal } from "../../domain/catalogue/refusal.ts";
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
import { groupedRows, shareRows, type Asked } from "./grouped.ts";
import { describe } from "./named.ts";
import { ordersHolding, readLive } from "./releases.ts";
import { NAMED_DEPENDANTS, present, stamps } from "./rows.ts";

const NOUN = "app service";

const rows = groupedRows({
  table: appServices,
  noun: NOUN,
  show: (row): AppService => {
    const { name, application, namespace, kind } = row;
    return { name, application, namespace, kind, ...present({ description: row.description }), ...stamps(row) };
  },
  values: (body: AppServiceBody) => ({
    application: body.application,
    namespace: body.namespace,
    kind: body.kind ?? ("StatefulSet" as const),
    description: body.description ?? null,
  }),
  initial: async (asked) => ({ lastRevision: await lastRevisionBefore(asked) }),
  references: async ({ tx, group }, { application }) => {
    if ((await shareRows(tx, applications, group, [application])).has(application)) return [];
    const message = `names no application of workspace group "${group}"; create it first`;
    return [{ field: "/application", message }];
  },
  check: async (_, row, columns) => {
    const identity = (["application", "namespace", "kind"] as const).filter((field) => columns.includes(field));
    if (identity.length === 0) return undefined;
    return {
      kind: "conflict",
      why:
        `${identity.map((field) => `${field} (now "${row[field]}")`).join(" and ")} of ${describe(NOUN, row.name)} ` +
        "cannot change after its creation; create an app service of another name, or delete this one first",
    };
  },
  dependants: ({ tx, group, name }) => ordersHolding(tx, group, name, NAMED_DEPENDANTS),
  checkRemoval: podsMayRun,
  dismantle,
});

export const getAppService = rows.get;
export const listAppServices = rows.list;
/** Only the description can change: application, namespace and kind are what the service is. */
export const putAppService = rows.put;
/**
 * Deletes a service with its draft and its revisions. Refused while an order that has not ended names it or one holds its
 * lock, and while pods of it may run. The records of orders stay; their numbers of revisions are not given again.
 */
export const deleteAppService = rows.remove;

/**
 * Holds the row of a service until the transaction ends; undefined when there is none. Whoever needs locks on a service
 * and on what belongs to it takes this one first, so that nobody waits for anybody in a circle.
 */
export const holdAppService = rows.hold;

/** Holds those of the services that there are, so that neither they nor their revisions can be deleted; answers their names. */
export function shareAppServices(tx: Tx, group: string, names: readonly string[]): Promise<ReadonlySet<string>> {
  return shareRows(tx, appServices, group, names);
}

/** Deletes a service with its draft and its revisions, and remembers which numbers those had. */
async function dismantle({ tx, group, name }: Asked): Promise<void> {
  const belongs = (table: { workspaceGroup: AnyPgColumn; service: AnyPgColumn }) =>
    and(eq(table.workspaceGroup, group), eq(table.service, name));
  await tx.delete(orderRevisions).where(belongs(orderRevisions));
  await tx.delete(revisionDrafts).where(belongs(revisionDrafts));
  await tx.delete(revisions).where(belongs(revisions));
  const [gone] = await tx
    .delete(appServices)
    .where(and(eq(appServices.workspaceGroup, group), eq(appServices.name, name)))
    .returning();
  const { lastRevision = 0 } = gone ?? {};
  if (lastRevision === 0) return;
  await tx
    .insert(deletedAppServices)
    .values({ workspaceGroup: group, name, lastRevision })
    .onConflictDoUpdate({
      target: [deletedAppServices.workspaceGroup, deletedAppServices.name],
      set: { lastRevision, deletedAt: sql`now()` },
    });
}

/** Refuses what would leave pods behind that nobody looks after. */
async function podsMayRun({ tx, group, name }: Asked): Promise<Refusal | undefined> {
  const live = await readLive(tx, group, name);
  const remedy =
    `Release a revision without cells first (POST /api/v1/workspace-groups/${group}/app-services/${name}/actions/undeploy ` +
    "makes both), which takes it away, and then delete it";
  switch (live.kind) {
    case "nothing":
      return undefined;
    case "unsettled":
      return { kind: "conflict", why: `pods of ${describe(NOUN, name)} may run: ${unsettledBy(live)}. ${remedy}` };
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
      const why = `${describe(NOUN, name)} runs: revision ${live.number}, by release order ${live.order}, with ${where}. ${remedy}`;
      return { kind: "conflict", why };
    }
  }
}

/** Highest revision number of a deleted service of this name, 0 when there was none. */
async function lastRevisionBefore({ tx, group, name }: Asked): Promise<number> {
  const [row] = await tx
    .select({ lastRevision: deletedAppServices.lastRevision })
    .from(deletedAppServices)
    .where(and(eq(deletedAppServices.workspaceGroup, group), eq(deletedAppServices.name, name)));
  return row?.lastRevision ?? 0;
}
