/** Role bindings of workspace groups, and what somebody holds by them. */
import { eq, inArray, or } from "drizzle-orm";
import type { Grant } from "../../domain/access/decide.ts";
import type { RoleBinding, RoleBindingBody } from "../../domain/access/roles.ts";
import type { Fault } from "../../domain/catalogue/faults.ts";
import type { Tx } from "../client.ts";
import { roleBindings } from "../schema/access.ts";
import { applications } from "../schema/catalogue.ts";
import { groupedRows, shareRows, type Asked } from "./grouped.ts";
import { present, stamps } from "./rows.ts";

const rows = groupedRows({
  table: roleBindings,
  noun: "role binding",
  show: (row): RoleBinding => {
    const { name, subject, groupClaim, role, applications: only } = row;
    return { name, ...present({ subject, groupClaim }), role, ...present({ applications: only }), ...stamps(row) };
  },
  values: (body: RoleBindingBody) => ({
    subject: body.subject ?? null,
    groupClaim: body.groupClaim ?? null,
    role: body.role,
    applications: body.applications?.toSorted() ?? null,
  }),
  references: unknownApplications,
  dependants: async () => [],
});

export const getRoleBinding = rows.get;
export const listRoleBindings = rows.list;
/** Creates or replaces a binding. The applications that it names must exist: a misspelt one would grant nothing, silently. */
export const putRoleBinding = rows.put;
export const deleteRoleBinding = rows.remove;

/** Everything that a subject holds, itself and by its claim of groups, in all workspace groups. One statement. */
export async function readGrants(tx: Tx, subject: string, groupClaims: readonly string[]): Promise<Grant[]> {
  const held = await tx
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
  return held.map(({ applications: only, ...grant }) => ({ ...grant, ...(only !== null && { applications: only }) }));
}

async function unknownApplications({ tx, group }: Asked, body: RoleBindingBody): Promise<Fault[]> {
  const names = body.applications ?? [];
  const known = await shareRows(tx, applications, group, names);
  const message = `names no application of workspace group "${group}"; create it first`;
  return names.flatMap((name, index) => (known.has(name) ? [] : [{ field: `/applications/${index}`, message }]));
}
