import type { FastifyRequest } from "fastify";
import type { ExpectedVersion } from "../domain/catalogue/refusal.ts";
import { Problem } from "./problem.ts";

/** Path of a request, without its query. */
export function pathOf(request: FastifyRequest): string {
  const end = request.url.indexOf("?");
  // Bounded because it is stored and repeated in answers.
  return (end === -1 ? request.url : request.url.slice(0, end)).slice(0, 2048);
}

/** What `If-Match` requires. @throws Problem when the header is not a single entity tag or `*`. */
export function expectedVersion(request: FastifyRequest): ExpectedVersion {
  const header = request.headers["if-match"];
  if (header === undefined) return undefined;
  if (header.trim() === "*") return "any";
  const tag = /^(W\/)?"([^"]*)"$/.exec(header.trim());
  if (tag === null) {
    throw new Problem("malformed-request", 'The header If-Match must be one entity tag such as "3", or *.', {
      errors: [{ field: "header:If-Match", message: 'must be one entity tag such as "3", or *' }],
    });
  }
  const [, weak, version = ""] = tag;
  // A weak tag, or one that this API never gave, matches nothing; versions begin at 1.
  return weak === undefined && /^[1-9][0-9]{0,9}$/.test(version) ? Number(version) : 0;
}

/** The entity tag of a version. */
export function entityTag(version: number): string {
  return `"${version}"`;
}
