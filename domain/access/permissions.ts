/** The table of permissions: what exists to be allowed, and which roles allow it. Whatever is not in it, nobody may do. */
import type { OrderVerb, TaskVerb } from "../pipeline/model.ts";
import type { Role } from "./roles.ts";

/**
 * What a permission is about. `installation`: things of no group; only roles held everywhere count. `group`: a whole
 * workspace group; bindings for some applications do not count. `services`: app services; bindings for some applications
 * count for the services of these. `reading`: a whole group; every binding in it counts.
 */
type Reach = "installation" | "group" | "services" | "reading";

interface Rule {
  readonly reach: Reach;
  readonly roles: readonly Role[];
}

const readers = { reach: "reading", roles: ["viewer", "approver", "developer", "operator", "admin"] } as const;
const rulers = { reach: "group", roles: ["admin"] } as const;
const releasers = { reach: "services", roles: ["developer", "operator", "admin"] } as const;
/** Not for developers, not even for their own services. */
const deciders = { reach: "services", roles: ["operator", "admin"] } as const;

export const PERMISSIONS = {
  "clusters.read": readers,
  "clusters.write": { reach: "installation", roles: ["admin"] },
  "groups.read": readers,
  "groups.write": rulers,
  /** Workspaces and cells. */
  "topology.read": readers,
  "topology.write": rulers,
  "role-bindings.read": readers,
  "role-bindings.write": rulers,
  "applications.read": readers,
  "applications.write": rulers,
  "app-services.read": readers,
  "app-services.write": rulers,
  "revisions.read": readers,
  "revisions.write": releasers,
  "orders.read": readers,
  "orders.create": releasers,
  /** Start, confirm, retry, pause, resume, cancel, roll back. */
  "orders.steer": releasers,
  /** Against what a check or the plan says: ignore, terminate. A reason is required by the order. */
  "orders.override": deciders,
  "orders.release-locks": { reach: "services", roles: ["admin"] },
  "dashboard.read": readers,
  "audit.read": { reach: "group", roles: ["operator", "admin"] },
} as const satisfies Readonly<Record<string, Rule>>;

export type Permission = keyof typeof PERMISSIONS;

export function ruleOf(permission: Permission): Rule {
  return PERMISSIONS[permission];
}

type VerbPermissions = Readonly<Record<OrderVerb | TaskVerb, Permission>> & Readonly<Record<string, Permission>>;

/** Which permission each verb on orders, apps and tasks needs. A verb that is not here cannot be offered by a route. */
export const VERB_PERMISSIONS: VerbPermissions = {
  initialise: "orders.steer",
  start: "orders.steer",
  pause: "orders.steer",
  resume: "orders.steer",
  cancel: "orders.steer",
  confirm: "orders.steer",
  retry: "orders.steer",
  rollback: "orders.steer",
  "confirm-rollback": "orders.steer",
  "cancel-rollback": "orders.steer",
  terminate: "orders.override",
  ignore: "orders.override",
  "release-locks": "orders.release-locks",
};
