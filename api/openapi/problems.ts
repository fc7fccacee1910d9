/** What problems look like in the OpenAPI document. */
import { Problem } from "../problem.ts";

const faults = [{ field: "/apps/0/service", message: "there is no app service crt in workspace group shop" }];

/** By status: what it means, and an example. */
const PROBLEMS = {
  400: ["Malformed request", new Problem("malformed-request", "query:limit must be a whole number from 1 to 200.")],
  401: ["No valid token", new Problem("unauthenticated", "The token is not accepted: it has expired.")],
  403: ["The role does not allow it", new Problem("forbidden", 'This needs the role "admin".')],
  404: ["No such thing", new Problem("not-found", "There is no release order 1m7y; list the orders for their ids.")],
  409: [
    "The present state does not allow it; the detail says why",
    new Problem("in-use", 'The cell "cell-a" is used by cart; delete or change what uses it first.', {
      members: { dependants: ["cart"] },
    }),
  ],
  412: [
    "It has changed in the meantime",
    new Problem("precondition-failed", 'The cell "cell-a" is at version 4 now; read it again and decide anew.'),
  ],
  413: ["Too large", new Problem("payload-too-large", "The body is larger than 1 MiB; send less.")],
  415: ["Not JSON", new Problem("unsupported-media-type", "Send the body as JSON.")],
  422: [
    "Not valid; every fault is listed",
    new Problem("validation-failed", `${faults[0]?.field} ${faults[0]?.message}.`, { errors: faults }),
  ],
  429: [
    "Too many at a time; the detail says what to do",
    new Problem("too-many-streams", '"ann" has 50 event streams open, which is all that one subject may have.'),
  ],
  503: [
    "Temporarily unavailable",
    new Problem("unavailable", "The database is away or busy. Try again in a few seconds."),
  ],
} as const;

export type ProblemStatus = keyof typeof PROBLEMS;

/** The response of a problem, for a route's schema. */
export function problemResponse(status: ProblemStatus): object {
  return describe(status, "Problem#");
}

function describe(status: ProblemStatus, $ref: string) {
  const [description, problem] = PROBLEMS[status];
  const example = problem.document("/api/v1/…", "7d0c2f0e-6f0b-4d59-9a53-0c5b1f3a2b10");
  return { description, content: { "application/problem+json": { schema: { $ref }, example } } };
}

/** The same responses as the document has them, by the names that it gives them. */
export const NAMED_RESPONSES = Object.fromEntries(
  Object.keys(PROBLEMS).map((status) => [
    `Problem${status}`,
    describe(Number(status) as ProblemStatus, "#/components/schemas/Problem"),
  ]),
);
