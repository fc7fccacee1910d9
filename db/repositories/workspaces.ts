import { and, eq } from "drizzle-orm";
import type { Workspace, WorkspaceBody } from "../../domain/catalogue/types.ts";
import { cells, workspaces } from "../schema/catalogue.ts";
import { groupedRows, type Asked } from "./grouped.ts";
import { describe, describeRows } from "./named.ts";
import { present, stamps } from "./rows.ts";

const rows = groupedRows({
  table: workspaces,
  noun: "workspace",
  show: (row): Workspace => ({
    name: row.name,
    region: row.region,
    ...present({ displayName: row.displayName, description: row.description }),
    ...stamps(row),
  }),
  values: (body: WorkspaceBody) => ({
    region: body.region,
    displayName: body.displayName ?? null,
    description: body.description ?? null,
  }),
  check: async (asked, row, columns) => {
    if (!columns.includes("region")) return undefined;
    const dependants = await cellsOf(asked);
    if (dependants.length === 0) return undefined;
    return {
      kind: "conflict",
      why:
        `the region of ${describe("workspace", row.name)} cannot change from "${row.region}" while cells are in it ` +
        `(${dependants.join(", ")}); make a workspace of another name`,
    };
  },
  dependants: cellsOf,
});

export const getWorkspace = rows.get;
export const listWorkspaces = rows.list;
/** The region is fixed once cells are in it: the pods in them have been told where they are. */
export const putWorkspace = rows.put;
export const deleteWorkspace = rows.remove;

function cellsOf({ tx, group, name }: Asked): Promise<string[]> {
  return describeRows(tx, cells, "cell", and(eq(cells.workspaceGroup, group), eq(cells.workspace, name)));
}
