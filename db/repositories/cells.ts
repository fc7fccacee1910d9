import { and, asc, eq } from "drizzle-orm";
import type { Fault } from "../../domain/catalogue/faults.ts";
import type { Cell, CellBody } from "../../domain/catalogue/types.ts";
import { cells, clusters, revisionCells, workspaces } from "../schema/catalogue.ts";
import { groupedRows, shareRows, type Asked } from "./grouped.ts";
import { describe } from "./named.ts";
import { NAMED_DEPENDANTS, stamps } from "./rows.ts";

const rows = groupedRows({
  table: cells,
  noun: "cell",
  show: (row): Cell => {
    const { name, workspace, zone, az, cluster, nodeSelector } = row;
    return { name, workspace, zone, az, cluster, nodeSelector, ...stamps(row) };
  },
  values: ({ workspace, zone, az, cluster, nodeSelector }: CellBody) => ({
    workspace,
    zone,
    az,
    cluster,
    nodeSelector: nodeSelector ?? {},
  }),
  references: unknownReferences,
  check: async (asked, row, columns) => {
    const dependants = await revisionsIn(asked);
    if (dependants.length === 0) return undefined;
    return {
      kind: "conflict",
      why:
        `${columns.join(", ")} of ${describe("cell", row.name)} cannot change while it is used by ` +
        `${dependants.join(", ")}; make a cell of another name and move the services there by new revisions`,
    };
  },
  dependants: revisionsIn,
});

export const getCell = rows.get;
export const listCells = rows.list;
/** Where a cell is, its nodes included, cannot change while a revision names it: its pods run there, and have been told so. */
export const putCell = rows.put;
export const deleteCell = rows.remove;

async function unknownReferences({ tx, group }: Asked, body: CellBody): Promise<Fault[]> {
  const found = await shareRows(tx, workspaces, group, [body.workspace]);
  const [cluster] = await tx
    .select({ name: clusters.name })
    .from(clusters)
    .where(eq(clusters.name, body.cluster))
    .for("key share");
  const faults: Fault[] = [];
  if (!found.has(body.workspace)) {
    faults.push({ field: "/workspace", message: `names no workspace of workspace group "${group}"; create it first` });
  }
  if (cluster === undefined)
    faults.push({ field: "/cluster", message: "names no registered cluster; register it first" });
  return faults;
}

async function revisionsIn({ tx, group, name }: Asked): Promise<string[]> {
  const found = await tx
    .select({ service: revisionCells.service, number: revisionCells.number })
    .from(revisionCells)
    .where(and(eq(revisionCells.workspaceGroup, group), eq(revisionCells.cell, name)))
    .orderBy(asc(revisionCells.service), asc(revisionCells.number))
    .limit(NAMED_DEPENDANTS);
  return found.map(({ number, service }) => `revision ${number} of app service "${service}"`);
}
