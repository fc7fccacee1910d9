import { pointer, type Fault } from "../faults.ts";
import { parseImage } from "../image.ts";
import type { Container, HttpGet, InitContainer, Probe } from "../template/container.ts";
import type { PodTemplate } from "../template/pod.ts";
import { exactlyOne, located, readQuantity, repeated } from "./common.ts";
import { environmentFaults } from "./environment.ts";

/** Rules for the containers of a pod, each alone and all together. */

export function containerFaults(template: PodTemplate, volumes: ReadonlySet<string>): Fault[] {
  const containers = located(template.containers, "/template/containers");
  const initContainers = located(template.initContainers, "/template/initContainers");
  return [
    ...togetherFaults(containers, initContainers),
    ...repeated(
      located(template.imagePullSecrets, "/template/imagePullSecrets").map(({ item, field }) => ({
        field: `${field}/name`,
        key: item.name,
      })),
      (first) => `is named twice (${first}); keep one`,
    ),
    ...[...initContainers, ...containers].flatMap(({ item, field }) => [
      ...imageFaults(item.image, `${field}/image`),
      ...environmentFaults(item, field),
      ...resourceFaults(item.resources, `${field}/resources`),
      ...mountFaults(item, field, volumes),
    ]),
    ...containers.flatMap(({ item, field }) => [
      ...(["readinessProbe", "livenessProbe", "startupProbe"] as const).flatMap((kind) =>
        probeFaults(kind, item, `${field}/${kind}`),
      ),
      ...lifecycleFaults(item, `${field}/lifecycle`),
    ]),
  ];
}

export function imageFaults(image: string, field: string): Fault[] {
  const parsed = parseImage(image);
  if (parsed.ok) return [];
  return [{ field, message: `is not an image reference: ${parsed.why}; example: "shop/cart:1.0.0"` }];
}

type Located<T> = { item: T; field: string }[];

/** What has to differ between the containers of one pod. */
function togetherFaults(containers: Located<Container>, initContainers: Located<InitContainer>): Fault[] {
  const ports = containers.flatMap(({ item, field }) => located(item.ports, `${field}/ports`));
  return [
    ...repeated(
      [...containers, ...initContainers].map(({ item, field }) => ({ field: `${field}/name`, key: item.name })),
      (first) => `is the name of another container too (${first}); container names must differ`,
    ),
    ...repeated(
      containers.map(({ item, field }) => ({ field: `${field}/image`, key: item.image })),
      (first) => `is the image of another container too (${first}); images of one pod must differ`,
    ),
    ...repeated(
      ports.map(({ item, field }) => ({ field, key: `${item.containerPort}/${item.protocol}` })),
      (first) => `has the same number and protocol as ${first}; the containers of a pod share one address`,
    ),
    ...repeated(
      ports.flatMap(({ item, field }) => (item.name === undefined ? [] : [{ field: `${field}/name`, key: item.name }])),
      (first) => `is the name of another port too (${first}); port names must differ within a pod`,
    ),
  ];
}

function resourceFaults(resources: InitContainer["resources"], field: string): Fault[] {
  return (["cpu", "memory"] as const).flatMap((resource) => {
    const faults: Fault[] = [];
    const read = (side: "requests" | "limits"): bigint | undefined => {
      const text = resources[side][resource];
      if (text === undefined) return undefined;
      const found = readQuantity(text, resource, `${field}/${side}/${resource}`);
      if ("amount" in found) return found.amount;
      faults.push(found.fault);
      return undefined;
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

function mountFaults(container: InitContainer, field: string, volumes: ReadonlySet<string>): Fault[] {
  const mounts = located(container.volumeMounts, `${field}/volumeMounts`);
  return [
    ...mounts.flatMap((mount) =>
      volumes.has(mount.item.name)
        ? []
        : [
            {
              field: `${mount.field}/name`,
              message:
                "names neither a volume of the template nor a volume claim template; add it, or name one of them",
            },
          ],
    ),
    ...mounts.flatMap((mount) =>
      normalised(mount.item.mountPath) === ""
        ? [{ field: `${mount.field}/mountPath`, message: "is the whole file system; mount the volume below it" }]
        : [],
    ),
    ...repeated(
      mounts.map((mount) => ({ field: `${mount.field}/mountPath`, key: normalised(mount.item.mountPath) })),
      (first) => `is where another volume is mounted too (${first}); mount paths of a container must differ`,
    ),
  ];
}

/** One text for every way to write a path. */
function normalised(path: string): string {
  return path
    .split("/")
    .filter((step) => step !== "" && step !== ".")
    .join("/");
}

type ProbeKind = "readinessProbe" | "livenessProbe" | "startupProbe";

function probeFaults(kind: ProbeKind, container: Container, field: string): Fault[] {
  const probe: Probe | undefined = container[kind];
  if (probe === undefined) return [];
  return [
    ...exactlyOne(probe, ["httpGet", "tcpSocket", "exec"], field),
    ...(kind !== "readinessProbe" && probe.successThreshold !== 1
      ? [{ field: `${field}/successThreshold`, message: `must be 1 for a ${kind}; leave it out` }]
      : []),
    ...portFaults(container, probe.httpGet, `${field}/httpGet`),
    ...portFaults(container, probe.tcpSocket, `${field}/tcpSocket`),
  ];
}

function lifecycleFaults(container: Container, field: string): Fault[] {
  const { lifecycle } = container;
  if (lifecycle === undefined) return [];
  const hooks = (["postStart", "preStop"] as const).flatMap((name) => {
    const hook = lifecycle[name];
    return hook === undefined ? [] : [{ hook, at: pointer(field, name) }];
  });
  if (hooks.length === 0) return [{ field, message: "must have postStart or preStop; or leave it out" }];
  return hooks.flatMap(({ hook, at }) => [
    ...exactlyOne(hook, ["exec", "httpGet"], at),
    ...portFaults(container, hook.httpGet, `${at}/httpGet`),
  ]);
}

function portFaults({ ports }: Container, action: Pick<HttpGet, "port"> | undefined, field: string): Fault[] {
  const port = action?.port;
  if (typeof port !== "string" || ports.some(({ name }) => name === port)) return [];
  return [
    {
      field: `${field}/port`,
      message: "names no port of this container; name one of its ports, or write the number",
    },
  ];
}
