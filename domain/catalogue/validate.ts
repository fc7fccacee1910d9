import { pointer, schemaFaults, type Fault } from "./faults.ts";
import { parseImage } from "./image.ts";
import { CELL_NAME_RULE, WORKLOAD_NAME_LIMIT, workloadName } from "./names.ts";
import { BYTE, MILLI_CPU, parseQuantity } from "./quantity.ts";
import { RevisionBody } from "./revision.ts";
import type { ContainerBody, ProbeBody } from "./template/container.ts";

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

/** The rules for a revision that JSON Schema cannot express; `body` has the right shape. All faults at once. */
export function revisionFaults(service: string, body: RevisionBody): Fault[] {
  return [
    ...labelFaults(body.template.labels ?? {}),
    ...podFaults(body.template.containers),
    ...body.template.containers.flatMap((container, index) =>
      containerFaults(container, pointer("/template/containers", index)),
    ),
    ...cellFaults(service, Object.keys(body.cells)),
  ];
}

const RESERVED_LABELS: ReadonlySet<string> = new Set(["serving", "controller-revision-hash"]);
const RESERVED_LABEL_PREFIXES: readonly string[] = [
  "app.kubernetes.io/",
  "apps.kubernetes.io/",
  "statefulset.kubernetes.io/",
  "cellwright.io/",
];
const LABEL_PREFIX = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const LABEL_NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** Syntax of Kubernetes labels; used for node selectors as well. */
export function labelSyntaxFaults(labels: Readonly<Record<string, string>>, field: string): Fault[] {
  return Object.entries(labels).flatMap(([key, value]) => {
    const faults: Fault[] = [];
    const slash = key.indexOf("/");
    const prefix = slash === -1 ? undefined : key.slice(0, slash);
    const prefixFits = prefix === undefined || (prefix.length <= 253 && LABEL_PREFIX.test(prefix));
    if (!prefixFits || !LABEL_NAME.test(key.slice(slash + 1))) {
      faults.push({
        field: pointer(field, key),
        message:
          'has a malformed key: use [<dns-name>/]<name>, the name of at most 63 letters, digits, "-", "_" and ".", ' +
          "beginning and ending with a letter or digit",
      });
    }
    if (value !== "" && !LABEL_NAME.test(value)) {
      faults.push({
        field: pointer(field, key),
        message:
          'has a malformed value: use at most 63 letters, digits, "-", "_" and ".", ' +
          "beginning and ending with a letter or digit, or the empty text",
      });
    }
    return faults;
  });
}

function labelFaults(labels: Readonly<Record<string, string>>): Fault[] {
  const field = "/template/labels";
  const reserved = Object.keys(labels).filter(
    (key) => RESERVED_LABELS.has(key) || RESERVED_LABEL_PREFIXES.some((prefix) => key.startsWith(prefix)),
  );
  return [
    ...labelSyntaxFaults(labels, field),
    ...reserved.map((key) => ({
      field: pointer(field, key),
      message: "is a label that the platform sets itself; choose another key",
    })),
  ];
}

/** What has to differ between the containers of one pod. */
function podFaults(containers: readonly ContainerBody[]): Fault[] {
  const at = (index: number, ...steps: (string | number)[]) => pointer("/template/containers", index, ...steps);
  const ports = containers.flatMap((container, index) =>
    (container.ports ?? []).map((port, portIndex) => ({ port, field: at(index, "ports", portIndex) })),
  );
  return [
    ...repeated(
      containers.map((container, index) => ({ field: at(index, "name"), key: container.name })),
      (first) => `is the name of another container too (${first}); container names must differ`,
    ),
    ...repeated(
      containers.map((container, index) => ({ field: at(index, "image"), key: container.image })),
      (first) => `is the image of another container too (${first}); images of one pod must differ`,
    ),
    ...repeated(
      ports.map(({ port, field }) => ({ field, key: `${port.containerPort}/${port.protocol ?? "TCP"}` })),
      (first) => `has the same number and protocol as ${first}; the containers of a pod share one address`,
    ),
    ...repeated(
      ports.flatMap(({ port, field }) => (port.name === undefined ? [] : [{ field: `${field}/name`, key: port.name }])),
      (first) => `is the name of another port too (${first}); port names must differ within a pod`,
    ),
  ];
}

