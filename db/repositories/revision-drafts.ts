/** Drafts: at most one per app service, edited under optimistic locking, and gone once it has been submitted. */
import { and, eq } from "drizzle-orm";
import {
  versionFits,
  type DeleteOutcome,
  type ExpectedVersion,
  type PutOutcome,
  type Refusal,
} from "../../domain/catalogue/refusal.ts";
import { fillDefaults, type RevisionSpec } from "../../domain/catalogue/revision.ts";
import { checkRevision } from "../../domain/catalogue/validate.ts";
import { stableJson } from "../../domain/json.ts";
import type { RevisionDraft, RevisionView } from "../../domain/revision/types.ts";
import type { Tx } from "../client.ts";
import { revisionDrafts } from "../schema/catalogue.ts";
import { holdAppService } from "./app-services.ts";
import { putRow, removeRow } from "./put.ts";
import { createRevision } from "./revisions.ts";
import { bump, present, stamps } from "./rows.ts";

type Row = typeof revisionDrafts.$inferSelect;

function show(row: Row): RevisionDraft {
  const { service, spec, base, createdBy, updatedBy } = row;
  return {
    service,
    state: "DRAFT",
    ...present({ base }),
    ...fillDefaults(spec),
    createdBy,
    updatedBy,
    ...stamps(row),
  };
}

function describe(service: string): string {
  return `draft of app service "${service}"`;
}

function at(group: string, service: string) {
  return and(eq(revisionDrafts.workspaceGroup, group), eq(revisionDrafts.service, service));
}

export async function getDraft(tx: Tx, group: string, service: string): Promise<RevisionDraft | undefined> {
  const [row] = await tx.select().from(revisionDrafts).where(at(group, service));
  return row === undefined ? undefined : show(row);
}

export interface DraftContent {
  readonly group: string;
  readonly service: string;
  readonly spec: RevisionSpec;
  /** The revision that it is copied from; without it an edited draft keeps its own. */
  readonly base?: number;
  /** Subject of whoever writes it. */
  readonly by: string;
}

/**
 * Creates or replaces the draft.
 * @param whole the content comes from somewhere else and would replace somebody's work: without an expected version it
 *   is only put where no draft is.
 */
export async function putDraft(
  tx: Tx,
  content: DraftContent,
  expected: ExpectedVersion,
  whole = false,
): Promise<PutOutcome<RevisionDraft>> {
  const { group, service, spec, base, by } = content;
  const owner = await holdAppService(tx, group, service, "key share");
  if (owner === undefined) return missingService(group, service);
  return putRow({
    what: describe(service),
    expected,
    find: () => findLocked(tx, group, service),
    insert: async () =>
      (
        await tx
          .insert(revisionDrafts)
          .values({ workspaceGroup: group, service, spec, base: base ?? null, createdBy: by, updatedBy: by })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) =>
      (!whole || expected !== undefined) &&
      stableJson(row.spec) === stableJson(spec) &&
      (base === undefined || row.base === base),
    check: (row) =>
      whole && expected === undefined
        ? {
            kind: "conflict",
            why:
              `there is a ${describe(service)} already (version ${row.version}, last changed by ${row.updatedBy}): submit ` +
              "or delete it, or send its entity tag as If-Match to replace it",
          }
        : undefined,
    update: async (row) =>
      (
        await tx
          .update(revisionDrafts)
          .set({ spec, base: base ?? row.base, updatedBy: by, ...bump(revisionDrafts.version) })
          .where(at(group, service))
          .returning()
      )[0],
    show,
  });
}

export function deleteDraft(tx: Tx, group: string, service: string, expected: ExpectedVersion): Promise<DeleteOutcome> {
  return removeRow(tx, {
    what: describe(service),
    expected,
    find: () => findLocked(tx, group, service),
    dependants: async () => [],
    remove: (inner) => inner.delete(revisionDrafts).where(at(group, service)),
  });
}

/** Makes the next revision of the draft, which is gone then. Of two at once, one finds no draft any more. */
export async function submitDraft(
  tx: Tx,
  group: string,
  service: string,
  by: string,
  expected: ExpectedVersion,
): Promise<{ readonly kind: "created"; readonly value: RevisionView } | Refusal> {
  const owner = await holdAppService(tx, group, service, "no key update");
  if (owner === undefined) return missingService(group, service);
  const row = await findLocked(tx, group, service);
  const what = describe(service);
  if (!versionFits(expected, row?.version)) {
    return { kind: "stale", what, ...(row !== undefined && { version: row.version }) };
  }
  if (row === undefined) return { kind: "not-found", what };
  // The rules may have become stricter since it was written.
  const checked = checkRevision(service, fillDefaults(row.spec));
  if (!checked.ok) return { kind: "invalid", faults: checked.faults };
  const spec = fillDefaults(checked.value);
  const created = await createRevision(tx, { group, service, spec, createdBy: by });
  if (created.kind === "created") await tx.delete(revisionDrafts).where(at(group, service));
  return created;
}

function missingService(group: string, service: string): Refusal {
  return { kind: "not-found", what: `app service "${service}" of workspace group "${group}"` };
}

async function findLocked(tx: Tx, group: string, service: string): Promise<Row | undefined> {
  return (await tx.select().from(revisionDrafts).where(at(group, service)).for("update"))[0];
}
