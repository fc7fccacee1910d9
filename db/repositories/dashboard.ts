/** Counts over whole workspace groups, each with one statement. */
import { and, count, countDistinct, inArray, isNull, or, sql } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { PipelineStateName } from "../../domain/pipeline/states.ts";
import type { Tx } from "../client.ts";
import { appServices, cells, clusters, workspaceGroups } from "../schema/catalogue.ts";
import { orders } from "../schema/orders.ts";

type Groups = "all" | readonly string[];

const within = (column: AnyPgColumn, groups: Groups) => (groups === "all" ? undefined : inArray(column, [...groups]));

/** Orders by state: those that have not ended, and those that ended after `since`. */
export async function countOrders(
  tx: Tx,
  groups: Groups,
  since: Date,
): Promise<{ readonly state: PipelineStateName; readonly orders: number }[]> {
  return tx
    .select({ state: orders.state, orders: count() })
    .from(orders)
    .where(
      and(
        within(orders.workspaceGroup, groups),
        // Compared as a time of the database's own precision.
        or(isNull(orders.endedAt), sql`${orders.endedAt} >= ${since.toISOString()}::timestamptz`),
      ),
    )
    .groupBy(orders.state);
}

export interface CatalogueCounts {
  readonly workspaceGroups: number;
  readonly cells: number;
  readonly services: number;
  /** For all groups: all that are registered. For some: those on which their cells lie. */
  readonly clusters: number;
}

export async function countCatalogue(tx: Tx, groups: Groups): Promise<CatalogueCounts> {
  const [[group], [service], [cell], [registered]] = await Promise.all([
    tx.select({ n: count() }).from(workspaceGroups).where(within(workspaceGroups.name, groups)),
    tx.select({ n: count() }).from(appServices).where(within(appServices.workspaceGroup, groups)),
    tx
      .select({ n: count(), clusters: countDistinct(cells.cluster) })
      .from(cells)
      .where(within(cells.workspaceGroup, groups)),
    groups === "all" ? tx.select({ n: count() }).from(clusters) : [undefined],
  ]);
  return {
    workspaceGroups: group?.n ?? 0,
    cells: cell?.n ?? 0,
    services: service?.n ?? 0,
    clusters: registered?.n ?? cell?.clusters ?? 0,
  };
}
