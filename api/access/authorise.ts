/** The one place where a call is allowed or refused. */
import type { FastifyRequest } from "fastify";
import type { Tx } from "../../db/client.ts";
import { getGroup } from "../../db/repositories/groups.ts";
import { applicationsOfOrder, applicationsOfServices, groupOfOrder } from "../../db/repositories/ownership.ts";
import { decideEverywhere, decideInGroup, groupsWith, settleOwn } from "../../domain/access/decide.ts";
import type { Decision, Grants } from "../../domain/access/decide.ts";
import { ruleOf, VERB_PERMISSIONS, type Permission } from "../../domain/access/permissions.ts";
import type { Role } from "../../domain/access/roles.ts";
import { Problem } from "../problem.ts";
import type { Place, RoutePermission } from "./place.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** What the call may see and do; null on public routes. */
    access: Access | null;
    /** The workspace group that the call concerns, once that is known; it may not exist. */
    concernsGroup: string | null;
    /** The call was refused for want of a token or of a role. */
    denied: boolean;
  }
}

/** What a call that has been let in may see, and as what it was let in. */
export interface Access {
  readonly grants: Grants;
  /** The role that allows the call. */
  readonly role: Role;
  /** The groups to which the call's permission extends: what a list may show. */
  readonly groups: "all" | readonly string[];
}

/** The access of a call that has been let in. */
export function accessOf(request: FastifyRequest): Access {
  if (request.access === null) throw new Error("This route is public: it has no access to speak of");
  return request.access;
}

/**
 * For lists that are asked for one group.
 * @throws Problem when there is no such group, or none that the caller may know
 */
export async function assertVisible(tx: Tx, request: FastifyRequest, group: string): Promise<void> {
  const { groups } = accessOf(request);
  request.concernsGroup = group;
  if (groups !== "all" && !groups.includes(group)) throw deny(request, new Problem("not-found", noGroup(group)));
  if ((await getGroup(tx, group)) === undefined) throw new Problem("not-found", noGroup(group));
}

interface Call {
  readonly tx: Tx;
  readonly request: FastifyRequest;
  readonly grants: Grants;
  readonly place: Place;
}

/**
 * Allows a call by its address, or throws. What a body names is looked at afterwards (`authoriseBody`): here it is only
 * asked whether there is any group in which this may be done.
 * @throws Problem 404 for what may not even be known, in the same words as for what does not exist; 403 otherwise
 */
export async function authorise(call: Call, declared: Exclude<RoutePermission, "public">): Promise<void> {
  const { request, grants, place } = call;
  const params = request.params as Readonly<Record<string, string | undefined>>;
  // A verb that no route offers gets no further than validation, which says so to whoever may read the order.
  const permission =
    declared === "by-verb" ? (VERB_PERMISSIONS[params["verb"] ?? ""] ?? ("orders.read" as const)) : declared;
  switch (place.kind) {
    case "everywhere":
    case "body": {
      const groups = groupsWith(grants, permission);
      const { reach } = ruleOf(permission);
      const decision = decideEverywhere(grants, permission);
      if (decision.kind === "granted") return admit(call, permission, decision.role);
      if (reach === "installation" || groups.length === 0) throw refusal(call, permission);
      return admit(call, permission, roleIn(grants, permission, groups[0] ?? ""));
    }
    case "group": {
      const group = params["group"] ?? "";
      return settle(call, permission, group, () => Promise.resolve([]));
    }
    case "service": {
      const [group, service] = [params["group"] ?? "", params[place.param] ?? ""];
      return settle(call, permission, group, () => servicesIn(call.tx, group, [service]));
    }
    case "order":
      return authoriseOrder(call, permission, place.of, params["id"] ?? "");
  }
}

