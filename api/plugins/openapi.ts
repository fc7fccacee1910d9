import swagger, { type FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import fp from "fastify-plugin";
import type { TSchema } from "typebox";
import { NAMED_SCHEMAS, shareComponents } from "../openapi/components.ts";
import { BODY_EXAMPLES } from "../openapi/examples.ts";
import { operationId } from "../openapi/operation-id.ts";
import { NAMED_RESPONSES, problemResponse, type ProblemStatus } from "../openapi/problems.ts";
import { ProblemDocument } from "../problem.ts";

const TAGS = {
  clusters: "Kubernetes clusters that the platform may change",
  "workspace groups": "Topology: workspace groups, workspaces and cells",
  applications: "Applications, their services and immutable revisions",
  orders: "Orders: staged changes that a person steers",
  access: "Who may do what",
  dashboard: "How things stand, in numbers",
  audit: "Who did what, or was refused to",
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
        components: {
          securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
          schemas: NAMED_SCHEMAS,
          responses: NAMED_RESPONSES,
        },
        security: [{ bearer: [] }],
      },
      transformObject: (made) => ("openapiObject" in made ? share(complete(made.openapiObject)) : made.swaggerObject),
      refResolver: {
        buildLocalReference: (json, _base, _fragment, index) =>
          typeof json.$id === "string" ? json.$id : `schema-${index}`,
      },
    });
    app.get("/openapi.json", { config: { permission: "public" }, schema: { hide: true } }, () => app.swagger());
  },
  { name: "openapi", fastify: "5.x", dependencies: ["auth"] },
);

type Document = Partial<
  Extract<
    Parameters<NonNullable<FastifyDynamicSwaggerOptions["transformObject"]>>[0],
    { openapiObject: unknown }
  >["openapiObject"]
>;

/** Gives every operation its name and an example of its body, and says whether that must be sent. */
function complete(document: Document): Document {
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const method of ["get", "put", "post", "patch", "delete"] as const) {
      const operation = operations?.[method];
      if (operation === undefined) continue;
      operation.operationId ??= operationId(method, path);
      const body = operation.requestBody;
      if (body === undefined || !("content" in body)) continue;
      const example = BODY_EXAMPLES[operation.operationId];
      for (const media of Object.values(body.content)) {
        // Where nothing will do as well, a body need not be sent; the library says of all that they must.
        if (admitsNull(media.schema)) body.required = false;
        if (example !== undefined) media.example ??= example;
      }
    }
  }
  return document;
}

/** Says once what would be said at every operation: written out, the document is five times as long. */
function share(document: Document): Document {
  const { paths = {}, components = {} } = document;
  return Object.assign(document, shareComponents({ paths, components: { ...components } }));
}

function admitsNull(schema: object | undefined): boolean {
  const { anyOf = [] } = (schema ?? {}) as { anyOf?: { type?: string }[] };
  return anyOf.some(({ type }) => type === "null");
}

const COMMON = [400, 401, 403, 503] as const;
const WITH_BODY = [409, 413, 415, 422] as const;

/**
 * The responses of a route for its schema: its successes, and the problems that can occur.
 * @param kind whether the route reads, takes a body, or takes none but changes something.
 */
export function responses(
  kind: "read" | "body" | "bodiless",
  successes: Readonly<Record<number, TSchema>>,
  ...further: readonly ProblemStatus[]
): Record<number, unknown> {
  const by = { read: [], body: WITH_BODY, bodiless: [409] as const }[kind];
  const problems = [...COMMON, ...by, ...further].toSorted((one, other) => one - other);
  return {
    ...successes,
    ...Object.fromEntries(problems.map((status) => [status, problemResponse(status)])),
  };
}
