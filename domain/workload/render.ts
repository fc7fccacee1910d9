/**
 * What an app service looks like in Kubernetes: one StatefulSet per cell; per namespace its headless Service and the
 * Services by which others reach it. Pure; nothing in here depends on the revision's number, so that equal specs give
 * equal templates.
 */
import { stableJson } from "../json.ts";
import { cellIdentity, LABELS, ownLabels, serviceIdentity, unlessEmpty } from "./manifest.ts";
import type { JsonObject, Manifest, Rendering } from "./manifest.ts";
import { imageIn, renderPodTemplate } from "./render-pod.ts";

export { LABELS, MANAGED_BY, type Manifest, type Rendering } from "./manifest.ts";

/** The update strategy that lets nothing go: no ordinal reaches this partition, so the controller deletes no pod. */
export const HELD_BACK = { type: "RollingUpdate", rollingUpdate: { partition: 2_147_483_647 } };

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

/** Container → image in this cell. Init containers are not among them: changing theirs restarts nothing. */
export function imagesOf(rendering: Rendering): Record<string, string> {
  return Object.fromEntries(
    rendering.spec.template.containers.map((container) => [container.name, imageIn(rendering, container)]),
  );
}

/** The StatefulSet, without `replicas`: how many pods exist is a matter of groups, not of the template. */
export function renderStatefulSet(rendering: Rendering): Manifest {
  const { placement } = rendering;
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: {
      name: workloadName(placement.service, placement.cell),
      namespace: placement.namespace,
      labels: { ...ownLabels(placement), [LABELS.cell]: placement.cell },
    },
    spec: {
      ...renderFixed(rendering),
      updateStrategy: HELD_BACK,
      template: renderPodTemplate(rendering, workloadName(placement.service, placement.cell)),
    },
  };
}

/** What Kubernetes never lets one change on a StatefulSet. */
export function renderFixed({ placement, spec }: Rendering): JsonObject {
  const claims = spec.volumeClaimTemplates.map(({ name, accessModes, storageClassName, size }) => ({
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: {
      accessModes,
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: size } },
    },
  }));
  return {
    serviceName: placement.service,
    podManagementPolicy: "Parallel",
    selector: { matchLabels: cellIdentity(placement) },
    ...unlessEmpty("volumeClaimTemplates", claims),
  };
}

/**
 * The Services of an app service in one namespace, the same from every cell: first the governing one (headless, named
 * like the app service, always there), then those of `access`, as `<service>-<name>`. Labels `managed-by`,
 * `workspace-group` and `service` together tell whose they are.
 */
export function renderServices(rendering: Rendering): Manifest[] {
  const { placement, spec } = rendering;
  return [
    renderGoverning(rendering),
    ...spec.access.services.map(({ name, type, ports }) =>
      renderOne(rendering, `${placement.service}-${name}`, {
        ...(type === "Headless" ? { clusterIP: "None" } : { type: "ClusterIP" }),
        ...unlessEmpty(
          "ports",
          ports.map((port) => ({ ...port })),
        ),
      }),
    ),
  ];
}

/** The governing headless Service of all cells of an app service in one namespace. */
function renderGoverning(rendering: Rendering): Manifest {
  return renderOne(rendering, rendering.placement.service, {
    clusterIP: "None",
    ...unlessEmpty("ports", governingPorts(rendering)),
  });
}

function renderOne({ placement }: Rendering, name: string, spec: JsonObject): Manifest {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: placement.namespace, labels: ownLabels(placement) },
    spec: {
      ...spec,
      selector: { ...serviceIdentity(placement.workspaceGroup, placement.service), [LABELS.serving]: "true" },
    },
  };
}

/** Every port of every container once; a Service with several ports needs names. */
function governingPorts({ spec }: Rendering): JsonObject[] {
  const seen = new Map<string, JsonObject>();
  for (const { name, containerPort, protocol } of spec.template.containers.flatMap((container) => container.ports)) {
    const key = `${containerPort}/${protocol}`;
    const port = { name: `${protocol.toLowerCase()}-${containerPort}`, port: containerPort, protocol };
    if (!seen.has(key)) seen.set(key, { ...port, targetPort: name ?? containerPort });
  }
  return [...seen.values()];
}

/**
 * The pod template without the images of its containers, as canonical text: equal texts mean that a running pod can
 * become the other in place, by image changes alone. (Images of init containers are part of it: changing them in a
 * running pod restarts nothing.) Digest it before storing: it contains values of variables.
 */
export function shapeOf(rendering: Rendering): string {
  return stableJson(withoutImages(rendering));
}

/** The rendered pod template with the images of its containers left blank. */
export function withoutImages(rendering: Rendering): JsonObject {
  const { placement } = rendering;
  const template = renderPodTemplate(rendering, workloadName(placement.service, placement.cell));
  const spec = template["spec"] as { containers: JsonObject[] };
  return { ...template, spec: { ...spec, containers: spec.containers.map((one) => ({ ...one, image: "" })) } };
}

/**
 * What Kubernetes never lets one change on a StatefulSet, as canonical text: where it differs, the StatefulSet itself
 * has to be deleted (its pods can stay) and created again.
 */
export function fixedOf(rendering: Rendering): string {
  return stableJson(renderFixed(rendering));
}
