import type { FastifySchema } from "fastify";
import fp from "fastify-plugin";
import type { TSchema } from "typebox";
import { Convert } from "typebox/value";
import { schemaFaults, type Fault } from "../../domain/catalogue/faults.ts";
import { invalid, Problem } from "../problem.ts";

/**
 * Validates requests with the same code as the domain, all faults at once. Bodies are taken as they are: `"3"` is not
 * 3. Queries are text by nature and are converted first. Unknown fields are refused by the schemas.
 */
export const validation = fp(
  (app, _options, done) => {
    app.setValidatorCompiler<TSchema & FastifySchema>(({ schema, httpPart }) => (data: unknown) => {
      const value = httpPart === "querystring" ? Convert(schema, data) : data;
      const faults = schemaFaults(schema, value);
      if (faults.length === 0) return { value };
      return { error: problemIn(httpPart, faults) };
    });
    // Response schemas document; the handlers' types make them true.
    app.setSerializerCompiler(() => JSON.stringify);
    done();
  },
  { name: "validation", fastify: "5.x" },
);

const PREFIX: Readonly<Record<string, string>> = { params: "path", querystring: "query", headers: "header" };

function problemIn(httpPart: string | undefined, faults: readonly Fault[]): Problem {
  const prefix = PREFIX[httpPart ?? "body"];
  if (prefix === undefined) return invalid(faults);
  const errors = faults.map(({ field, message }) => ({ field: `${prefix}:${field.slice(1)}`, message }));
  if (httpPart === "params") return invalid(errors);
  const [first] = errors;
  return new Problem("malformed-request", `${first?.field ?? prefix} ${first?.message ?? "is malformed"}.`, { errors });
}
