import Type, { type Static } from "typebox";
import { AppServiceName, CELL_NAME_RULE, ContainerName, DNS_LABEL_PATTERN } from "./names.ts";

/**
 * A revision: everything about an app service that is released. Each part has two schemas: what is sent (`…Body`),
 * and what is kept, in which every default has been filled in. Validation that JSON Schema cannot express is in
 * `validate.ts`.
 */

const closed = { additionalProperties: false } as const;

function seconds(minimum: number, maximum: number, defaultValue: number) {
  return Type.Integer({
    minimum,
    maximum,
    default: defaultValue,
    description: `a whole number of seconds from ${minimum} to ${maximum}`,
  });
}

function count(minimum: number, maximum: number, defaultValue?: number) {
  return Type.Integer({
    minimum,
    maximum,
    description: `a whole number from ${minimum} to ${maximum}`,
    ...(defaultValue === undefined ? {} : { default: defaultValue }),
  });
}

const Words = Type.Array(Type.String({ maxLength: 32_768, description: "a text of at most 32768 characters" }), {
  minItems: 1,
  maxItems: 100,
  description: "a list of 1 to 100 texts",
});

const environmentVariableSchema = Type.Object(
  {
    name: Type.String({
      pattern: "^[A-Za-z_.-][A-Za-z0-9_.-]*$",
      maxLength: 256,
      description: 'a variable name: letters, digits, "_", "." and "-", not beginning with a digit',
    }),
    value: Type.String({ maxLength: 32_768, description: "a text of at most 32768 characters" }),
  },
  closed,
);

const portNumber = Type.Integer({
  minimum: 1,
  maximum: 65_535,
  description: "a port number from 1 to 65535",
});
const portName = Type.String({
  pattern: "^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
  maxLength: 15,
  description: 'a port name of at most 15 lowercase letters, digits and single "-", with at least one letter',
});
const protocol = Type.Enum(["TCP", "UDP"], { default: "TCP" });

const containerPortSchema = Type.Object({ name: Type.Optional(portName), containerPort: portNumber, protocol }, closed);
const containerPortBodySchema = Type.Object(
  { name: Type.Optional(portName), containerPort: portNumber, protocol: Type.Optional(protocol) },
  closed,
);

/** A Kubernetes quantity; whether it parses is checked in `validate.ts`. */
const quantity = Type.String({
  minLength: 1,
  maxLength: 32,
  description: 'a Kubernetes quantity such as "500m" (CPU) or "256Mi" (memory)',
});
const ResourceList = Type.Object({ cpu: Type.Optional(quantity), memory: Type.Optional(quantity) }, closed);
const resourcesSchema = Type.Object({ requests: ResourceList, limits: ResourceList }, closed);
const resourcesBodySchema = Type.Partial(resourcesSchema, closed);

/** A port's number, or the name of one of the same container's ports. */
const probePort = Type.Unsafe<number | string>({
  type: ["integer", "string"],
  minimum: 1,
  maximum: 65_535,
  minLength: 1,
  maxLength: 15,
  description: "a port number from 1 to 65535, or the name of one of this container's ports",
});
const probeActions = {
  httpGet: Type.Optional(
    Type.Object(
      {
        path: Type.String({
          pattern: "^/[!-~]*$",
          maxLength: 1024,
          description: 'a URL path beginning with "/", of printable characters without spaces',
        }),
        port: probePort,
        scheme: Type.Optional(Type.Enum(["HTTP", "HTTPS"], { default: "HTTP" })),
      },
      closed,
    ),
  ),
  tcpSocket: Type.Optional(Type.Object({ port: probePort }, closed)),
  exec: Type.Optional(Type.Object({ command: Words }, closed)),
};
const ProbeTiming = Type.Object({
  initialDelaySeconds: seconds(0, 3600, 3),
  timeoutSeconds: seconds(1, 3600, 1),
  periodSeconds: seconds(1, 3600, 10),
  successThreshold: count(1, 100, 1),
  failureThreshold: count(1, 100, 3),
});
/** Exactly one of `httpGet`, `tcpSocket` and `exec`. */
export const Probe = Type.Object({ ...probeActions, ...ProbeTiming.properties }, closed);
export const ProbeBody = Type.Object({ ...probeActions, ...Type.Partial(ProbeTiming).properties }, closed);

