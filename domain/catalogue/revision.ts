import Type, { type Static } from "typebox";
import { Default } from "typebox/value";
import { AppServiceName, CELL_NAME_RULE, CONTAINER_NAME_RULE, DNS_LABEL_PATTERN } from "./names.ts";
import { Access, AccessBody } from "./template/access.ts";
import { imageReference, VariableName } from "./template/container.ts";
import { closed, count, flag, listOf, seconds, text } from "./template/fields.ts";
import { PodTemplate, PodTemplateBody } from "./template/pod.ts";
import { VolumeClaimTemplate } from "./template/volume.ts";

/**
 * A revision: everything about an app service that is released. Each part has two schemas: what is sent (`…Body`),
 * and what is kept, in which every default has been filled in. Parts of the pod template are in `template/`; validation
 * that JSON Schema cannot express is in `validate.ts` and `rules/`.
 */

const replicas = count(0, 1000, 0);
/** No cell at all: to release such a revision takes the service away. */
const cellRecord = {
  additionalProperties: false,
  maxProperties: 100,
  description: "an object of at most 100 cells",
  "x-keys": CELL_NAME_RULE,
};
const cellKey = Type.String({ pattern: DNS_LABEL_PATTERN });
const containerKey = Type.String({ pattern: DNS_LABEL_PATTERN });
/** Keys are names of containers (also of init containers). */
function perContainer<T extends Type.TSchema>(what: T) {
  return Type.Record(containerKey, what, {
    additionalProperties: false,
    maxProperties: 20,
    default: {},
    description: "an object of at most 20 containers",
    "x-keys": CONTAINER_NAME_RULE,
  });
}
const overrides = {
  /** Container → variables that are set otherwise, or only, in this cell. Those from references stay as they are. */
  env: perContainer(listOf(Type.Object({ name: VariableName, value: text }, closed), 200, "variables")),
  /** Container → image that runs in this cell. */
  image: perContainer(imageReference),
};
const cellsSchema = Type.Record(cellKey, Type.Object({ replicas, ...overrides }, closed), cellRecord);
// Defaults inside a record are only filled in where its values have a default themselves.
const cellBodySchema = Type.Partial(Type.Object({ replicas, ...overrides }), { ...closed, default: {} });
const cellsBodySchema = Type.Record(cellKey, cellBodySchema, cellRecord);

const releasePolicySchema = Type.Object(
  {
    /** How the pods are cut into groups. */
    strategy: Type.Enum(["BY_CELL", "QUICK"], { default: "BY_CELL" }),
    /** Wanted number of groups, the beta group counted; advisory. */
    minGroups: count(1, 1000, 3),
    /** Whether one pod of each cell goes first, as a group of its own. */
    beta: Type.Boolean({ default: true, description: "true or false" }),
    /** After which groups a person must confirm. */
    pause: Type.Enum(["ALL", "FIRST", "OFF"], { default: "ALL" }),
    /**
     * IN_PLACE: where only images differ, containers are replaced and the pods stay; else pods are recreated.
     * RECREATE: pods are always recreated.
     */
    upgrade: Type.Enum(["IN_PLACE", "RECREATE"], { default: "IN_PLACE" }),
    /** How long a changed pod must have been ready before it counts as updated. */
    readySeconds: seconds(0, 3600, 30),
    /** How long a changed pod may take to become ready; `readySeconds` come on top. */
    progressDeadlineSeconds: seconds(5, 3600, 120),
  },
  { ...closed, default: {} },
);
const releasePolicyBodySchema = Type.Partial(releasePolicySchema, { ...closed, default: {} });

const defaulted = {
  /** Pods keep their name and their own storage; only then `volumeClaimTemplates` may be given. */
  stateful: flag,
  volumeClaimTemplates: listOf(VolumeClaimTemplate, 20, "claim templates"),
};
/** What is posted. */
export const RevisionBody = Type.Object(
  {
    ...Type.Partial(Type.Object(defaulted)).properties,
    template: PodTemplateBody,
    cells: cellsBodySchema,
    access: Type.Optional(AccessBody),
    release: Type.Optional(releasePolicyBodySchema),
  },
  closed,
);
/** What is kept: the body with every default filled in. */
export const RevisionSpec = Type.Object(
  { ...defaulted, template: PodTemplate, cells: cellsSchema, access: Access, release: releasePolicySchema },
  closed,
);
/** A stored revision, as it is answered. */
export const Revision = Type.Object(
  {
    service: AppServiceName,
    number: Type.Integer({ minimum: 1 }),
    ...RevisionSpec.properties,
    createdBy: Type.String(),
    createdAt: Type.String({ format: "date-time" }),
  },
  closed,
);

export type RevisionBody = Static<typeof RevisionBody>;
export type RevisionSpec = Static<typeof RevisionSpec>;
export type Revision = Static<typeof Revision>;

/**
 * Fills in every default of a body that has been validated, or of what an earlier version has stored. Filling in twice
 * changes nothing.
 */
export function fillDefaults(body: RevisionBody): RevisionSpec {
  const spec = Default(RevisionBody, structuredClone(body)) as RevisionSpec;
  for (const service of spec.access.services) {
    service.ports = service.ports.map(({ name, port, targetPort, protocol }: AccessPort) => ({
      name: name ?? `${protocol.toLowerCase()}-${port}`,
      port,
      targetPort: targetPort ?? port,
      protocol,
    }));
  }
  return spec;
}

type AccessPort = { name?: string; port: number; targetPort?: number | string; protocol: "TCP" | "UDP" };
