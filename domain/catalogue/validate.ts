import { schemaFaults, type Fault } from "./faults.ts";
import { fillDefaults, RevisionBody } from "./revision.ts";
import { accessFaults } from "./rules/access.ts";
import { cellFaults } from "./rules/cells.ts";
import { containerFaults } from "./rules/containers.ts";
import { annotationFaults, labelFaults, utf8Length } from "./rules/labels.ts";
import { schedulingFaults } from "./rules/scheduling.ts";
import { mountable, volumeFaults } from "./rules/volumes.ts";

export { labelSyntaxFaults } from "./rules/labels.ts";

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Checks everything about a revision that can be checked without the rest of the catalogue. */
export function checkRevision(service: string, body: unknown): Checked<RevisionBody> {
  const shape = schemaFaults(RevisionBody, body);
  // The rules below read a well-formed body; faults of shape have to be repaired first.
  if (shape.length > 0) return { ok: false, faults: shape };
  const value = body as RevisionBody;
  const faults = revisionFaults(service, value);
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value };
}

/**
 * The largest template, as bytes of JSON. Kubernetes stores 1.5 MiB, and beside the object itself, for every field of
 * it, who set it: more than twice the size of many small variables.
 */
const TEMPLATE_BYTES = 256 * 1024;

/** The rules for a revision that JSON Schema cannot express; `body` has the right shape. All faults at once. */
export function revisionFaults(service: string, body: RevisionBody): Fault[] {
  const spec = fillDefaults(body);
  return [
    ...sizeFaults(body),
    ...labelFaults(spec.template.labels),
    ...annotationFaults(spec.template.annotations),
    ...containerFaults(spec.template, mountable(spec)),
    ...volumeFaults(spec),
    ...schedulingFaults(spec.template),
    ...accessFaults(service, spec),
    ...cellFaults(service, spec),
  ];
}

function sizeFaults({ template }: RevisionBody): Fault[] {
  const bytes = utf8Length(JSON.stringify(template));
  if (bytes <= TEMPLATE_BYTES) return [];
  return [
    {
      field: "/template",
      message:
        `is ${bytes} bytes of JSON, at most ${TEMPLATE_BYTES} fit into Kubernetes; keep large values in a ConfigMap ` +
        "or Secret and refer to them",
    },
  ];
}