const containerIdentity = {
  name: ContainerName,
  image: Type.String({
    minLength: 1,
    maxLength: 512,
    description: 'an image reference such as "registry.example.com/shop/cart:1.0.0"',
  }),
  command: Type.Optional(Words),
  args: Type.Optional(Words),
};
const environment = Type.Array(environmentVariableSchema, {
  maxItems: 200,
  description: "a list of at most 200 variables",
});
export const Container = Type.Object(
  {
    ...containerIdentity,
    env: environment,
    ports: Type.Array(containerPortSchema),
    resources: resourcesSchema,
    readinessProbe: Type.Optional(Probe),
    livenessProbe: Type.Optional(Probe),
    startupProbe: Type.Optional(Probe),
  },
  closed,
);
export const ContainerBody = Type.Object(
  {
    ...containerIdentity,
    env: Type.Optional(environment),
    ports: Type.Optional(
      Type.Array(containerPortBodySchema, { maxItems: 50, description: "a list of at most 50 ports" }),
    ),
    resources: Type.Optional(resourcesBodySchema),
    readinessProbe: Type.Optional(ProbeBody),
    livenessProbe: Type.Optional(ProbeBody),
    startupProbe: Type.Optional(ProbeBody),
  },
  closed,
);

/** Pod labels; the syntax of keys and values is checked in `validate.ts`. */
const Labels = Type.Record(
  Type.String(),
  Type.String({ maxLength: 63, description: "a text of at most 63 characters" }),
  {
    maxProperties: 50,
    description: "an object of at most 50 labels",
  },
);
export const PodTemplate = Type.Object({ labels: Labels, containers: Type.Array(Container) }, closed);
const podTemplateBodySchema = Type.Object(
  {
    labels: Type.Optional(Labels),
    containers: Type.Array(ContainerBody, {
      minItems: 1,
      maxItems: 10,
      description: "a list of 1 to 10 containers",
    }),
  },
  closed,
);

const replicas = count(0, 1000, 0);
const cellRecord = {
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 100,
  description: "an object of 1 to 100 cells",
  "x-keys": CELL_NAME_RULE,
};
const cellKey = Type.String({ pattern: DNS_LABEL_PATTERN });
const cellScaleSchema = Type.Object({ replicas }, closed);
const cellsSchema = Type.Record(cellKey, cellScaleSchema, cellRecord);
const cellsBodySchema = Type.Record(cellKey, Type.Object({ replicas: Type.Optional(replicas) }, closed), cellRecord);

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
    upgrade: Type.Enum(["IN_PLACE"], { default: "IN_PLACE" }),
    /** How long a changed pod must have been ready before it counts as updated. */
    readySeconds: seconds(0, 3600, 30),
    /** How long a changed pod may take to become ready; `readySeconds` come on top. */
    progressDeadlineSeconds: seconds(5, 3600, 120),
  },
  closed,
);
const releasePolicyBodySchema = Type.Partial(releasePolicySchema, closed);

/** What is posted. */
export const RevisionBody = Type.Object(
  { template: podTemplateBodySchema, cells: cellsBodySchema, release: Type.Optional(releasePolicyBodySchema) },
  closed,
);
/** What is kept: the body with every default filled in. */
export const RevisionSpec = Type.Object(
  { template: PodTemplate, cells: cellsSchema, release: releasePolicySchema },
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

export type Probe = Static<typeof Probe>;
export type ProbeBody = Static<typeof ProbeBody>;
export type Container = Static<typeof Container>;
export type ContainerBody = Static<typeof ContainerBody>;
export type PodTemplate = Static<typeof PodTemplate>;
export type RevisionBody = Static<typeof RevisionBody>;
export type RevisionSpec = Static<typeof RevisionSpec>;
export type Revision = Static<typeof Revision>;

/** Fills in every default of a body that has been validated. Filling in twice changes nothing. */
export function fillDefaults(body: RevisionBody): RevisionSpec {
  return {
    template: {
      labels: body.template.labels ?? {},
      containers: body.template.containers.map(fillContainer),
    },
    cells: Object.fromEntries(
      Object.entries(body.cells).map(([cell, scale]) => [cell, { replicas: scale.replicas ?? 0 }]),
    ),
    release: {
      strategy: "BY_CELL",
      minGroups: 3,
      beta: true,
      pause: "ALL",
      upgrade: "IN_PLACE",
      readySeconds: 30,
      progressDeadlineSeconds: 120,
      ...body.release,
    },
  };
}

function fillContainer(body: ContainerBody): Container {
  const { readinessProbe, livenessProbe, startupProbe, ...rest } = body;
  return {
    ...rest,
    env: body.env ?? [],
    ports: (body.ports ?? []).map((port) => ({ ...port, protocol: port.protocol ?? "TCP" })),
    resources: { requests: body.resources?.requests ?? {}, limits: body.resources?.limits ?? {} },
    ...(readinessProbe === undefined ? {} : { readinessProbe: fillProbe(readinessProbe) }),
    ...(livenessProbe === undefined ? {} : { livenessProbe: fillProbe(livenessProbe) }),
    ...(startupProbe === undefined ? {} : { startupProbe: fillProbe(startupProbe) }),
  };
}

function fillProbe(body: ProbeBody): Probe {
  return {
    initialDelaySeconds: 3,
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...body,
    ...(body.httpGet === undefined ? {} : { httpGet: { scheme: "HTTP", ...body.httpGet } }),
  };
}
