import type { RouteOptions } from "fastify";
import { describe, expect, test } from "vitest";
import { placeOf, type RoutePermission } from "../../../api/access/place.ts";

const route = (method: string, url: string, permission?: RoutePermission, schema: object = {}): RouteOptions => ({
  method,
  url: `/api/v1${url}`,
  schema,
  handler: () => "",
  config: permission === undefined ? {} : { permission },
});
const verbs = (...names: string[]) => ({ params: { properties: { verb: { enum: names } } } });

describe("where a route acts", () => {
  test.each<[RouteOptions, object]>([
    [route("GET", "/healthz", "public"), { kind: "everywhere" }],
    [route("GET", "/clusters/:name", "clusters.read"), { kind: "everywhere" }],
    [route("PUT", "/clusters/:name", "clusters.write"), { kind: "everywhere" }],
    [route("GET", "/workspace-groups/:group", "groups.read"), { kind: "group" }],
    [route("PUT", "/workspace-groups/:group/cells/:name", "topology.write"), { kind: "group" }],
    [
      route("POST", "/workspace-groups/:group/app-services/:service/revisions", "revisions.write"),
      { kind: "service", param: "service" },
    ],
    [
      route("PUT", "/workspace-groups/:group/app-services/:name", "app-services.write"),
      { kind: "service", param: "name" },
    ],
    [route("GET", "/release-orders/:id/events", "orders.read"), { kind: "order", of: "release" }],
    [
      route("POST", "/emergency-orders/:id/actions/:verb", "by-verb", verbs("start")),
      { kind: "order", of: "emergency" },
    ],
    [
      route("POST", "/release-orders", "orders.create", { body: { properties: { workspaceGroup: {} } } }),
      { kind: "body" },
    ],
  ])("%o", (options, place) => expect(placeOf(options)).toEqual(place));
});

describe("a route that could not be refused to the right people is not served", () => {
  test.each<[string, RouteOptions, RegExp]>([
    ["no permission", route("GET", "/open"), /GET \/api\/v1\/open must declare config.permission/],
    ["an unknown one", route("GET", "/x", "orders.reed" as RoutePermission), /"orders.reed", which .* does not know/],
    ["one of every object", route("GET", "/x", "toString" as RoutePermission), /does not know/],
    [
      "verbs without permission",
      route("POST", "/release-orders/:id/actions/:verb", "by-verb", verbs("start", "explode")),
      /explode/,
    ],
    ["no verbs", route("POST", "/release-orders/:id/actions/:verb", "by-verb"), /offers verbs/],
    [
      "verbs on nothing",
      route("POST", "/robots/:name/actions/:verb", "by-verb", verbs("start")),
      /must name the order/,
    ],
    [
      "a service that is not named",
      route("POST", "/workspace-groups/:group/x", "revisions.write"),
      /must name the app service/,
    ],
    [
      "no place",
      route("POST", "/release-orders", "orders.create"),
      /must say by its address or its body's workspaceGroup/,
    ],
    ["writing to no place", route("PUT", "/things/:name", "topology.write"), /must say by its address/],
  ])("%s", (_what, options, message) => expect(() => placeOf(options)).toThrow(message));
});
