/** What of a running service has to change to become another revision of it, in one cell. Pure. */
import { describeChanges } from "./describe.ts";
import type { JsonObject, Rendering } from "./manifest.ts";
import { imagesOf, renderFixed, renderServices, withoutImages } from "./render.ts";

export type Difference = {
  /** Containers of both whose image differs. Where `recreate` is empty, replacing these in place is enough. */
  images: { container: string; from: string; to: string }[];
  /** Why the pods must be recreated; short sentences for people, without values of variables or annotations. */
  recreate: string[];
  /** What can only be changed by replacing the workload object itself; pods may stay. */
  fixed: string[];
  /** What changes about the Services. */
  services: string[];
  replicas?: { from: number; to: number };
};

/**
 * With the policy IN_PLACE, `recreate` is empty exactly if the shapes are equal (`shapeOf`). With RECREATE it is empty
 * only if the pods do not differ at all.
 */
export function differenceOf(from: Rendering, to: Rendering): Difference {
  const before = new Map(Object.entries(imagesOf(from)));
  const images = Object.entries(imagesOf(to)).flatMap(([container, image]) => {
    const old = before.get(container);
    return old === undefined || old === image ? [] : [{ container, from: old, to: image }];
  });
  const shape = describeChanges(withoutImages(from), withoutImages(to));
  const always = to.spec.release.upgrade === "RECREATE" && (images.length > 0 || shape.length > 0);
  const replicas = { from: replicasOf(from), to: replicasOf(to) };
  return {
    images,
    recreate: [...shape, ...(always ? ["the release policy recreates pods at every change (upgrade RECREATE)"] : [])],
    fixed: describeChanges(renderFixed(from), renderFixed(to)),
    services: describeChanges(servicesOf(from), servicesOf(to)),
    ...(replicas.from === replicas.to ? {} : { replicas }),
  };
}

function replicasOf({ placement, spec }: Rendering): number {
  return spec.cells[placement.cell]?.replicas ?? 0;
}

function servicesOf(rendering: Rendering): JsonObject {
  return {
    services: renderServices(rendering).map(({ metadata, spec: { clusterIP, type, ...spec } }) => ({
      ...spec,
      name: metadata.name,
      type: clusterIP === "None" ? "Headless" : type,
      labels: metadata.labels,
    })),
  };
}
