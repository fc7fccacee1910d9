import { and, asc, eq, gt } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { Application, ApplicationBody } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { applications, appServices } from "../schema/catalogue.ts";
import { requireGroup } from "./groups.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, NAMED_DEPENDANTS, page, present, stamps, type Page, type PageRequest } from "./rows.ts";

type Row = typeof applications.$inferSelect;

function show(row: Row): Application {
  return { name: row.name, owner: row.owner, ...present({ description: row.description }), ...stamps(row) };
}

function describe(name: string): string {
  return `application "${name}"`;
}

function at(group: string, name: string) {
  return and(eq(applications.workspaceGroup, group), eq(applications.name, name));
}

export async function getApplication(tx: Tx, group: string, name: string): Promise<Application | undefined> {
  const [row] = await tx.select().from(applications).where(at(group, name));
  return row === undefined ? undefined : show(row);
}

export async function listApplications(
  tx: Tx,
  group: string,
  request: PageRequest<string>,
): Promise<Page<Application>> {
  const rows = await tx
    .select()
    .from(applications)
    .where(
      and(
        eq(applications.workspaceGroup, group),
        request.after === undefined ? undefined : gt(applications.name, request.after),
      ),
    )
    .orderBy(asc(applications.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
}

export async function putApplication(
  tx: Tx,
  group: string,
  name: string,
  body: ApplicationBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<Application>> {
  const refusal = await requireGroup(tx, group);
  if (refusal !== undefined) return refusal;
  const values = { owner: body.owner, description: body.description ?? null };
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    insert: async () =>
      (
        await tx
          .insert(applications)
          .values({ workspaceGroup: group, name, ...values })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) => row.owner === values.owner && row.description === values.description,
    update: async () =>
      (
        await tx
          .update(applications)
          .set({ ...values, ...bump(applications.version) })
          .where(at(group, name))
          .returning()
      )[0],
    show,
  });
}

export function deleteApplication(
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
        .select({ name: appServices.name })
        .from(appServices)
        .where(and(eq(appServices.workspaceGroup, group), eq(appServices.application, name)))
        .orderBy(asc(appServices.name))
        .limit(NAMED_DEPENDANTS);
      return rows.map((row) => `app service "${row.name}"`);
    },
    remove: (inner) => inner.delete(applications).where(at(group, name)),
  });
}

async function findLocked(tx: Tx, group: string, name: string): Promise<Row | undefined> {
  return (await tx.select().from(applications).where(at(group, name)).for("update"))[0];
}