function repeated(entries: readonly { field: string; key: string }[], say: (first: string) => string): Fault[] {
  const firsts = new Map<string, string>();
  return entries.flatMap(({ field, key }) => {
    const first = firsts.get(key);
    if (first === undefined) firsts.set(key, field);
    return first === undefined ? [] : [{ field, message: say(first) }];
  });
}

function containerFaults(container: ContainerBody, field: string): Fault[] {
  const image = parseImage(container.image);
  const env = container.env ?? [];
  return [
    ...(image.ok
      ? []
      : [{ field: `${field}/image`, message: `is not an image reference: ${image.why}; example: "shop/cart:1.0.0"` }]),
    ...env.flatMap(({ name }, index) =>
      name.startsWith("CAFE_ENV_")
        ? [
            {
              field: pointer(field, "env", index, "name"),
              message: "begins with CAFE_ENV_, which the platform sets itself; choose another name",
            },
          ]
        : [],
    ),
    ...repeated(
      env.map(({ name }, index) => ({ field: pointer(field, "env", index, "name"), key: name })),
      (first) => `is set twice (${first}); keep one`,
    ),
    ...resourceFaults(container.resources ?? {}, `${field}/resources`),
    ...(["readinessProbe", "livenessProbe", "startupProbe"] as const).flatMap((kind) =>
      probeFaults(kind, container[kind], container, `${field}/${kind}`),
    ),
  ];
}

function resourceFaults(resources: NonNullable<ContainerBody["resources"]>, field: string): Fault[] {
  return (["cpu", "memory"] as const).flatMap((resource) => {
    const [finest, unit] = resource === "cpu" ? [MILLI_CPU, "1m"] : [BYTE, "one byte"];
    const faults: Fault[] = [];
    const read = (side: "requests" | "limits"): bigint | undefined => {
      const text = resources[side]?.[resource];
      if (text === undefined) return undefined;
      const amount = parseQuantity(text);
      if (amount === undefined || amount % finest !== 0n) {
        faults.push({
          field: `${field}/${side}/${resource}`,
          message:
            `is not a quantity that Kubernetes can keep: use a number that is not negative and not finer than ` +
            `${unit}, such as ${resource === "cpu" ? '"500m" or "2"' : '"256Mi" or "1G"'}`,
        });
        return undefined;
      }
      return amount;
    };
    const request = read("requests");
    const limit = read("limits");
    if (request !== undefined && limit !== undefined && request > limit) {
      faults.push({
        field: `${field}/requests/${resource}`,
        message: "is more than the limit; lower the request or raise the limit",
      });
    }
    return faults;
  });
}

function probeFaults(
  kind: "readinessProbe" | "livenessProbe" | "startupProbe",
  probe: ProbeBody | undefined,
  container: ContainerBody,
  field: string,
): Fault[] {
  if (probe === undefined) return [];
  const faults: Fault[] = [];
  const actions = (["httpGet", "tcpSocket", "exec"] as const).filter((action) => probe[action] !== undefined);
  if (actions.length !== 1) {
    faults.push({ field, message: "must have exactly one of httpGet, tcpSocket and exec" });
  }
  if (kind !== "readinessProbe" && (probe.successThreshold ?? 1) !== 1) {
    faults.push({ field: `${field}/successThreshold`, message: `must be 1 for a ${kind}; leave it out` });
  }
  const names = new Set((container.ports ?? []).map((port) => port.name));
  for (const action of ["httpGet", "tcpSocket"] as const) {
    const port = probe[action]?.port;
    if (typeof port === "string" && !names.has(port)) {
      faults.push({
        field: `${field}/${action}/port`,
        message: "names no port of this container; name one of its ports, or write the number",
      });
    }
  }
  return faults;
}

function cellFaults(service: string, cells: readonly string[]): Fault[] {
  return cells.flatMap((cell) => {
    const field = pointer("/cells", cell);
    if (cell.length > 50) return [{ field, message: `has a wrong name: the name must be ${CELL_NAME_RULE}` }];
    const name = workloadName(service, cell);
    return name.length <= WORKLOAD_NAME_LIMIT
      ? []
      : [
          {
            field,
            message:
              `makes the workload name "${name}" ${name.length} characters long, at most ${WORKLOAD_NAME_LIMIT} fit ` +
              "into Kubernetes; use a shorter service or cell name",
          },
        ];
  });
}
