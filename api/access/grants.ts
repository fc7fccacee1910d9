/** What a caller holds, now. */
import type { Tx } from "../../db/client.ts";
import { readGrants } from "../../db/repositories/role-bindings.ts";
import { decideInGroup, type Grants } from "../../domain/access/decide.ts";
import type { Permission } from "../../domain/access/permissions.ts";
import type { Identity } from "../identity.ts";

export async function grantsOf(tx: Tx, { subject, groups, roles }: Identity): Promise<Grants> {
  // There is nothing that an administrator everywhere could be given besides.
  return { everywhere: roles, bindings: roles.includes("admin") ? [] : await readGrants(tx, subject, groups) };
}

/** For what goes on after it has been let in: whether it would still be let into this group, to read. */
export async function mayStillRead(tx: Tx, who: Identity, permission: Permission, group: string): Promise<boolean> {
  return decideInGroup(await grantsOf(tx, who), permission, group).kind === "granted";
}
