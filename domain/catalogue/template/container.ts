import Type, { type Static } from "typebox";
import { ContainerName } from "../names.ts";
import {
  absolutePath,
  closed,
  count,
  dataKey,
  flag,
  listOf,
  objectName,
  podPartName,
  portName,
  portNumber,
  portReference,
  protocol,
  quantity,
  relativePath,
  seconds,
  text,
  Words,
} from "./fields.ts";

/**
 * Containers of a pod: `…Body` is what is sent, the plain name what is kept, with every default filled in. Names and
 * meanings are those of Kubernetes.
 */

/** Kubernetes also takes names with spaces and other signs; these are the ones that every shell and library can read. */
const VARIABLE_PATTERN = "^(?!\\.$|\\.\\.)[A-Za-z_.-][A-Za-z0-9_.-]*$";
const VARIABLE_RULE = 'letters, digits, "_", "." and "-", not beginning with a digit or "..", and not "." alone';

export const VariableName = Type.String({
  pattern: VARIABLE_PATTERN,
  maxLength: 256,
  description: `a variable name: ${VARIABLE_RULE}`,
});

function keyReference(what: string) {
  return Type.Object({ name: objectName(what), key: dataKey, optional: Type.Optional(flag) }, closed);
}

/** Exactly one of its fields. */
const valueFromSchema = Type.Object(
  {
    configMapKeyRef: Type.Optional(keyReference("a ConfigMap")),
    secretKeyRef: Type.Optional(keyReference("a Secret")),
    fieldRef: Type.Optional(
      Type.Object(
        {
          /** Which field of the pod; checked by the rules. */
          fieldPath: Type.String({ minLength: 1, maxLength: 400, description: "the path of a field of the pod" }),
        },
        closed,
      ),
    ),
  },
  closed,
);

/** Exactly one of `value` and `valueFrom`. Values are kept and answered as they are: take secrets from a Secret. */
const environmentVariableSchema = Type.Object(
  { name: VariableName, value: Type.Optional(text), valueFrom: Type.Optional(valueFromSchema) },
  closed,
);

function sourceReference(what: string) {
  return Type.Object({ name: objectName(what), optional: Type.Optional(flag) }, closed);
}

/** Exactly one of `configMapRef` and `secretRef`: every key becomes a variable. */
const environmentSourceSchema = Type.Object(
  {
    prefix: Type.Optional(
      Type.String({
        pattern: `^$|${VARIABLE_PATTERN}`,
        maxLength: 100,
        description: `a prefix of at most 100 characters: ${VARIABLE_RULE}`,
      }),
    ),
    configMapRef: Type.Optional(sourceReference("a ConfigMap")),
    secretRef: Type.Optional(sourceReference("a Secret")),
  },
  closed,
);

const containerPortSchema = Type.Object({ name: Type.Optional(portName), containerPort: portNumber, protocol }, closed);
const containerPortBodySchema = Type.Object(
  { ...containerPortSchema.properties, protocol: Type.Optional(protocol) },
  closed,
);

const amount = quantity('"500m" (CPU) or "256Mi" (memory)');
const ResourceList = Type.Object(
  { cpu: Type.Optional(amount), memory: Type.Optional(amount) },
  { ...closed, default: {} },
);
const resourcesSchema = Type.Object({ requests: ResourceList, limits: ResourceList }, { ...closed, default: {} });
const resourcesBodySchema = Type.Partial(resourcesSchema, { ...closed, default: {} });

const httpGetSchema = Type.Object(
  {
    path: Type.String({
      pattern: "^/[!-~]*$",
      maxLength: 1024,
      description: 'a URL path beginning with "/", of printable characters without spaces',
    }),
    port: portReference,
    scheme: Type.Optional(Type.Enum(["HTTP", "HTTPS"], { default: "HTTP" })),
  },
  closed,
);
const execSchema = Type.Object({ command: Words }, closed);

const probeActions = {
  httpGet: Type.Optional(httpGetSchema),
  tcpSocket: Type.Optional(Type.Object({ port: portReference }, closed)),
  exec: Type.Optional(execSchema),
};
const ProbeTiming = Type.Object({
  initialDelaySeconds: seconds(0, 3600, 3),
  timeoutSeconds: seconds(1, 3600, 1),
  periodSeconds: seconds(1, 3600, 10),
  successThreshold: count(1, 100, 1),
  failureThreshold: count(1, 100, 3),
});
/** Exactly one of `httpGet`, `tcpSocket` and `exec`. */
const probeSchema = Type.Object({ ...probeActions, ...ProbeTiming.properties }, closed);
const probeBodySchema = Type.Object({ ...probeActions, ...Type.Partial(ProbeTiming).properties }, closed);

/** Exactly one of `exec` and `httpGet`. */
const hookSchema = Type.Object({ exec: Type.Optional(execSchema), httpGet: Type.Optional(httpGetSchema) }, closed);
/** At least one of its fields. */
const lifecycleSchema = Type.Object(
  { postStart: Type.Optional(hookSchema), preStop: Type.Optional(hookSchema) },
  closed,
);

const volumeMountSchema = Type.Object(
  {
    name: podPartName("the name of a volume"),
    mountPath: absolutePath("where the volume appears"),
    subPath: Type.Optional(relativePath("which part of the volume appears")),
    readOnly: Type.Optional(flag),
  },
  closed,
);

export const imageReference = Type.String({
  minLength: 1,
  maxLength: 512,
  description: 'an image reference such as "registry.example.com/shop/cart:1.0.0"',
});
const containerIdentity = {
  name: ContainerName,
  image: imageReference,
  command: Type.Optional(Words),
  args: Type.Optional(Words),
};
const inputs = {
  env: listOf(environmentVariableSchema, 200, "variables"),
  envFrom: listOf(environmentSourceSchema, 50, "sources"),
  volumeMounts: listOf(volumeMountSchema, 50, "mounts"),
};
const inputsBody = Type.Partial(Type.Object(inputs)).properties;

/** Runs to its end before the containers start, one after another. */
export const InitContainer = Type.Object({ ...containerIdentity, ...inputs, resources: resourcesSchema }, closed);
export const InitContainerBody = Type.Object(
  { ...containerIdentity, ...inputsBody, resources: Type.Optional(resourcesBodySchema) },
  closed,
);
export const Container = Type.Object(
  {
    ...InitContainer.properties,
    ports: listOf(containerPortSchema, 50, "ports"),
    readinessProbe: Type.Optional(probeSchema),
    livenessProbe: Type.Optional(probeSchema),
    startupProbe: Type.Optional(probeSchema),
    lifecycle: Type.Optional(lifecycleSchema),
  },
  closed,
);
export const ContainerBody = Type.Object(
  {
    ...InitContainerBody.properties,
    ports: Type.Optional(listOf(containerPortBodySchema, 50, "ports")),
    readinessProbe: Type.Optional(probeBodySchema),
    livenessProbe: Type.Optional(probeBodySchema),
    startupProbe: Type.Optional(probeBodySchema),
    lifecycle: Type.Optional(lifecycleSchema),
  },
  closed,
);

export type EnvironmentVariable = Static<typeof environmentVariableSchema>;
export type Probe = Static<typeof probeSchema>;
export type Hook = Static<typeof hookSchema>;
export type HttpGet = Static<typeof httpGetSchema>;
export type Container = Static<typeof Container>;
export type ContainerBody = Static<typeof ContainerBody>;
export type InitContainer = Static<typeof InitContainer>;
export type InitContainerBody = Static<typeof InitContainerBody>;
