import { and, asc, eq, gt } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { Workspace, WorkspaceBody } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { cells, workspaces } from "../schema/catalogue.ts";
import { requireGroup } from "./groups.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, NAMED_DEPENDANTS, page, present, stamps, type Page, type PageRequest } from "./rows.ts";

type Row = typeof workspaces.$inferSelect;

function show(row: Row): Workspace {
  return {
    name: row.name,
    region: row.region,
    ...present({ displayName: row.displayName, description: row.description }),
    ...stamps(row),
  };
}

function describe(name: string): string {
  return `workspace "${name}"`;
}

function at(group: string, name: string) {
  return and(eq(workspaces.workspaceGroup, group), eq(workspaces.name, name));
}

export async function getWorkspace(tx: Tx, group: string, name: string): Promise<Workspace | undefined> {
  const [row] = await tx.select().from(workspaces).where(at(group, name));
  return row === undefined ? undefined : show(row);
}

export async function listWorkspaces(tx: Tx, group: string, request: PageRequest<string>): Promise<Page<Workspace>> {
  const rows = await tx
    .select()
    .from(workspaces)
    .where(
      and(
        eq(workspaces.workspaceGroup, group),
        request.after === undefined ? undefined : gt(workspaces.name, request.after),
      ),
    )
    .orderBy(asc(workspaces.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
}

/** The region is fixed once cells are in it: the pods in them have been told where they are. */
export async function putWorkspace(
  tx: Tx,
  group: string,
  name: string,
  body: WorkspaceBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<Workspace>> {
  const refusal = await requireGroup(tx, group);
  if (refusal !== undefined) return refusal;
  const values = {
    region: body.region,
    displayName: body.displayName ?? null,
    description: body.description ?? null,
  };
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    insert: async () =>
      (
        await tx
          .insert(workspaces)
          .values({ workspaceGroup: group, name, ...values })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) =>
      row.region === values.region && row.displayName === values.displayName && row.description === values.description,
    check: async (row) => {
      if (row.region === values.region) return undefined;
      const dependants = await cellsOf(tx, group, name);
      if (dependants.length === 0) return undefined;
      return {
        kind: "conflict",
        why:
          `the region of ${describe(name)} cannot change from "${row.region}" while cells are in it ` +
          `(${dependants.join(", ")}); make a workspace of another name`,
      };
    },
    update: async () =>
      (
        await tx
          .update(workspaces)
          .set({ ...values, ...bump(workspaces.version) })
          .where(at(group, name))
          .returning()
      )[0],
    show,
  });
}

export function deleteWorkspace(
  tx: Tx,
  group: string,
  name: string,
  expected?: ExpectedVersion,
): Promise<DeleteOutcome> {
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    dependants: () => cellsOf(tx, group, name),
    remove: (inner) => inner.delete(workspaces).where(at(group, name)),
  });
}

async function cellsOf(tx: Tx, group: string, workspace: string): Promise<string[]> {
  const rows = await tx
    .select({ name: cells.name })
    .from(cells)
    .where(and(eq(cells.workspaceGroup, group), eq(cells.workspace, workspace)))
    .orderBy(asc(cells.name))
    .limit(NAMED_DEPENDANTS);
  return rows.map((row) => `cell "${row.name}"`);
}

async function findLocked(tx: Tx, group: string, name: string): Promise<Row | undefined> {
  return (await tx.select().from(workspaces).where(at(group, name)).for("update"))[0];
}
