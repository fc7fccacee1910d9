/**
 * The life of a revision: DRAFT → SUBMITTED → RELEASED. A draft can change and has no number; there is one per app service.
 * Submitting makes the next numbered revision of it, which never changes. RELEASED: some order has released it
 * successfully, be it rolled back since; which one runs now is another question, answered by `current`.
 */
import Type, { type Static } from "typebox";
import { AppServiceName } from "../catalogue/names.ts";
import { Revision, RevisionSpec } from "../catalogue/revision.ts";

const closed = { additionalProperties: false } as const;

const REVISION_STATES = ["SUBMITTED", "RELEASED"] as const;

const time = Type.String({ format: "date-time" });

/** One success of a release of a revision. */
const Release = Type.Object(
  { order: Type.String({ description: "Id of the order that released it" }), title: Type.String(), at: time },
  closed,
);

/** A revision as it is answered: what is stored, and what the records say became of it. */
export const RevisionView = Type.Object(
  {
    ...Revision.properties,
    state: Type.Enum([...REVISION_STATES]),
    current: Type.Boolean({ description: "By the records of orders, it is this revision that runs now" }),
    releasedBy: Type.Array(Release, { description: "Orders that released it successfully, newest first, at most 10" }),
  },
  closed,
);

/** The one draft of an app service. */
export const RevisionDraft = Type.Object(
  {
    service: AppServiceName,
    state: Type.Enum(["DRAFT"]),
    base: Type.Optional(Type.Integer({ minimum: 1, description: "The revision that it was copied from" })),
    ...RevisionSpec.properties,
    createdBy: Type.String(),
    updatedBy: Type.String(),
    version: Type.Integer({ minimum: 1 }),
    createdAt: time,
    updatedAt: time,
  },
  closed,
);

export type Release = Static<typeof Release>;
export type RevisionView = Static<typeof RevisionView>;
export type RevisionDraft = Static<typeof RevisionDraft>;
