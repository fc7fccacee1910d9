import Type, { type Static } from "typebox";
import type { Operation } from "../../operation.ts";
import { desiredWorkloads, rightToAct, together, WorkloadParams } from "./common.ts";
import type { ClusterDeps } from "./common.ts";

const Params = Type.Object(
  {
    ...WorkloadParams.properties,
    /** Cells of `revision` whose workloads go; the revision says where they are. */
    cells: Type.Array(Type.String(), { minItems: 1 }),
  },
  { additionalProperties: false },
);

export const removeWorkloads: Operation<ClusterDeps, Static<typeof Params>> = {
  name: "removeWorkloads",
  description:
    "Takes an app service away from cells of one cluster: its pods, its workloads, with the last of them its Services. Volume claims stay.",
  params: Params,
  latency: "wait",
  onStop: "freezeWorkload",
  idempotency: "What is gone is done; what is left is taken away.",
  commits: true,
  async run(deps, params, { signal, startedAt, holder }) {
    const outcomes = [];
    const progress = { signal, report: () => undefined, mayAct: rightToAct(deps, params, holder) };
    for (const { placement, spec } of await desiredWorkloads(deps, params)) {
      if (!params.cells.includes(placement.cell)) continue;
      outcomes.push(
        await deps.driver.remove(
          {
            placement,
            order: params.order,
            holder: `${params.order}/${holder}`,
            startedAt,
            progressDeadlineSeconds: spec.release.progressDeadlineSeconds,
          },
          progress,
        ),
      );
      if (signal.aborted) break;
    }
    return together(outcomes);
  },
};
