/** Names in Kubernetes that two app services would both claim. */
import { and, eq, inArray, or, sql } from "drizzle-orm";
import { pointer, type Fault } from "../../domain/catalogue/faults.ts";
import { serviceName, workloadName } from "../../domain/catalogue/names.ts";
import type { RevisionSpec } from "../../domain/catalogue/revision.ts";
import type { Tx } from "../client.ts";
import { appServices, cells, revisionCells, revisions } from "../schema/catalogue.ts";

/** A revision that is to be stored. */
export type Claimant = {
  readonly group: string;
  readonly service: string;
  readonly namespace: string;
  readonly spec: RevisionSpec;
};

/** A cell that it names, and the cell's cluster. */
type Target = { readonly name: string; readonly cluster: string };

/** Where an object is, and whose it is. */
type Owner = { readonly group: string; readonly service: string; readonly cluster: string };

/** Faults of a revision for every workload and Service of its own that a stored revision of another app service has. */
export async function clashes(tx: Tx, claimant: Claimant, targets: readonly Target[]): Promise<Fault[]> {
  if (targets.length === 0) return [];
  // Whoever comes second must see the first one's revision. Two at once would see neither, hence one at a time.
  const lock = sql`hashtext('cellwright workload names'), hashtext(${claimant.namespace})`;
  await tx.execute(sql`select pg_advisory_xact_lock(${lock})`);
  return [...(await workloadClashes(tx, claimant, targets)), ...(await serviceClashes(tx, claimant, targets))];
}

/**
 * Two services must never mean the same workload. Within a group, `a-b` in cell `c` and `a` in cell `b-c` have the same
 * workload name; across groups, equal names do when cells share a cluster and services a namespace.
 */
async function workloadClashes(tx: Tx, claimant: Claimant, targets: readonly Target[]): Promise<Fault[]> {
  const { service, namespace } = claimant;
  const others = await tx
    .selectDistinct({ ...owner, cell: revisionCells.cell })
    .from(revisionCells)
    .innerJoin(cells, ofCell)
    .innerJoin(appServices, ofService)
    .where(
      and(
        eq(appServices.namespace, namespace),
        or(
          ...targets.map((target) =>
            and(
              eq(cells.cluster, target.cluster),
              sql`${revisionCells.service} || '-' || ${revisionCells.cell} = ${workloadName(service, target.name)}`,
            ),
          ),
        ),
      ),
    );
  return targets.flatMap((target) => {
    const name = workloadName(service, target.name);
    return others
      .filter(
        (other) =>
          other.cluster === target.cluster &&
          workloadName(other.service, other.cell) === name &&
          !isSame(other, claimant),
      )
      .map((other) => ({
        field: pointer("/cells", target.name),
        message: `needs the workload "${name}" ${whose(other, claimant)}; use another service name, namespace or cell`,
      }));
  });
}

/**
 * Nor the same Kubernetes Service: `web` with a Service `api` and the app service `web-api` both have `web-api`; across
 * groups, equal names of app services are enough.
 */
async function serviceClashes(tx: Tx, claimant: Claimant, targets: readonly Target[]): Promise<Fault[]> {
  const { service, namespace, spec } = claimant;
  const claims = new Map<string, string>([
    [serviceName(service), pointer("/cells", targets[0]?.name ?? "")],
    ...spec.access.services.map(({ name }, index): [string, string] => [
      serviceName(service, name),
      pointer("/access/services", index, "name"),
    ]),
  ]);
  const clusters = [...new Set(targets.map(({ cluster }) => cluster))];
  const suffixes = sql`jsonb_path_query(${revisions.spec}, '$.access.services[*].name') #>> '{}'`;
  const own = sql`${revisionCells.service}`;
  const found = await tx
    .selectDistinct({
      ...owner,
      name: sql<string>`unnest(array_prepend(${own}, array(select ${own} || '-' || suffix from (select ${suffixes} as suffix) as named)))`,
    })
    .from(revisionCells)
    .innerJoin(cells, ofCell)
    .innerJoin(appServices, ofService)
    .innerJoin(
      revisions,
      and(
        eq(revisions.workspaceGroup, revisionCells.workspaceGroup),
        eq(revisions.service, revisionCells.service),
        eq(revisions.number, revisionCells.number),
      ),
    )
    .where(
      and(
        eq(appServices.namespace, namespace),
        inArray(cells.cluster, clusters),
        // Only where one name begins with the other can their Services meet; specs of all others need not be read.
        sql`(starts_with(${own} || '-', ${`${service}-`}) or starts_with(${`${service}-`}, ${own} || '-'))`,
      ),
    );
  const place = ({ name, cluster }: { name: string; cluster: string }): string => `${cluster} ${name}`;
  // Two may have come to one name lawfully, as long as only one of them used it at a time: who has it keeps it.
  const had = new Set(found.filter((one) => isSame(one, claimant)).map(place));
  const others = found.filter((other) => claims.has(other.name) && !isSame(other, claimant) && !had.has(place(other)));
  return others
    .toSorted((a, b) => (`${a.name} ${a.cluster}` < `${b.name} ${b.cluster}` ? -1 : 1))
    .map((other) => ({
      field: claims.get(other.name) ?? "",
      message:
        `${other.name === service ? "needs" : "makes"} the Kubernetes Service "${other.name}" ${whose(other, claimant)}; ` +
        `use another ${other.name === service ? "app service name" : "Service name"}, namespace or cluster`,
    }));
}

const owner = { group: revisionCells.workspaceGroup, service: revisionCells.service, cluster: cells.cluster };

const ofCell = and(eq(cells.workspaceGroup, revisionCells.workspaceGroup), eq(cells.name, revisionCells.cell));

const ofService = and(
  eq(appServices.workspaceGroup, revisionCells.workspaceGroup),
  eq(appServices.name, revisionCells.service),
);

function isSame(other: Owner, { group, service }: Claimant): boolean {
  return other.group === group && other.service === service;
}

/** Of another group not even the name is told. */
function whose({ cluster, group, service }: Owner, claimant: Claimant): string {
  const who = group === claimant.group ? `app service "${service}"` : "another workspace group";
  return `in namespace "${claimant.namespace}" of cluster "${cluster}", which is that of ${who}`;
}
