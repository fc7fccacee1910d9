/** Revisions as documents: what is exported can be imported into another service, group or installation. */
import Type, { type Static } from "typebox";
import type { Fault } from "../catalogue/faults.ts";
import { AppServiceName, WorkspaceGroupName } from "../catalogue/names.ts";
import { RevisionBody, type Revision, type RevisionSpec } from "../catalogue/revision.ts";
import { revisionFaults } from "../catalogue/validate.ts";

const closed = { additionalProperties: false } as const;

const API_VERSION = "cellwright.io/v1";
const KIND = "Revision";

/** `metadata` says where a document comes from; importing ignores it. */
export const RevisionDocument = Type.Object(
  {
    apiVersion: Type.Enum([API_VERSION]),
    kind: Type.Enum([KIND]),
    metadata: Type.Optional(
      Type.Object(
        {
          workspaceGroup: Type.Optional(WorkspaceGroupName),
          service: Type.Optional(AppServiceName),
          number: Type.Optional(Type.Integer({ minimum: 1, description: "a whole number from 1 on" })),
          createdBy: Type.Optional(Type.String({ maxLength: 255, description: "a text of at most 255 characters" })),
          createdAt: Type.Optional(Type.String({ maxLength: 64, description: "a text of at most 64 characters" })),
        },
        closed,
      ),
    ),
    spec: RevisionBody,
  },
  closed,
);
export type RevisionDocument = Static<typeof RevisionDocument>;

/** What a revision is made of: all of it but its number, and who made it and when. */
export function specOf(revision: Revision): RevisionSpec {
  const { service: _service, number: _number, createdBy: _createdBy, createdAt: _createdAt, ...spec } = revision;
  return spec;
}

/** The whole revision, values of environment variables included. */
export function toDocument(workspaceGroup: string, revision: Revision): RevisionDocument {
  const { service, number, createdBy, createdAt } = revision;
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { workspaceGroup, service, number, createdBy, createdAt },
    spec: specOf(revision),
  };
}

/** What is wrong with a well-formed document when it is to become a revision of this service. */
export function documentFaults(service: string, document: RevisionDocument): Fault[] {
  return revisionFaults(service, document.spec).map((fault) => ({
    ...fault,
    field: `/spec${fault.field}`,
  }));
}