/** Allows what a validated body names, or throws. */
export async function authoriseBody(call: Call, permission: Permission): Promise<void> {
  const body = call.request.body as {
    readonly workspaceGroup: string;
    readonly apps?: readonly { readonly service: string }[];
    readonly supersedes?: string;
  };
  const group = body.workspaceGroup;
  const services = (body.apps ?? []).map(({ service }) => service);
  await settle(call, permission, group, async () => [
    ...(await servicesIn(call.tx, group, services)),
    // Who takes an order's place ends it: that is for whom all of it is their own.
    ...(body.supersedes === undefined ? [] : await applicationsOfOrder(call.tx, group, body.supersedes)),
  ]);
}

async function authoriseOrder(call: Call, permission: Permission, kind: string, id: string): Promise<void> {
  const { tx, request, grants } = call;
  const group = /^[a-z0-9]{1,40}$/.test(id) ? await groupOfOrder(tx, kind, id) : undefined;
  const hidden = () => new Problem("not-found", `There is no ${kind} order ${id}; list the orders for their ids.`);
  if (group === undefined) {
    // Who may read every group learns from the handler what is wrong with the id.
    const everywhere = grants.everywhere[0];
    if (everywhere === undefined) throw deny(request, hidden());
    return admit(call, permission, everywhere);
  }
  return settle(call, permission, group, () => applicationsOfOrder(tx, group, id), hidden);
}

async function settle(
  call: Call,
  permission: Permission,
  group: string,
  applications: () => Promise<readonly (string | undefined)[]>,
  hidden = () => new Problem("not-found", noGroup(group)),
): Promise<void> {
  const { request, grants } = call;
  request.concernsGroup = group;
  let decision: Decision = decideInGroup(grants, permission, group);
  if (decision.kind === "own") decision = settleOwn(decision, await applications());
  if (decision.kind === "granted") return admit(call, permission, decision.role);
  throw decision.kind === "hidden" ? deny(request, hidden()) : refusal(call, permission, group);
}

/** Said of groups that do not exist and of groups that the caller may not know, in the same words. */
export function noGroup(group: string): string {
  return `There is no workspace group "${group}"; create it first, or check the name.`;
}

function admit({ request, grants }: Call, permission: Permission, role: Role): void {
  request.access = { grants, role, groups: groupsWith(grants, permission) };
}

function refusal({ request, grants }: Call, permission: Permission, group?: string): Problem {
  const { reach, roles } = ruleOf(permission);
  const who = request.identity?.subject ?? "nobody";
  const needed = roles.map((role) => `"${role}"`).join(" or ");
  const where = reach === "installation" ? " everywhere" : group === undefined ? "" : ` in workspace group "${group}"`;
  const whose = reach === "services" ? " for all services concerned" : "";
  const held = [
    ...grants.everywhere.map((role) => `"${role}" everywhere`),
    ...grants.bindings
      .filter((grant) => grant.group === group)
      .map(({ role, applications }) => `"${role}"${applications ? ` for ${applications.join(", ")}` : ""}`),
  ];
  return deny(
    request,
    new Problem(
      "forbidden",
      `This needs the role ${needed}${where}${whose}; "${who}" has ${held.length === 0 ? "none" : held.join(", ")}` +
        `${group === undefined ? "" : " there"}. Ask an administrator for a role binding.`,
      { members: { permission } },
    ),
  );
}

/** Marks the call as denied, for its audit record. */
export function deny(request: FastifyRequest, problem: Problem): Problem {
  request.denied = true;
  return problem;
}

function roleIn(grants: Grants, permission: Permission, group: string): Role {
  const decision = decideInGroup(grants, permission, group);
  if (decision.kind !== "granted" && decision.kind !== "own") throw new Error(`No ${permission} in ${group}`);
  return decision.role;
}

async function servicesIn(tx: Tx, group: string, services: readonly string[]): Promise<(string | undefined)[]> {
  // What cannot be a name is nobody's; the database would not even take some of it.
  if ([group, ...services].some((name) => !/^[a-z0-9-]{1,64}$/.test(name))) return [undefined];
  return applicationsOfServices(tx, group, services);
}
