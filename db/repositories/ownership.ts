/** What a call concerns: the workspace group of an order, and the applications of its services. */
import { and, eq, inArray } from "drizzle-orm";
import type { Tx } from "../client.ts";
import { appServices } from "../schema/catalogue.ts";
import { orderRevisions, orders } from "../schema/orders.ts";

/** The workspace group of an order of one kind; undefined when there is no such order. */
export async function groupOfOrder(tx: Tx, kind: string, id: string): Promise<string | undefined> {
  const [row] = await tx
    .select({ group: orders.workspaceGroup })
    .from(orders)
    .where(and(eq(orders.id, id), eq(orders.kind, kind)));
  return row?.group;
}

/** The application of each service that an order of this group names; undefined for a service that is gone. */
export async function applicationsOfOrder(tx: Tx, group: string, id: string): Promise<(string | undefined)[]> {
  const rows = await tx
    .select({ application: appServices.application })
    .from(orderRevisions)
    .leftJoin(
      appServices,
      and(eq(appServices.workspaceGroup, orderRevisions.workspaceGroup), eq(appServices.name, orderRevisions.service)),
    )
    .where(and(eq(orderRevisions.orderId, id), eq(orderRevisions.workspaceGroup, group)));
  return rows.map((row) => row.application ?? undefined);
}

/** The application of each of the services; undefined for one that does not exist. */
export async function applicationsOfServices(
  tx: Tx,
  group: string,
  services: readonly string[],
): Promise<(string | undefined)[]> {
  if (services.length === 0) return [];
  const rows = await tx
    .select({ name: appServices.name, application: appServices.application })
    .from(appServices)
    .where(and(eq(appServices.workspaceGroup, group), inArray(appServices.name, [...services])));
  const byName = new Map(rows.map((row) => [row.name, row.application]));
  return services.map((service) => byName.get(service));
}
