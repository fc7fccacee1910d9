/** Digests of what a revision renders to, short enough for annotations. */
import { createHash } from "node:crypto";
import { fixedOf, shapeOf, type Rendering } from "../../../domain/workload/render.ts";

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Of the pod template without images: what `observe` reports as `shape` once the rendering is applied. */
export function shapeDigest({ placement, spec }: Rendering): string {
  return digest(shapeOf({ placement, spec }));
}

/** Of what Kubernetes never lets one change: what `observe` reports as `fixed`. */
export function fixedDigest({ placement, spec }: Rendering): string {
  return digest(fixedOf({ placement, spec }));
}
