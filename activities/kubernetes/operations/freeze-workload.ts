import Type, { type Static } from "typebox";
import type { Operation } from "../../operation.ts";
import { desiredWorkloads, rightToAct, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

const Params = Type.Object(
  {
    ...WorkloadParams.properties,
    /** Only in these cells. */
    cells: Type.Optional(Type.Array(Type.String())),
    /**
     * Makes void only what earlier runs of the pipeline set going, so that the calling run may go on: the first step of a
     * rollback. Otherwise the calling run is made void, too.
     */
    earlierRuns: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

export const freezeWorkload: Operation<ClusterDeps, Static<typeof Params>> = {
  name: "freezeWorkload",
  description:
    "Leaves the workloads of one cluster in all cells of the revision as they are now, whatever revision they are at: nothing that is under way can change a pod any more.",
  params: Params,
  latency: "quick",
  idempotency: "Freezing what is frozen changes nothing.",
  async run(deps, params, { holder }) {
    const outcomes = [];
    const mayAct = rightToAct(deps, params, holder);
    let moved = 0;
    let total = 0;
    for (const { placement } of await desiredWorkloads(deps, params)) {
      if (params.cells?.includes(placement.cell) === false) continue;
      const outcome = await deps.driver.freeze({
        placement,
        order: params.order,
        holder: `${params.order}/${holder}`,
        ...(params.earlierRuns === true && { earlierRuns: true }),
        mayAct,
      });
      outcomes.push(outcome);
      moved += outcome.moved;
      total += outcome.total;
    }
    const result = together(outcomes);
    return result.outcome === "done"
      ? { ...result, summary: `${moved} of ${total} pods are on revision ${params.revision}` }
      : result;
  },
};
