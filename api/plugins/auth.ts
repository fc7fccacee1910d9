import type { FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import type { Identity, Role, VerifyToken } from "../identity.ts";
import { Problem } from "../problem.ts";

/** What a route needs: nothing, a role that reads, or a role that writes. */
type Access = "public" | "read" | "write";

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Who makes the request; null on public routes. */
    identity: Identity | null;
  }
}

const GRANTED: Readonly<Record<Exclude<Access, "public">, readonly Role[]>> = {
  read: ["viewer", "admin"],
  write: ["admin"],
};

/** Bearer tokens. A route that does not say what it needs cannot be registered: denied unless granted. */
export const auth = fp<{ readonly verifyToken: VerifyToken }>(
  (app, { verifyToken }, done) => {
    app.decorateRequest("identity", null);
    app.addHook("onRoute", (route) => {
      if (route.config?.access === undefined) {
        throw new Error(`Route ${String(route.method)} ${route.url} must declare config.access: public, read or write`);
      }
    });
    app.addHook("onRequest", async (request) => {
      const { access } = request.routeOptions.config;
      // Unknown addresses have no access to declare; they are answered 404 without looking at anything.
      if (request.is404 || access === "public") return;
      const identity = await authenticate(request, verifyToken);
      request.identity = identity;
      // Without a declaration nobody gets in.
      const granted = access === undefined ? [] : GRANTED[access];
      if (!identity.roles.some((role) => granted.includes(role))) {
        throw new Problem(
          "forbidden",
          `This needs the role ${granted.map((role) => `"${role}"`).join(" or ")}; the token of "${identity.subject}" ` +
            `has ${identity.roles.length === 0 ? "none" : identity.roles.map((role) => `"${role}"`).join(", ")}.`,
        );
      }
    });
    done();
  },
  { name: "auth", fastify: "5.x", dependencies: ["problems"] },
);

async function authenticate(request: FastifyRequest, verifyToken: VerifyToken): Promise<Identity> {
  const header = request.headers.authorization;
  const token = header === undefined ? null : /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(header);
  if (token === null) {
    throw new Problem("unauthenticated", 'Send a token in the header "Authorization: Bearer <token>".', {
      headers: { "WWW-Authenticate": 'Bearer realm="cellwright"' },
    });
  }
  const check = await verifyToken(token[1] ?? "");
  if (check.kind === "rejected") {
    throw new Problem("unauthenticated", `The token is not accepted: ${check.why}.`, {
      headers: { "WWW-Authenticate": 'Bearer realm="cellwright", error="invalid_token"' },
    });
  }
  return check.identity;
}
