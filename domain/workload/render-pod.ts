/**
 * The pod template. Wherever the API server would fill in a default beside a field of ours, the default is written out:
 * what server-side apply did not set it does not take away either, so a default left by a former revision would stay
 * (a `defaultMode` without its source, a host port without its host network).
 */
import type { EnvironmentVariable, Hook, HttpGet, InitContainer, Probe } from "../catalogue/template/container.ts";
import type { Container } from "../catalogue/template/container.ts";
import { VOLUME_SOURCES, type Volume } from "../catalogue/template/volume.ts";
import { LABELS, own, ownLabels, unlessEmpty } from "./manifest.ts";
import type { Json, JsonObject, Rendering } from "./manifest.ts";
import type { Placement } from "./placement.ts";
import { renderScheduling } from "./render-scheduling.ts";

/** The image of a container (also of an init container) in the rendering's cell. */
export function imageIn({ placement, spec }: Rendering, container: { name: string; image: string }): string {
  return own(own(spec.cells, placement.cell)?.image, container.name) ?? container.image;
}

export function renderPodTemplate(rendering: Rendering, workload: string): JsonObject {
  const { placement, spec } = rendering;
  const { template } = spec;
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
      annotations: { ...template.annotations, "cellwright.io/workload": workload },
    },
    spec: {
      nodeSelector: placement.nodeSelector,
      serviceAccountName: template.serviceAccountName ?? "default",
      terminationGracePeriodSeconds: template.terminationGracePeriodSeconds,
      hostNetwork: template.hostNetwork,
      // Without the second name a pod in its node's network would not find the cluster's own names.
      dnsPolicy: template.hostNetwork ? "ClusterFirstWithHostNet" : "ClusterFirst",
      ...renderScheduling(rendering),
      ...unlessEmpty(
        "imagePullSecrets",
        template.imagePullSecrets.map(({ name }) => ({ name })),
      ),
      ...unlessEmpty("volumes", template.volumes.map(renderVolume)),
      ...unlessEmpty(
        "initContainers",
        template.initContainers.map((container) => renderCommon(rendering, container)),
      ),
      containers: template.containers.map((container) => renderContainer(rendering, container)),
    },
  };
}

function renderCommon(rendering: Rendering, container: InitContainer): JsonObject {
  const { requests, limits } = container.resources;
  return {
    name: container.name,
    image: imageIn(rendering, container),
    ...unlessEmpty("command", container.command),
    ...unlessEmpty("args", container.args),
    env: [...injectedEnvironment(rendering.placement), ...environmentIn(rendering, container).map(renderVariable)],
    ...unlessEmpty(
      "envFrom",
      container.envFrom.map(({ prefix, configMapRef, secretRef }) => ({
        ...unlessFalse("prefix", prefix),
        ...(configMapRef === undefined ? {} : { configMapRef: renderReference(configMapRef) }),
        ...(secretRef === undefined ? {} : { secretRef: renderReference(secretRef) }),
      })),
    ),
    ...unlessEmpty("resources", { ...unlessEmpty("requests", requests), ...unlessEmpty("limits", limits) }),
    ...unlessEmpty(
      "volumeMounts",
      container.volumeMounts.map(({ name, mountPath, subPath, readOnly }) => ({
        name,
        mountPath,
        ...unlessFalse("subPath", subPath),
        ...unlessFalse("readOnly", readOnly),
      })),
    ),
  };
}

function renderContainer(rendering: Rendering, container: Container): JsonObject {
  const { hostNetwork } = rendering.spec.template;
  const hooks = container.lifecycle ?? {};
  return {
    ...renderCommon(rendering, container),
    ...unlessEmpty(
      "ports",
      container.ports.map((port) => ({ ...port, ...(hostNetwork ? { hostPort: port.containerPort } : {}) })),
    ),
    ...renderProbe("readinessProbe", container.readinessProbe),
    ...renderProbe("livenessProbe", container.livenessProbe),
    ...renderProbe("startupProbe", container.startupProbe),
    ...unlessEmpty("lifecycle", {
      ...renderHook("postStart", hooks.postStart),
      ...renderHook("preStop", hooks.preStop),
    }),
  };
}

