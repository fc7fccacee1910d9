/** The right of a call to write: its order's, and that of its run of the pipeline. */
import { CellwrightFailure } from "../../../domain/failures.ts";
import { stableJson } from "../../../domain/json.ts";
import { imagesOf, workloadName } from "../../../domain/workload/render.ts";
import type { SetObject } from "../objects.ts";
import type { Desired, Permitted, Placement } from "../port.ts";
import type { WorkloadKey } from "./cluster.ts";
import { isFrozenFor, isOurs, templateImages, type Notes } from "./metadata.ts";

export function keyOf(placement: Placement): WorkloadKey {
  return { namespace: placement.namespace, name: workloadName(placement.service, placement.cell) };
}

/** Throws Superseded when the order may not write any more. To be called between the read and the swap of it. */
export async function insistOnRight(
  key: WorkloadKey,
  order: string,
  { mayAct }: Pick<Permitted, "mayAct">,
): Promise<void> {
  const refusal = await mayAct();
  if (refusal !== undefined)
    throw new CellwrightFailure(
      "Superseded",
      `${key.namespace}/${key.name} is left alone by order ${order}: ${refusal}`,
    );
}

/** Throws Superseded when a freeze or a later run of the order's pipeline has made this attempt void here. */
export function insistOnRun(
  key: WorkloadKey,
  notes: Pick<Notes, "order" | "frozenUpTo">,
  order: string,
  attempt: number,
): void {
  if (notes.order === order && isFrozenFor(notes, attempt))
    throw new CellwrightFailure(
      "Superseded",
      `${key.namespace}/${key.name} was frozen, or a later run has begun: attempt ${attempt} of order ${order} does not change it any more`,
    );
}

/** Throws Superseded when the workload is not as this attempt's order wants it: it must not move pods there. */
export function insistOnRevision(set: SetObject, notes: Notes, desired: Desired, attempt: number): void {
  const { placement, order, revision } = desired;
  const key = keyOf(placement);
  const where = `${key.namespace}/${key.name}`;
  if (!isOurs(set, placement))
    throw new CellwrightFailure("Superseded", `${where} is not Cellwright's workload any more`);
  if (notes.order !== order || notes.revision !== revision) {
    throw new CellwrightFailure(
      "Superseded",
      `${where} is at revision ${notes.revision} of order ${notes.order} now; this order (${order}, revision ${revision}) has been superseded there`,
    );
  }
  insistOnRun(key, notes, order, attempt);
  if (stableJson(templateImages(set)) !== stableJson(imagesOf(desired))) {
    throw new CellwrightFailure(
      "Superseded",
      `The template of ${where} was changed by another hand: its images are not those of revision ${revision}`,
    );
  }
}
