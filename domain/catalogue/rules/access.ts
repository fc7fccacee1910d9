import type { Fault } from "../faults.ts";
import { serviceName } from "../names.ts";
import type { RevisionSpec } from "../revision.ts";
import type { AccessService } from "../template/access.ts";
import { located, repeated } from "./common.ts";

/** Rules for the Services of an app service. */

/** Longest name of a Kubernetes Service. */
const SERVICE_NAME_LIMIT = 63;

export function accessFaults(service: string, { access, template }: RevisionSpec): Fault[] {
  const services = located(access.services, "/access/services");
  const ports = template.containers.flatMap((container) => container.ports);
  const targets = new Set(ports.map(({ name, protocol }) => `${name}/${protocol}`));
  return [
    ...repeated(
      services.map(({ item, field }) => ({ field: `${field}/name`, key: item.name })),
      (first) => `is the name of another Service too (${first}); names must differ`,
    ),
    ...services.flatMap(({ item, field }) => [
      ...nameFaults(serviceName(service, item.name), `${field}/name`),
      ...portFaults(item, field, targets),
    ]),
  ];
}

function nameFaults(name: string, field: string): Fault[] {
  if (name.length <= SERVICE_NAME_LIMIT) return [];
  return [
    {
      field,
      message:
        `makes the Service name "${name}" ${name.length} characters long, at most ${SERVICE_NAME_LIMIT} fit into ` +
        "Kubernetes; use a shorter one",
    },
  ];
}

function portFaults({ type, ports }: AccessService, field: string, targets: ReadonlySet<string>): Fault[] {
  const all = located(ports, `${field}/ports`);
  return [
    ...(type === "ClusterIP" && ports.length === 0
      ? [{ field: `${field}/ports`, message: "must have at least one port for the type ClusterIP" }]
      : []),
    ...repeated(
      all.map(({ item, field: at }) => ({ field: `${at}/name`, key: item.name })),
      (first) => `is the name of another port too (${first}); port names of a Service must differ`,
    ),
    ...repeated(
      all.map(({ item, field: at }) => ({ field: at, key: `${item.port}/${item.protocol}` })),
      (first) => `has the same number and protocol as ${first}; keep one`,
    ),
    ...all.flatMap(({ item, field: at }) =>
      typeof item.targetPort === "number" || targets.has(`${item.targetPort}/${item.protocol}`)
        ? []
        : [
            {
              field: `${at}/targetPort`,
              message: `names no ${item.protocol} port of the containers; name one of their ports, or write the number`,
            },
          ],
    ),
  ];
}
