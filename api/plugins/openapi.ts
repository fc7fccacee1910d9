import swagger from "@fastify/swagger";
import fp from "fastify-plugin";
import type { TSchema } from "typebox";
import { ProblemDocument } from "../problem.ts";

const TAGS = {
  clusters: "Kubernetes clusters that the platform may change",
  "workspace groups": "Topology: workspace groups, workspaces and cells",
  applications: "Applications, their services and immutable revisions",
  orders: "Orders: staged changes that a person steers",
  audit: "Who did what",
  health: "State of this process",
} as const;

export type Tag = keyof typeof TAGS;

/** The OpenAPI 3.1 document, made from the schemas that requests are validated with, at `/openapi.json`. */
export const openapi = fp(
  async (app) => {
    app.addSchema(ProblemDocument);
    await app.register(swagger, {
      openapi: {
        openapi: "3.1.0",
        info: {
          title: "Cellwright",
          version: "1",
          description: "Staged, stoppable, observable changes for services in cells over many Kubernetes clusters.",
        },
        tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
        components: { securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
        security: [{ bearer: [] }],
      },
      refResolver: {
        buildLocalReference: (json, _base, _fragment, index) =>
          typeof json.$id === "string" ? json.$id : `schema-${index}`,
      },
    });
    app.get("/openapi.json", { config: { access: "public" }, schema: { hide: true } }, () => app.swagger());
  },
  { name: "openapi", fastify: "5.x", dependencies: ["auth"] },
);

const MEANINGS = {
  400: "Malformed request",
  401: "No valid token",
  403: "The role does not allow it",
  404: "No such thing",
  409: "The present state does not allow it; the detail says why",
  412: "It has changed in the meantime",
  413: "Too large",
  415: "Not JSON",
  422: "Not valid; every fault is listed",
  429: "Too many at a time; the detail says what to do",
  503: "Temporarily unavailable",
} as const;

const COMMON = [400, 401, 403, 503] as const;
const WITH_BODY = [409, 413, 415, 422] as const;

/**
 * The responses of a route for its schema: its successes, and the problems that can occur.
 * @param kind whether the route reads, takes a body, or takes none but changes something.
 */
export function responses(
  kind: "read" | "body" | "bodiless",
  successes: Readonly<Record<number, TSchema>>,
  ...further: readonly (keyof typeof MEANINGS)[]
): Record<number, unknown> {
  const by = { read: [], body: WITH_BODY, bodiless: [409] as const }[kind];
  const problems = [...COMMON, ...by, ...further].toSorted((one, other) => one - other);
  return {
    ...successes,
    ...Object.fromEntries(
      problems.map((status) => [
        status,
        {
          description: MEANINGS[status],
          content: { "application/problem+json": { schema: { $ref: "Problem#" } } },
        },
      ]),
    ),
  };
}
