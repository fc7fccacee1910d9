import type { Fault } from "../faults.ts";
import type { EnvironmentVariable, InitContainer } from "../template/container.ts";
import { exactlyOne, located, repeated } from "./common.ts";
import { isLabelKey } from "./labels.ts";

/** Rules for the variables of a container. */

/** Fields of a pod that Kubernetes hands to a variable. */
const POD_FIELDS: ReadonlySet<string> = new Set([
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
]);
const MAP_FIELD = /^metadata\.(labels|annotations)\['([^']*)'\]$/;
const OURS = "CAFE_ENV_";

export function environmentFaults(container: Pick<InitContainer, "env" | "envFrom">, field: string): Fault[] {
  const sources = located(container.envFrom, `${field}/envFrom`);
  return [
    ...variableNameFaults(container.env, `${field}/env`),
    ...located(container.env, `${field}/env`).flatMap((variable) => variableFaults(variable.item, variable.field)),
    ...sources.flatMap((source) => [
      ...exactlyOne(source.item, ["configMapRef", "secretRef"], source.field),
      ...reservedFaults(source.item.prefix ?? "", `${source.field}/prefix`),
    ]),
  ];
}

/** What holds for the names of all variables that are set by hand, also for one cell only. */
export function variableNameFaults(variables: readonly { readonly name: string }[], field: string): Fault[] {
  const all = located(variables, field);
  return [
    ...all.flatMap(({ item, field: at }) => reservedFaults(item.name, `${at}/name`)),
    ...repeated(
      all.map(({ item, field: at }) => ({ field: `${at}/name`, key: item.name })),
      (first) => `is set twice (${first}); keep one`,
    ),
  ];
}

function reservedFaults(name: string, field: string): Fault[] {
  return name.startsWith(OURS)
    ? [{ field, message: `begins with ${OURS}, which the platform sets itself; choose another name` }]
    : [];
}

function variableFaults({ valueFrom, ...variable }: EnvironmentVariable, field: string): Fault[] {
  const given = { ...variable, ...(valueFrom === undefined ? {} : { valueFrom }) };
  const faults = exactlyOne(given, ["value", "valueFrom"], field);
  if (valueFrom === undefined) return faults;
  const { fieldRef } = valueFrom;
  return [
    ...faults,
    ...exactlyOne(valueFrom, ["configMapKeyRef", "secretKeyRef", "fieldRef"], `${field}/valueFrom`),
    ...(fieldRef === undefined || isPodField(fieldRef.fieldPath)
      ? []
      : [
          {
            field: `${field}/valueFrom/fieldRef/fieldPath`,
            message:
              `is not a field that Kubernetes hands to a variable: use one of ${[...POD_FIELDS].join(", ")}, ` +
              "metadata.labels['<key>'] or metadata.annotations['<key>']",
          },
        ]),
  ];
}

function isPodField(path: string): boolean {
  const key = MAP_FIELD.exec(path)?.[2];
  return POD_FIELDS.has(path) || (key !== undefined && isLabelKey(key));
}
