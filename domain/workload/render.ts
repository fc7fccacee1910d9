/**
 * What an app service looks like in Kubernetes: one StatefulSet per cell and one headless Service per app service. Pure;
 * nothing in here depends on the revision's number, so that equal specs give equal templates.
 */
import { stableJson } from "../json.ts";
import type { Container, PodTemplate, Probe, RevisionSpec } from "../catalogue/revision.ts";
import type { Placement } from "./placement.ts";

/** Value of `app.kubernetes.io/managed-by` on everything that is ours. */
export const MANAGED_BY = "cellwright";

export const LABELS = {
  managedBy: "app.kubernetes.io/managed-by",
  workspaceGroup: "cellwright.io/workspace-group",
  service: "cellwright.io/service",
  cell: "cellwright.io/cell",
  /** On every pod that takes traffic; in the template and in the Service's selector, never in the workload's. */
  serving: "serving",
  /** The StatefulSet controller's own: which ControllerRevision a pod counts as. */
  hash: "controller-revision-hash",
} as const;

/** No ordinal reaches this, so the controller itself never deletes a pod for an update. */
const NO_ORDINAL = 2_147_483_647;

type Json = string | number | boolean | null | undefined | Json[] | { [key: string]: Json };
export type Manifest = { apiVersion: string; kind: string; metadata: Meta; spec: { [key: string]: Json } };
type Meta = { name: string; namespace: string; labels: Record<string, string> };
/** What is rendered from: where, and which spec. */
export type Rendering = { placement: Placement; spec: RevisionSpec };

export function workloadName(service: string, cell: string): string {
  return `${service}-${cell}`;
}

export function podName(service: string, cell: string, ordinal: number): string {
  return `${workloadName(service, cell)}-${ordinal}`;
}

/** The ordinal of a StatefulSet's pod; undefined for a name that is not one of this workload. */
export function ordinalOf(workload: string, pod: string): number | undefined {
  if (!pod.startsWith(`${workload}-`)) return undefined;
  const rest = pod.slice(workload.length + 1);
  return /^(0|[1-9]\d{0,9})$/.test(rest) ? Number(rest) : undefined;
}

/** Container → image, as the spec wants it. */
export function imagesOf(spec: RevisionSpec): Record<string, string> {
  return Object.fromEntries(spec.template.containers.map((container) => [container.name, container.image]));
}

/** Labels of the workload and its Service; the cell only where there is one. */
function ownLabels(placement: Placement): Record<string, string> {
  return {
    "app.kubernetes.io/name": placement.service,
    "app.kubernetes.io/part-of": placement.application,
    [LABELS.managedBy]: MANAGED_BY,
    [LABELS.workspaceGroup]: placement.workspaceGroup,
    [LABELS.service]: placement.service,
  };
}

/** The StatefulSet, without `replicas`: how many pods exist is a matter of groups, not of the template. */
export function renderStatefulSet({ placement, spec }: Rendering): Manifest {
  const identity = {
    [LABELS.workspaceGroup]: placement.workspaceGroup,
    [LABELS.service]: placement.service,
    [LABELS.cell]: placement.cell,
  };
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: {
      name: workloadName(placement.service, placement.cell),
      namespace: placement.namespace,
      labels: { ...ownLabels(placement), [LABELS.cell]: placement.cell },
    },
    spec: {
      serviceName: placement.service,
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: NO_ORDINAL } },
      selector: { matchLabels: identity },
      template: renderTemplate(placement, spec.template),
    },
  };
}

/** The headless Service of all cells of an app service in one namespace. */
export function renderService({ placement, spec }: Rendering): Manifest {
  const ports = servicePorts(spec.template);
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: placement.service, namespace: placement.namespace, labels: ownLabels(placement) },
    spec: {
      clusterIP: "None",
      selector: {
        [LABELS.workspaceGroup]: placement.workspaceGroup,
        [LABELS.service]: placement.service,
        [LABELS.serving]: "true",
      },
      ...(ports.length === 0 ? {} : { ports }),
    },
  };
}

/**
 * Everything that rendering decides except the images, as canonical text: equal texts mean that two specs differ in
 * nothing but images (and replicas). Digest it before storing.
 */
export function shapeOf(rendering: Rendering): string {
  const containers = rendering.spec.template.containers.map((container) => ({ ...container, image: "" }));
  const blank = { ...rendering, spec: { ...rendering.spec, template: { ...rendering.spec.template, containers } } };
  return stableJson({ set: renderStatefulSet(blank).spec, service: renderService(blank).spec });
}

function renderTemplate(placement: Placement, template: PodTemplate): Json {
  return {
    metadata: {
      labels: {
        ...template.labels,
        ...ownLabels(placement),
        [LABELS.cell]: placement.cell,
        [LABELS.serving]: "true",
      },
      // Pods take their annotations from here. One constant entry makes sure that the map exists in every pod: a JSON
      // patch can only add a key to a map that is there.
      annotations: { "cellwright.io/workload": workloadName(placement.service, placement.cell) },
    },
    spec: {
      nodeSelector: placement.nodeSelector,
      containers: template.containers.map((container) => renderContainer(placement, container)),
    },
  };
}

function renderContainer(placement: Placement, container: Container): Json {
  const { requests, limits } = container.resources;
  return {
    name: container.name,
    image: container.image,
    ...(container.command === undefined ? {} : { command: container.command }),
    ...(container.args === undefined ? {} : { args: container.args }),
    env: [...injectedEnvironment(placement), ...container.env],
    ...(container.ports.length === 0 ? {} : { ports: container.ports.map((port) => ({ ...port })) }),
    ...(isEmpty(requests) && isEmpty(limits)
      ? {}
      : {
          resources: { ...(isEmpty(requests) ? {} : { requests }), ...(isEmpty(limits) ? {} : { limits }) },
        }),
    ...renderProbe("readinessProbe", container.readinessProbe),
    ...renderProbe("livenessProbe", container.livenessProbe),
    ...renderProbe("startupProbe", container.startupProbe),
  };
}

function renderProbe(name: string, probe: Probe | undefined): { [key: string]: Json } {
  return probe === undefined ? {} : { [name]: { ...probe } };
}

/** The read-only variables that every container gets; the same from revision to revision. */
function injectedEnvironment(placement: Placement): Json[] {
  const literal: [string, string][] = [
    ["TENANT", placement.tenant],
    ["APP", placement.application],
    ["DATA_CENTER", placement.az],
    ["REGION", placement.region],
    ["CELL", placement.cell],
    ["WORKSPACE_GROUP", placement.workspaceGroup],
    ["WORKSPACE", placement.workspace],
  ];
  const field = (name: string, fieldPath: string): Json => ({
    name: `CAFE_ENV_${name}`,
    valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } },
  });
  return [
    ...literal.map(([name, value]) => ({ name: `CAFE_ENV_${name}`, value })),
    field("POD", "metadata.name"),
    field("HOST", "spec.nodeName"),
  ];
}

/** Every port of every container once; a Service with several ports needs names. */
function servicePorts(template: PodTemplate): { [key: string]: Json }[] {
  const seen = new Map<string, { [key: string]: Json }>();
  for (const { name, containerPort, protocol } of template.containers.flatMap((container) => container.ports)) {
    const key = `${containerPort}/${protocol}`;
    const port = { name: `${protocol.toLowerCase()}-${containerPort}`, port: containerPort, protocol };
    if (!seen.has(key)) seen.set(key, { ...port, targetPort: name ?? containerPort });
  }
  return [...seen.values()];
}

function isEmpty(record: object): boolean {
  return Object.keys(record).length === 0;
}
