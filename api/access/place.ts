/** Where in the world a route acts, read off its address when it is declared: nothing about it can be forgotten. */
import type { RouteOptions } from "fastify";
import { PERMISSIONS, ruleOf, VERB_PERMISSIONS, type Permission } from "../../domain/access/permissions.ts";

/**
 * `public`: anybody. A permission: whoever has it. `by-verb`: what the path's last part, the verb, needs
 * (`VERB_PERMISSIONS`).
 */
export type RoutePermission = "public" | "by-verb" | Permission;

/** How the workspace group and the services that a call concerns are found. */
export type Place =
  /** In none: things of the installation, or lists, which their handlers narrow down. */
  | { readonly kind: "everywhere" }
  | { readonly kind: "group" }
  /** `param` holds the service's name. */
  | { readonly kind: "service"; readonly param: "service" | "name" }
  | { readonly kind: "order"; readonly of: string }
  /** The body names them; it is read later than addresses are. */
  | { readonly kind: "body" };

/**
 * The place of a route.
 * @throws Error when the route does not declare what it needs, or its address does not say where it acts: it could not
 * be refused to the right people, and must not be served.
 */
export function placeOf(route: RouteOptions): Place {
  const name = `Route ${String(route.method)} ${route.url}`;
  const permission = route.config?.permission;
  if (permission === undefined) {
    throw new Error(
      `${name} must declare config.permission: "public", "by-verb", or one of domain/access/permissions.ts`,
    );
  }
  if (permission === "public") return { kind: "everywhere" };
  const place = inAddress(route);
  if (permission === "by-verb") {
    const unknown = verbsOf(route).filter((verb) => VERB_PERMISSIONS[verb] === undefined);
    if (unknown.length > 0 || verbsOf(route).length === 0) {
      throw new Error(`${name} offers verbs that domain/access/permissions.ts does not know: ${unknown.join(", ")}`);
    }
    if (place.kind !== "order") throw new Error(`${name} must name the order that its verbs steer, as :id`);
    return place;
  }
  if (!Object.hasOwn(PERMISSIONS, permission)) {
    throw new Error(
      `${name} declares the permission "${permission}", which domain/access/permissions.ts does not know`,
    );
  }
  const { reach } = ruleOf(permission);
  if (reach === "services" && place.kind === "group") {
    throw new Error(
      `${name} must name the app service that "${permission}" is about, as :service or app-services/:name`,
    );
  }
  if (place.kind !== "everywhere" || reach === "installation" || isReading(route.method)) return place;
  const body = route.schema?.body as { properties?: Readonly<Record<string, unknown>> } | undefined;
  if (body?.properties?.["workspaceGroup"] === undefined) {
    throw new Error(`${name} must say by its address or its body's workspaceGroup where it acts`);
  }
  return { kind: "body" };
}

function inAddress({ url }: RouteOptions): Place {
  const service = /\/workspace-groups\/:group\/app-services\/:(service|name)(\/|$)/.exec(url);
  if (service !== null) return { kind: "service", param: service[1] as "service" | "name" };
  if (/\/workspace-groups\/:group(\/|$)/.test(url)) return { kind: "group" };
  const order = /\/([a-z]+)-orders\/:id(\/|$)/.exec(url);
  if (order !== null) return { kind: "order", of: order[1] ?? "" };
  return { kind: "everywhere" };
}

/** The verbs that a route offers, by its schema. */
function verbsOf({ schema }: RouteOptions): readonly string[] {
  const params = schema?.params as { properties?: { verb?: { enum?: readonly string[] } } } | undefined;
  return params?.properties?.verb?.enum ?? [];
}

function isReading(method: string | readonly string[]): boolean {
  return [method].flat().every((one) => one === "GET" || one === "HEAD");
}
