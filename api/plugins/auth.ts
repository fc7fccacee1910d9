import type { FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import type { DatabaseHandle } from "../../db/client.ts";
import { holdsNothing } from "../../domain/access/decide.ts";
import { authorise, authoriseBody, deny } from "../access/authorise.ts";
import { grantsOf } from "../access/grants.ts";
import { placeOf, type Place, type RoutePermission } from "../access/place.ts";
import type { Identity, VerifyToken } from "../identity.ts";
import { Problem } from "../problem.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** What a call of the route needs. A route without it is not served. */
    permission?: RoutePermission;
    /** Its calls leave an audit record though they only read. */
    audited?: true;
    /** Where the route acts; found by this plugin. */
    place?: Place;
  }
  interface FastifyRequest {
    /** Who makes the request; null on public routes. */
    identity: Identity | null;
  }
}

interface AuthOptions {
  readonly verifyToken: VerifyToken;
  readonly database: DatabaseHandle;
}

/** Bearer tokens and role bindings. Denied unless granted, and a route that does not say what it needs cannot be served. */
export const auth = fp<AuthOptions>(
  (app, { verifyToken, database: { db } }, done) => {
    app.decorateRequest("identity", null);
    app.decorateRequest("access", null);
    app.decorateRequest("concernsGroup", null);
    app.decorateRequest("denied", false);
    app.addHook("onRoute", (route) => {
      const place = placeOf(route);
      route.config = { ...route.config, place };
    });
    app.addHook("onRequest", async (request) => {
      // Unknown addresses have nothing to declare; they are answered 404 without looking at anything.
      const { permission, place } = request.routeOptions.config;
      if (request.is404 || permission === "public") return;
      const identity = await authenticate(request, verifyToken);
      request.identity = identity;
      const grants = await grantsOf(db, identity);
      if (permission === undefined || place === undefined || holdsNothing(grants)) {
        throw deny(
          request,
          new Problem("forbidden", `"${identity.subject}" has no role. Ask an administrator for a role binding.`),
        );
      }
      await authorise({ tx: db, request, grants, place }, permission);
    });
    app.addHook("preHandler", async (request) => {
      const { permission, place } = request.routeOptions.config;
      if (place?.kind !== "body" || request.access === null) return;
      if (permission === undefined || permission === "public" || permission === "by-verb") return;
      await authoriseBody({ tx: db, request, grants: request.access.grants, place }, permission);
    });
    done();
  },
  { name: "auth", fastify: "5.x", dependencies: ["problems"] },
);

async function authenticate(request: FastifyRequest, verifyToken: VerifyToken): Promise<Identity> {
  const header = request.headers.authorization;
  const token = header === undefined ? null : /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(header);
  if (token === null) {
    // Nobody in particular has tried to read something: no record, or anybody could fill the records without end.
    throw new Problem("unauthenticated", 'Send a token in the header "Authorization: Bearer <token>".', {
      headers: { "WWW-Authenticate": 'Bearer realm="cellwright"' },
    });
  }
  const check = await verifyToken(token[1] ?? "");
  switch (check.kind) {
    case "accepted":
      return check.identity;
    case "rejected":
      throw deny(
        request,
        new Problem("unauthenticated", `The token is not accepted: ${check.why}.`, {
          headers: { "WWW-Authenticate": 'Bearer realm="cellwright", error="invalid_token"' },
        }),
      );
    case "unavailable":
      throw new Problem("unavailable", `The token cannot be checked: ${check.why}. Try again in a few seconds.`, {
        headers: { "Retry-After": "5" },
      });
  }
}