/** The container's variables with the cell's own put in their places, further ones behind. */
function environmentIn({ placement, spec }: Rendering, container: InitContainer): EnvironmentVariable[] {
  const cellsOwn = own(own(spec.cells, placement.cell)?.env, container.name) ?? [];
  const values = new Map(cellsOwn.map(({ name, value }) => [name, value]));
  const known = new Set(container.env.map(({ name }) => name));
  const replaced = container.env.map((variable) => {
    const value = values.get(variable.name);
    return value === undefined ? variable : { name: variable.name, value };
  });
  return [...replaced, ...cellsOwn.filter(({ name }) => !known.has(name))];
}

function renderVariable({ name, value, valueFrom }: EnvironmentVariable): JsonObject {
  if (valueFrom === undefined) return { name, value: value ?? "" };
  const { configMapKeyRef, secretKeyRef, fieldRef } = valueFrom;
  return {
    name,
    valueFrom: {
      ...(configMapKeyRef === undefined ? {} : { configMapKeyRef: renderReference(configMapKeyRef) }),
      ...(secretKeyRef === undefined ? {} : { secretKeyRef: renderReference(secretKeyRef) }),
      ...(fieldRef === undefined ? {} : { fieldRef: { apiVersion: "v1", fieldPath: fieldRef.fieldPath } }),
    },
  };
}

function renderReference({ optional, ...rest }: { name: string; key?: string; optional?: boolean }): JsonObject {
  return { ...rest, ...unlessFalse("optional", optional) };
}

function renderVolume(volume: Volume): JsonObject {
  const source = VOLUME_SOURCES.find((kind) => volume[kind] !== undefined);
  const { name } = volume;
  switch (source) {
    case "configMap":
    case "secret": {
      const { items, defaultMode = 420, optional, ...object } = volume[source]!;
      return {
        name,
        [source]: {
          ...object,
          defaultMode,
          ...unlessEmpty(
            "items",
            items?.map((item) => ({ ...item })),
          ),
          ...unlessFalse("optional", optional),
        },
      };
    }
    case "emptyDir": {
      const { medium, sizeLimit } = volume.emptyDir!;
      return { name, emptyDir: { ...unlessFalse("medium", medium), ...unlessFalse("sizeLimit", sizeLimit) } };
    }
    case "hostPath":
      return { name, hostPath: { path: volume.hostPath!.path, type: volume.hostPath!.type ?? "" } };
    case "persistentVolumeClaim": {
      const { claimName, readOnly } = volume.persistentVolumeClaim!;
      return { name, persistentVolumeClaim: { claimName, ...unlessFalse("readOnly", readOnly) } };
    }
    case undefined:
      throw new RangeError(`volume ${name} has no source; validation lets none such pass`);
  }
}

function renderProbe(name: string, probe: Probe | undefined): JsonObject {
  if (probe === undefined) return {};
  const { httpGet, tcpSocket, exec, ...timing } = probe;
  return {
    [name]: {
      ...timing,
      ...(httpGet === undefined ? {} : { httpGet: renderHttpGet(httpGet) }),
      ...(tcpSocket === undefined ? {} : { tcpSocket }),
      ...(exec === undefined ? {} : { exec }),
    },
  };
}

function renderHook(name: string, hook: Hook | undefined): JsonObject {
  if (hook === undefined) return {};
  const { httpGet, exec } = hook;
  return {
    [name]: {
      ...(httpGet === undefined ? {} : { httpGet: renderHttpGet(httpGet) }),
      ...(exec === undefined ? {} : { exec }),
    },
  };
}

function renderHttpGet({ path, port, scheme = "HTTP" }: HttpGet): JsonObject {
  return { path, port, scheme };
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

/** `{ [name]: value }`, or nothing where it says what its absence says: equal meanings give equal texts. */
function unlessFalse(name: string, value: string | boolean | undefined): JsonObject {
  return value === undefined || value === false || value === "" ? {} : { [name]: value };
}
