import { readPlacedRevision } from "../../../db/repositories/placements.ts";
import { CellwrightFailure } from "../../../domain/failures.ts";
import type { Operation } from "../../operation.ts";
import { desiredWorkloads, rightToAct, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

export const restoreWorkload: Operation<ClusterDeps, WorkloadParams> = {
  name: "restoreWorkload",
  description: "Takes back applyWorkload while no pod has moved: the former template returns, what was created goes.",
  params: WorkloadParams,
  latency: "wait",
  idempotency: "A workload that no longer carries the template of this order is left alone.",
  async run(deps, params, { signal, holder }) {
    const outcomes = [];
    const progress = { signal, report: () => undefined, mayAct: rightToAct(deps, params, holder) };
    for (const desired of await desiredWorkloads(deps, params)) {
      const { placement } = desired;
      const previous = async (number: number) => {
        const placed = await readPlacedRevision(
          deps.db,
          deps.tenant,
          placement.workspaceGroup,
          placement.service,
          number,
        );
        const former = placed.placements.find((one) => one.placement.cell === placement.cell);
        if (!former) {
          throw new CellwrightFailure(
            "NotFound",
            `revision ${number} of ${placement.service} does not name cell ${placement.cell}, though it runs there`,
          );
        }
        return { placement: former.placement, revision: number, spec: placed.revision, order: params.order };
      };
      outcomes.push(await deps.driver.restore(desired, previous, progress));
      if (signal.aborted) break;
    }
    return together(outcomes);
  },
};
