/** Whether somebody may do something: pure. Denied unless granted. */
import { ruleOf, type Permission } from "./permissions.ts";
import type { Role } from "./roles.ts";

/** One role in one workspace group. */
export interface Grant {
  readonly group: string;
  readonly role: Role;
  /** Only for these applications; absent: for the whole group. */
  readonly applications?: readonly string[] | undefined;
}

/** Everything that somebody holds. */
export interface Grants {
  /** Roles in every group, and for what belongs to none. */
  readonly everywhere: readonly Role[];
  readonly bindings: readonly Grant[];
}

export type Decision =
  /** `role`: the one that grants it. */
  | { readonly kind: "granted"; readonly role: Role }
  /** Granted where all services concerned belong to these applications. */
  | { readonly kind: "own"; readonly role: Role; readonly applications: ReadonlySet<string> }
  /** They may see it, and may not do this. */
  | { readonly kind: "refused" }
  /** They may not even learn whether it exists. */
  | { readonly kind: "hidden" };

/** Whether somebody holds anything at all. */
export function holdsNothing(grants: Grants): boolean {
  return grants.everywhere.length === 0 && grants.bindings.length === 0;
}

/** Decides on something in one workspace group. */
export function decideInGroup(grants: Grants, permission: Permission, group: string): Decision {
  const { reach, roles } = ruleOf(permission);
  const everywhere = strongest(grants.everywhere.filter((role) => roles.includes(role)));
  if (everywhere !== undefined) return { kind: "granted", role: everywhere };
  const here = grants.bindings.filter((grant) => grant.group === group);
  if (here.length === 0) return { kind: grants.everywhere.length > 0 ? "refused" : "hidden" };
  if (reach === "installation") return { kind: "refused" };
  const fitting = here.filter((grant) => roles.includes(grant.role));
  const whole = fitting.filter((grant) => reach === "reading" || grant.applications === undefined);
  const role = strongest(whole.map((grant) => grant.role));
  if (role !== undefined) return { kind: "granted", role };
  const partial = strongest(fitting.map((grant) => grant.role));
  if (partial === undefined || reach !== "services") return { kind: "refused" };
  return { kind: "own", role: partial, applications: new Set(fitting.flatMap((grant) => grant.applications ?? [])) };
}

/** Decides on something that belongs to no group. */
export function decideEverywhere(grants: Grants, permission: Permission): Decision {
  const { roles } = ruleOf(permission);
  const role = strongest(grants.everywhere.filter((one) => roles.includes(one)));
  return role === undefined ? { kind: "refused" } : { kind: "granted", role };
}

/**
 * Settles a decision that depends on whose the services are.
 * @param applications of each service concerned; undefined for one that does not exist, which is nobody's own. Nor is
 *   what concerns no service at all.
 */
export function settleOwn(decision: Decision, applications: readonly (string | undefined)[]): Decision {
  if (decision.kind !== "own") return decision;
  const own =
    applications.length > 0 && applications.every((name) => name !== undefined && decision.applications.has(name));
  return own ? { kind: "granted", role: decision.role } : { kind: "refused" };
}

/** The groups in which somebody may do something, at least for some services; "all" for a role held everywhere. */
export function groupsWith(grants: Grants, permission: Permission): "all" | readonly string[] {
  if (decideEverywhere(grants, permission).kind === "granted") return "all";
  const groups = new Set(grants.bindings.map((grant) => grant.group));
  return [...groups].filter((group) => {
    const { kind } = decideInGroup(grants, permission, group);
    return kind === "granted" || kind === "own";
  });
}

const STRENGTH: readonly Role[] = ["admin", "operator", "developer", "approver", "viewer"];

function strongest(roles: readonly Role[]): Role | undefined {
  return STRENGTH.find((role) => roles.includes(role));
}
