import { pointer, type Fault } from "../faults.ts";
import { CELL_NAME_RULE, WORKLOAD_NAME_LIMIT, workloadName } from "../names.ts";
import type { RevisionSpec } from "../revision.ts";
import { variableNameFaults } from "./environment.ts";
import { located } from "./common.ts";
import { imageFaults } from "./containers.ts";

/** Rules for cells and what is different in one of them. */

export function cellFaults(service: string, spec: RevisionSpec): Fault[] {
  return Object.entries(spec.cells).flatMap(([cell, own]) => {
    const field = pointer("/cells", cell);
    if (cell.length > 50) return [{ field, message: `has a wrong name: the name must be ${CELL_NAME_RULE}` }];
    return [...workloadNameFaults(workloadName(service, cell), field), ...overrideFaults(spec, own, field)];
  });
}

function workloadNameFaults(name: string, field: string): Fault[] {
  if (name.length <= WORKLOAD_NAME_LIMIT) return [];
  return [
    {
      field,
      message:
        `makes the workload name "${name}" ${name.length} characters long, at most ${WORKLOAD_NAME_LIMIT} fit ` +
        "into Kubernetes; use a shorter service or cell name",
    },
  ];
}

function overrideFaults({ template }: RevisionSpec, own: RevisionSpec["cells"][string], field: string): Fault[] {
  const containers = new Map([...template.initContainers, ...template.containers].map((one) => [one.name, one]));
  const unknown = (name: string, at: string): Fault[] =>
    containers.has(name) ? [] : [{ field: at, message: "names no container of the template; name one of them" }];
  return [
    ...Object.entries(own.image).flatMap(([name, image]) => {
      const at = pointer(field, "image", name);
      return [...unknown(name, at), ...imageFaults(image, at)];
    }),
    ...Object.entries(own.env).flatMap(([name, variables]) => {
      const at = pointer(field, "env", name);
      const referring = new Set(
        (containers.get(name)?.env ?? []).flatMap((one) => (one.valueFrom === undefined ? [] : [one.name])),
      );
      return [
        ...unknown(name, at),
        ...variableNameFaults(variables, at),
        ...located(variables, at).flatMap((one) =>
          referring.has(one.item.name)
            ? [
                {
                  field: `${one.field}/name`,
                  message:
                    "is taken from a reference in the template; a cell can only change variables with a value of " +
                    "their own",
                },
              ]
            : [],
        ),
      ];
    }),
  ];
}
