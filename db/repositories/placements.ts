/** Where app services live, joined from the catalogue: everything that rendering needs besides the revision. */
import { and, asc, eq } from "drizzle-orm";
import { CellwrightFailure } from "../../domain/failures.ts";
import type { Revision } from "../../domain/catalogue/revision.ts";
import type { Placement } from "../../domain/workload/placement.ts";
import type { Tx } from "../client.ts";
import { appServices, cells, revisionCells, workspaces } from "../schema/index.ts";
import { getRevision } from "./revisions.ts";

export type PlacedRevision = { revision: Revision; placements: { cluster: string; placement: Placement }[] };

/**
 * A revision and its cells, by name.
 * @throws CellwrightFailure NotFound: the service or the revision is not in the catalogue (any more)
 */
export async function readPlacedRevision(
  tx: Tx,
  tenant: string,
  workspaceGroup: string,
  service: string,
  number: number,
): Promise<PlacedRevision> {
  const revision = await getRevision(tx, workspaceGroup, service, number);
  if (!revision) {
    throw new CellwrightFailure(
      "NotFound",
      `${service} has no revision ${number} in workspace group ${workspaceGroup}`,
    );
  }
  const rows = await tx
    .select({
      cluster: cells.cluster,
      workspace: cells.workspace,
      region: workspaces.region,
      zone: cells.zone,
      az: cells.az,
      cell: cells.name,
      nodeSelector: cells.nodeSelector,
      application: appServices.application,
      namespace: appServices.namespace,
    })
    .from(revisionCells)
    .innerJoin(cells, and(eq(cells.workspaceGroup, revisionCells.workspaceGroup), eq(cells.name, revisionCells.cell)))
    .innerJoin(
      workspaces,
      and(eq(workspaces.workspaceGroup, cells.workspaceGroup), eq(workspaces.name, cells.workspace)),
    )
    .innerJoin(
      appServices,
      and(eq(appServices.workspaceGroup, revisionCells.workspaceGroup), eq(appServices.name, revisionCells.service)),
    )
    .where(
      and(
        eq(revisionCells.workspaceGroup, workspaceGroup),
        eq(revisionCells.service, service),
        eq(revisionCells.number, number),
      ),
    )
    .orderBy(asc(cells.name));
  return {
    revision,
    placements: rows.map(({ cluster, ...where }) => ({
      cluster,
      placement: { tenant, workspaceGroup, service, ...where },
    })),
  };
}

/** Namespaces of each cluster that app services may live in: where the reconcilers look. */
export async function readNamespaces(tx: Tx, cluster: string): Promise<string[]> {
  const rows = await tx
    .selectDistinct({ namespace: appServices.namespace })
    .from(revisionCells)
    .innerJoin(cells, and(eq(cells.workspaceGroup, revisionCells.workspaceGroup), eq(cells.name, revisionCells.cell)))
    .innerJoin(
      appServices,
      and(eq(appServices.workspaceGroup, revisionCells.workspaceGroup), eq(appServices.name, revisionCells.service)),
    )
    .where(eq(cells.cluster, cluster))
    .orderBy(asc(appServices.namespace));
  return rows.map((row) => row.namespace);
}
