import { and, asc, eq, gt, inArray } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome, Refusal } from "../../domain/catalogue/refusal.ts";
import type { WorkspaceGroup, WorkspaceGroupBody } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { applications, appServices, cells, workspaceGroups, workspaces } from "../schema/catalogue.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, NAMED_DEPENDANTS, page, present, stamps, type Page, type PageRequest } from "./rows.ts";

type Row = typeof workspaceGroups.$inferSelect;

function show(row: Row): WorkspaceGroup {
  return { name: row.name, ...present({ description: row.description }), ...stamps(row) };
}

function describe(name: string): string {
  return `workspace group "${name}"`;
}

export async function getGroup(tx: Tx, name: string): Promise<WorkspaceGroup | undefined> {
  const [row] = await tx.select().from(workspaceGroups).where(eq(workspaceGroups.name, name));
  return row === undefined ? undefined : show(row);
}

/**
 * Refuses when the group does not exist. Otherwise it cannot be deleted until the transaction ends; every write below a
 * group begins with this.
 */
export async function requireGroup(tx: Tx, name: string): Promise<Refusal | undefined> {
  const [row] = await tx
    .select({ name: workspaceGroups.name })
    .from(workspaceGroups)
    .where(eq(workspaceGroups.name, name))
    .for("key share");
  return row === undefined ? { kind: "not-found", what: describe(name) } : undefined;
}

/** @param visible the groups that may be shown */
export async function listGroups(
  tx: Tx,
  request: PageRequest<string>,
  visible: "all" | readonly string[],
): Promise<Page<WorkspaceGroup>> {
  const rows = await tx
    .select()
    .from(workspaceGroups)
    .where(
      and(
        request.after === undefined ? undefined : gt(workspaceGroups.name, request.after),
        visible === "all" ? undefined : inArray(workspaceGroups.name, [...visible]),
      ),
    )
    .orderBy(asc(workspaceGroups.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
}

export function putGroup(
  tx: Tx,
  name: string,
  body: WorkspaceGroupBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<WorkspaceGroup>> {
  const values = { description: body.description ?? null };
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, name),
    insert: async () =>
      (
        await tx
          .insert(workspaceGroups)
          .values({ name, ...values })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) => row.description === values.description,
    update: async () =>
      (
        await tx
          .update(workspaceGroups)
          .set({ ...values, ...bump(workspaceGroups.version) })
          .where(eq(workspaceGroups.name, name))
          .returning()
      )[0],
    show,
  });
}

export function deleteGroup(tx: Tx, name: string, expected?: ExpectedVersion): Promise<DeleteOutcome> {
  const below = [
    { table: workspaces, noun: "workspace" },
    { table: cells, noun: "cell" },
    { table: applications, noun: "application" },
    { table: appServices, noun: "app service" },
  ];
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, name),
    dependants: async () => {
      const named: string[] = [];
      for (const { table, noun } of below) {
        const rows = await tx
          .select({ name: table.name })
          .from(table)
          .where(eq(table.workspaceGroup, name))
          .orderBy(asc(table.name))
          .limit(NAMED_DEPENDANTS);
        named.push(...rows.map((row) => `${noun} "${row.name}"`));
      }
      return named;
    },
    remove: (inner) => inner.delete(workspaceGroups).where(eq(workspaceGroups.name, name)),
  });
}

async function findLocked(tx: Tx, name: string): Promise<Row | undefined> {
  return (await tx.select().from(workspaceGroups).where(eq(workspaceGroups.name, name)).for("update"))[0];
}
