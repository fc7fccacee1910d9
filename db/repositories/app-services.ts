import { and, asc, eq, gt } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { AppService, AppServiceBody } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { applications, appServices, revisions } from "../schema/catalogue.ts";
import { requireGroup } from "./groups.ts";
import { putRow, removeRow } from "./put.ts";
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
          .values({ workspaceGroup: group, name, ...values })
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

/** Refused while it has revisions; whatever comes to refer to a service or a revision by foreign key refuses as well. */
export function deleteAppService(
  tx: Tx,
  group: string,
  name: string,
  expected?: ExpectedVersion,
): Promise<DeleteOutcome> {
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    dependants: async () => {
      const rows = await tx
        .select({ number: revisions.number })
        .from(revisions)
        .where(and(eq(revisions.workspaceGroup, group), eq(revisions.service, name)))
        .orderBy(asc(revisions.number))
        .limit(NAMED_DEPENDANTS);
      return rows.map((row) => `its revision ${row.number}`);
    },
    remove: (inner) => inner.delete(appServices).where(at(group, name)),
  });
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
