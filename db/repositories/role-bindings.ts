/** Role bindings of workspace groups, and what somebody holds by them. */
import { and, asc, eq, gt, inArray, or } from "drizzle-orm";
import type { Grant } from "../../domain/access/decide.ts";
import type { RoleBinding, RoleBindingBody } from "../../domain/access/roles.ts";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { Tx } from "../client.ts";
import { roleBindings } from "../schema/access.ts";
import { applications } from "../schema/catalogue.ts";
import { requireGroup } from "./groups.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, page, present, stamps, type Page, type PageRequest } from "./rows.ts";

type Row = typeof roleBindings.$inferSelect;

function show(row: Row): RoleBinding {
  const { name, subject, groupClaim, role, applications: only } = row;
  return { name, ...present({ subject, groupClaim }), role, ...present({ applications: only }), ...stamps(row) };
}

function describe(name: string): string {
  return `role binding "${name}"`;
}

function at(group: string, name: string) {
  return and(eq(roleBindings.workspaceGroup, group), eq(roleBindings.name, name));
}

/** Everything that a subject holds, itself and by its claim of groups, in all workspace groups. One statement. */
export async function readGrants(tx: Tx, subject: string, groupClaims: readonly string[]): Promise<Grant[]> {
  const rows = await tx
    .select({
      group: roleBindings.workspaceGroup,
      role: roleBindings.role,
      applications: roleBindings.applications,
    })
    .from(roleBindings)
    .where(
      or(
        eq(roleBindings.subject, subject),
        groupClaims.length === 0 ? undefined : inArray(roleBindings.groupClaim, [...groupClaims]),
      ),
    );
  return rows.map(({ applications: only, ...grant }) => ({ ...grant, ...(only !== null && { applications: only }) }));
}

export async function getRoleBinding(tx: Tx, group: string, name: string): Promise<RoleBinding | undefined> {
  const [row] = await tx.select().from(roleBindings).where(at(group, name));
  return row === undefined ? undefined : show(row);
}

export async function listRoleBindings(
  tx: Tx,
  group: string,
  request: PageRequest<string>,
): Promise<Page<RoleBinding>> {
  const rows = await tx
    .select()
    .from(roleBindings)
    .where(
      and(
        eq(roleBindings.workspaceGroup, group),
        request.after === undefined ? undefined : gt(roleBindings.name, request.after),
      ),
    )
    .orderBy(asc(roleBindings.name))
    .limit(request.limit + 1);
  return page(rows, request.limit, show);
}

/** Creates or replaces a binding. The applications that it names must exist: a misspelt one would grant nothing, silently. */
export async function putRoleBinding(
  tx: Tx,
  group: string,
  name: string,
  body: RoleBindingBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<RoleBinding>> {
  const refusal = await requireGroup(tx, group);
  if (refusal !== undefined) return refusal;
  const unknown = await unknownApplications(tx, group, body.applications ?? []);
  if (unknown.length > 0) {
    const faults = unknown.map((index) => ({
      field: `/applications/${index}`,
      message: `names no application of workspace group "${group}"; create it first`,
    }));
    return { kind: "invalid", faults };
  }
  const values = {
    subject: body.subject ?? null,
    groupClaim: body.groupClaim ?? null,
    role: body.role,
    applications: body.applications?.toSorted() ?? null,
  };
  return putRow({
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    insert: async () =>
      (
        await tx
          .insert(roleBindings)
          .values({ workspaceGroup: group, name, ...values })
          .onConflictDoNothing()
          .returning()
      )[0],
    same: (row) =>
      row.subject === values.subject &&
      row.groupClaim === values.groupClaim &&
      row.role === values.role &&
      JSON.stringify(row.applications) === JSON.stringify(values.applications),
    update: async () =>
      (
        await tx
          .update(roleBindings)
          .set({ ...values, ...bump(roleBindings.version) })
          .where(at(group, name))
          .returning()
      )[0],
    show,
  });
}

export function deleteRoleBinding(
  tx: Tx,
  group: string,
  name: string,
  expected?: ExpectedVersion,
): Promise<DeleteOutcome> {
  return removeRow(tx, {
    what: describe(name),
    expected,
    find: () => findLocked(tx, group, name),
    dependants: async () => [],
    remove: (inner) => inner.delete(roleBindings).where(at(group, name)),
  });
}

/** Places of the names that are no application of the group. */
async function unknownApplications(tx: Tx, group: string, names: readonly string[]): Promise<number[]> {
  if (names.length === 0) return [];
  const rows = await tx
    .select({ name: applications.name })
    .from(applications)
    .where(and(eq(applications.workspaceGroup, group), inArray(applications.name, [...names])))
    .for("key share");
  const known = new Set(rows.map((row) => row.name));
  return names.flatMap((name, index) => (known.has(name) ? [] : [index]));
}

async function findLocked(tx: Tx, group: string, name: string): Promise<Row | undefined> {
  return (await tx.select().from(roleBindings).where(at(group, name)).for("update"))[0];
}
