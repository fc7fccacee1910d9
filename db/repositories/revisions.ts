import { and, asc, desc, eq, inArray, lt, sql } from "drizzle-orm";
import type { Fault } from "../../domain/catalogue/faults.ts";
import { pointer } from "../../domain/catalogue/faults.ts";
import type { DeleteOutcome, Refusal } from "../../domain/catalogue/refusal.ts";
import { fillDefaults, type Revision, type RevisionSpec } from "../../domain/catalogue/revision.ts";
import { renameFaults } from "../../domain/revision/edit.ts";
import type { RevisionView } from "../../domain/revision/types.ts";
import type { Tx } from "../client.ts";
import { appServices, cells, revisionCells, revisions } from "../schema/catalogue.ts";
import { holdAppService } from "./app-services.ts";
import { clashes } from "./clashes.ts";
import { removeRow } from "./put.ts";
import { ordersNaming } from "./order-revisions.ts";
import { readLive, releasesOf } from "./releases.ts";
import { NAMED_DEPENDANTS, page, type Page, type PageRequest } from "./rows.ts";

type Row = typeof revisions.$inferSelect;

function show(row: Row): Revision {
  const { service, number, createdBy } = row;
  // A revision may be older than some of the fields: those have their defaults.
  return { service, number, ...fillDefaults(row.spec), createdBy, createdAt: row.createdAt.toISOString() };
}

/** With what became of each, in the order given. */
async function withReleases(
  tx: Tx,
  group: string,
  service: string,
  found: readonly Revision[],
): Promise<RevisionView[]> {
  if (found.length === 0) return [];
  const numbers = found.map((each) => each.number);
  const live = await readLive(tx, group, service);
  const releases = await releasesOf(tx, group, service, numbers);
  return found.map((revision) => {
    const releasedBy = releases.get(revision.number) ?? [];
    return {
      ...revision,
      state: releasedBy.length > 0 ? "RELEASED" : "SUBMITTED",
      current: live.kind === "revision" && live.number === revision.number,
      releasedBy,
    };
  });
}

function of(group: string, service: string) {
  return and(eq(revisions.workspaceGroup, group), eq(revisions.service, service));
}

export async function getRevision(
  tx: Tx,
  group: string,
  service: string,
  number: number,
): Promise<Revision | undefined> {
  const [row] = await tx
    .select()
    .from(revisions)
    .where(and(of(group, service), eq(revisions.number, number)));
  return row === undefined ? undefined : show(row);
}

/** A revision, and what became of it. */
export async function viewRevision(
  tx: Tx,
  group: string,
  service: string,
  number: number,
): Promise<RevisionView | undefined> {
  const found = await getRevision(tx, group, service, number);
  return found === undefined ? undefined : (await withReleases(tx, group, service, [found]))[0];
}

/** The revision of the highest number; undefined when the service has none. */
export async function getNewestRevision(tx: Tx, group: string, service: string): Promise<Revision | undefined> {
  const [row] = await tx.select().from(revisions).where(of(group, service)).orderBy(desc(revisions.number)).limit(1);
  return row === undefined ? undefined : show(row);
}

/** Newest first; the position is a revision's number. */
export async function listRevisions(
  tx: Tx,
  group: string,
  service: string,
  request: PageRequest<number>,
): Promise<Page<RevisionView>> {
  const rows = await tx
    .select()
    .from(revisions)
    .where(and(of(group, service), request.after === undefined ? undefined : lt(revisions.number, request.after)))
    .orderBy(desc(revisions.number))
    .limit(request.limit + 1);
  const found = page(rows, request.limit, show);
  return { ...found, items: await withReleases(tx, group, service, found.items) };
}

export interface NewRevision {
  readonly group: string;
  readonly service: string;
  readonly spec: RevisionSpec;
  /** Subject of whoever posted it. */
  readonly createdBy: string;
}

/** Stores a revision under the service's next number. */
export async function createRevision(
  tx: Tx,
  revision: NewRevision,
): Promise<{ readonly kind: "created"; readonly value: RevisionView } | Refusal> {
  const { group, service, spec, createdBy } = revision;
  const [owner] = await tx
    .update(appServices)
    .set({ lastRevision: sql`${appServices.lastRevision} + 1` })
    .where(and(eq(appServices.workspaceGroup, group), eq(appServices.name, service)))
    .returning({ number: appServices.lastRevision, namespace: appServices.namespace });
  if (owner === undefined) {
    return { kind: "not-found", what: `app service "${service}" of workspace group "${group}"` };
  }
  const newest = await getNewestRevision(tx, group, service);
  const faults = [
    ...(newest === undefined ? [] : renameFaults(newest, spec)),
    ...(await cellFaults(tx, revision, owner.namespace)),
  ];
  if (faults.length > 0) return { kind: "invalid", faults };
  const { number } = owner;
  const [row] = await tx
    .insert(revisions)
    .values({ workspaceGroup: group, service, number, spec, createdBy })
    .returning();
  const named = Object.keys(spec.cells).map((cell) => ({ workspaceGroup: group, service, number, cell }));
  if (named.length > 0) await tx.insert(revisionCells).values(named);
  if (row === undefined) throw new Error("The database answered nothing to an insertion");
  return { kind: "created", value: { ...show(row), state: "SUBMITTED", current: false, releasedBy: [] } };
}

/** Takes a revision back that nothing refers to. Its number is not given again. */
export async function deleteRevision(tx: Tx, group: string, service: string, number: number): Promise<DeleteOutcome> {
  const one = and(of(group, service), eq(revisions.number, number));
  // An order that is just being created over it is waited for; one that comes later finds it gone.
  await holdAppService(tx, group, service, "update");
  return removeRow(tx, {
    what: `revision ${number} of app service "${service}"`,
    expected: undefined,
    find: async () => {
      const [row] = await tx.select({ number: revisions.number }).from(revisions).where(one).for("update");
      return row === undefined ? undefined : { version: 1 };
    },
    dependants: () => ordersNaming(tx, group, service, number, NAMED_DEPENDANTS),
    remove: (inner) => inner.delete(revisions).where(one),
  });
}

async function cellFaults(tx: Tx, { group, service, spec }: NewRevision, namespace: string): Promise<Fault[]> {
  const names = Object.keys(spec.cells);
  if (names.length === 0) return [];
  const known = await tx
    .select({ name: cells.name, cluster: cells.cluster })
    .from(cells)
    .where(and(eq(cells.workspaceGroup, group), inArray(cells.name, names)))
    .orderBy(asc(cells.name))
    .for("key share");
  const found = new Set(known.map((cell) => cell.name));
  const unknown = names
    .filter((name) => !found.has(name))
    .map((name) => ({
      field: pointer("/cells", name),
      message: `names no cell of workspace group "${group}"; create it first, or use one that exists`,
    }));
  return [...unknown, ...(await clashes(tx, { group, service, namespace, spec }, known))];
}
