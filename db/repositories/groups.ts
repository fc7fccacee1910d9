import { eq, inArray } from "drizzle-orm";
import type { DeleteOutcome, ExpectedVersion, PutOutcome, Refusal } from "../../domain/catalogue/refusal.ts";
import type { WorkspaceGroup, WorkspaceGroupBody } from "../../domain/catalogue/types.ts";
import type { Tx } from "../client.ts";
import { applications, appServices, cells, workspaceGroups, workspaces } from "../schema/catalogue.ts";
import { describe, describeRows, namedRows } from "./named.ts";
import { present, stamps, type Page, type PageRequest } from "./rows.ts";

const NOUN = "workspace group";

const groups = namedRows({
  table: workspaceGroups,
  noun: NOUN,
  show: (row): WorkspaceGroup => ({ name: row.name, ...present({ description: row.description }), ...stamps(row) }),
});

export function getGroup(tx: Tx, name: string): Promise<WorkspaceGroup | undefined> {
  return groups.get(tx, name);
}

/**
 * Refuses when the group does not exist. Otherwise it cannot be deleted until the transaction ends; every write below a
 * group begins with this.
 */
export async function requireGroup(tx: Tx, name: string): Promise<Refusal | undefined> {
  const group = await groups.hold(tx, name, "key share");
  return group === undefined ? { kind: "not-found", what: describe(NOUN, name) } : undefined;
}

/** @param visible the groups that may be shown */
export function listGroups(
  tx: Tx,
  request: PageRequest<string>,
  visible: "all" | readonly string[],
): Promise<Page<WorkspaceGroup>> {
  return groups.list(tx, request, visible === "all" ? undefined : inArray(workspaceGroups.name, [...visible]));
}

export function putGroup(
  tx: Tx,
  name: string,
  body: WorkspaceGroupBody,
  expected?: ExpectedVersion,
): Promise<PutOutcome<WorkspaceGroup>> {
  return groups.put(tx, name, { expected, values: { description: body.description ?? null } });
}

export function deleteGroup(tx: Tx, name: string, expected?: ExpectedVersion): Promise<DeleteOutcome> {
  const below = [
    { table: workspaces, noun: "workspace" },
    { table: cells, noun: "cell" },
    { table: applications, noun: "application" },
    { table: appServices, noun: "app service" },
  ];
  const dependants = async () => {
    const described: string[] = [];
    for (const { table, noun } of below) {
      described.push(...(await describeRows(tx, table, noun, eq(table.workspaceGroup, name))));
    }
    return described;
  };
  return groups.remove(tx, name, { expected, dependants });
}
