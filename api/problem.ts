import Type, { type Static } from "typebox";
import type { Fault } from "../domain/catalogue/faults.ts";
import type { Refusal } from "../domain/catalogue/refusal.ts";

/** What can go wrong: slug → status and title. Slugs are part of the contract; clients branch on them. */
const KINDS = {
  "malformed-request": { status: 400, title: "The request is malformed" },
  unauthenticated: { status: 401, title: "No valid token was given" },
  forbidden: { status: 403, title: "The role does not allow this" },
  "not-found": { status: 404, title: "No such thing" },
  conflict: { status: 409, title: "The present state does not allow this" },
  "in-use": { status: 409, title: "Something depends on this" },
  "verb-not-allowed": { status: 409, title: "The state does not allow this action" },
  "stale-task": { status: 409, title: "The task belongs to an older plan" },
  "digest-mismatch": { status: 409, title: "The plan has changed since the preview" },
  locked: { status: 409, title: "Another order holds a service" },
  "already-changed": { status: 409, title: "Something has been changed already" },
  "initialisation-failed": { status: 409, title: "The world could not be looked at" },
  "needed-by-others": { status: 409, title: "Others need what would be rolled back" },
  "undo-failed": { status: 409, title: "Something could not be taken back" },
  "precondition-failed": { status: 412, title: "It has changed in the meantime" },
  "payload-too-large": { status: 413, title: "The request is too large" },
  "unsupported-media-type": { status: 415, title: "The content type is not supported" },
  "validation-failed": { status: 422, title: "The content is not valid" },
  "idempotency-key-reused": { status: 422, title: "The idempotency key was used for another request" },
  "too-many-questions": { status: 429, title: "Too many questions about pods are under way" },
  "too-many-streams": { status: 429, title: "Too many event streams are open" },
  internal: { status: 500, title: "Something unexpected went wrong" },
  unavailable: { status: 503, title: "A part of the platform is away" },
  unaudited: { status: 503, title: "Done, but its audit record could not be stored" },
} as const;

export type ProblemKind = keyof typeof KINDS;

/** The body of every answer that is not a success (RFC 9457). */
export const ProblemDocument = Type.Object(
  {
    type: Type.String({ description: "Stable identifier of the kind of problem, e.g. /problems/in-use" }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "What is wrong, where, and what to do about it" }),
    instance: Type.String({ description: "Path of the request" }),
    requestId: Type.String({ description: "Finds the request in logs and audit records" }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          field: Type.String({
            description: "JSON pointer into the body, or path:<name>, query:<name>, header:<name>",
          }),
          message: Type.String(),
        }),
      ),
    ),
  },
  {
    $id: "Problem",
    // Kinds of problems add members of their own, as RFC 9457 foresees.
    additionalProperties: true,
  },
);
export type ProblemDocument = Static<typeof ProblemDocument> & Readonly<Record<string, unknown>>;

interface ProblemOptions {
  readonly errors?: readonly Fault[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Members that this kind of problem adds to the document. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** Thrown by handlers to answer with a problem. `detail` is shown to the caller. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly kind: ProblemKind;
  readonly options: ProblemOptions;

  constructor(kind: ProblemKind, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.kind = kind;
    this.options = options;
  }

  get status(): number {
    return KINDS[this.kind].status;
  }

  get type(): string {
    return `/problems/${this.kind}`;
  }

  document(instance: string, requestId: string): ProblemDocument {
    return {
      ...this.options.members,
      type: this.type,
      title: KINDS[this.kind].title,
      status: this.status,
      detail: this.message,
      instance,
      requestId,
      ...(this.options.errors === undefined ? {} : { errors: [...this.options.errors] }),
    };
  }
}

/** A problem made of faults in the content of a request. */
export function invalid(faults: readonly Fault[]): Problem {
  const [first] = faults;
  const where = first === undefined ? "" : `${first.field === "" ? "The body" : first.field} ${first.message}`;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more, see errors)` : "";
  return new Problem("validation-failed", `${where}${more}.`, { errors: faults });
}

/** The catalogue's refusals as problems. */
export function refused(refusal: Refusal): Problem {
  switch (refusal.kind) {
    case "not-found":
      return new Problem("not-found", `There is no ${refusal.what}; create it first, or check the name.`);
    case "stale": {
      const now = refusal.version === undefined ? "does not exist" : `is at version ${refusal.version} now`;
      return new Problem("precondition-failed", `The ${refusal.what} ${now}; read it again and decide anew.`);
    }
    case "in-use":
      return new Problem(
        "in-use",
        `The ${refusal.what} is used by ${refusal.dependants.join(", ")}; delete or change what uses it first.`,
        { members: { dependants: refusal.dependants } },
      );
    case "conflict":
      return new Problem("conflict", `${refusal.why.charAt(0).toUpperCase()}${refusal.why.slice(1)}.`);
    case "invalid":
      return invalid(refusal.faults);
  }
}
