import { and, asc, eq, gt } from "drizzle-orm";
import type { Fault } from "../../domain/catalogue/faults.ts";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { Cell, CellBody } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { cells, clusters, revisionCells, workspaces } from "../schema/catalogue.ts";
import { requireGroup } from "./groups.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, NAMED_DEPENDANTS, page, stamps, type Page, type PageRequest } from "./rows.ts";

type Row = typeof cells.$inferSelect;

function show(row: Row): Cell {
  const { name, workspace, zone, az, cluster, nodeSelector } = row;
  return { name, workspace, zone, az, cluster, nodeSelector, ...stamps(row) };
}

function describe(name: string): string {
  return `cell "${name}"`;
}

function at(group: string, name: string) {
  return and(eq(cells.workspaceGroup, group), eq(cells.name, name));
}

export async function getCell(tx: Tx, group: string, name: string): Promise<Cell | undefined> {
  const [row] = await tx.select().from(cells).where(at(group, name));
  return row === undefined ? undefined : show(row);
}

export async function listCells(tx: Tx, group: string, request: PageRequest<string>): Promise<Page<Cell>> {
  const rows = await tx
    .select()
    .from(cells)
    .where(
      and(eq(cells.workspaceGroup, group), request.after === undefined ? undefined : gt(cells.name, request.after)),
    )
    .orderBy(asc(cells.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
}

/** Where a cell is, its nodes included, cannot change while a revision names it: its pods run there, and have been told so. */
export async function putCell(
  tx: Tx,
  group: string,
  name: string,
  body: CellBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<Cell>> {
  const refusal = await requireGroup(tx, group);
  if (refusal !== undefined) return refusal;
  const faults = await unknownReferences(tx, group, body);
  if (faults.length > 0) return { kind: "invalid", faults };
  const values = { ...body, nodeSelector: body.nodeSelector ?? {} };
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    insert: async () =>
      (
        await tx
          .insert(cells)
          .values({ workspaceGroup: group, name, ...values })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) => moved(row, values).length === 0,
    check: async (row) => {
      const changes = moved(row, values);
      if (changes.length === 0) return undefined;
      const dependants = await revisionsIn(tx, group, name);
      if (dependants.length === 0) return undefined;
      return {
        kind: "conflict",
        why:
          `${changes.join(", ")} of ${describe(name)} cannot change while it is used by ${dependants.join(", ")}; ` +
          "make a cell of another name and move the services there by new revisions",
      };
    },
    update: async () =>
      (
        await tx
          .update(cells)
          .set({ ...values, ...bump(cells.version) })
          .where(at(group, name))
          .returning()
      )[0],
    show,
  });
}

export function deleteCell(tx: Tx, group: string, name: string, expected?: ExpectedVersion): Promise<DeleteOutcome> {
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    dependants: () => revisionsIn(tx, group, name),
    remove: (inner) => inner.delete(cells).where(at(group, name)),
  });
}

async function unknownReferences(tx: Tx, group: string, body: CellBody): Promise<Fault[]> {
  const [workspace] = await tx
    .select({ name: workspaces.name })
    .from(workspaces)
    .where(and(eq(workspaces.workspaceGroup, group), eq(workspaces.name, body.workspace)))
    .for("key share");
  const [cluster] = await tx
    .select({ name: clusters.name })
    .from(clusters)
    .where(eq(clusters.name, body.cluster))
    .for("key share");
  const faults: Fault[] = [];
  if (workspace === undefined) {
    faults.push({ field: "/workspace", message: `names no workspace of workspace group "${group}"; create it first` });
  }
  if (cluster === undefined)
    faults.push({ field: "/cluster", message: "names no registered cluster; register it first" });
  return faults;
}

function moved(row: Row, values: Required<CellBody>): string[] {
  const fields: string[] = (["workspace", "zone", "az", "cluster"] as const).filter(
    (field) => row[field] !== values[field],
  );
  return sameLabels(row.nodeSelector, values.nodeSelector) ? fields : [...fields, "nodeSelector"];
}

function sameLabels(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}

async function revisionsIn(tx: Tx, group: string, cell: string): Promise<string[]> {
  const rows = await tx
    .select({ service: revisionCells.service, number: revisionCells.number })
    .from(revisionCells)
    .where(and(eq(revisionCells.workspaceGroup, group), eq(revisionCells.cell, cell)))
    .orderBy(asc(revisionCells.service), asc(revisionCells.number))
    .limit(NAMED_DEPENDANTS);
  return rows.map((row) => `revision ${row.number} of app service "${row.service}"`);
}

async function findLocked(tx: Tx, group: string, name: string): Promise<Row | undefined> {
  return (await tx.select().from(cells).where(at(group, name)).for("update"))[0];
}
