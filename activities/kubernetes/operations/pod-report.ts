import Type, { type Static } from "typebox";
import { answerPodReport, findPodReport } from "../../../db/repositories/pod-reports.ts";
import type { Operation } from "../../operation.ts";
import type { ClusterDeps } from "./common.ts";

const Params = Type.Object({ report: Type.String() }, { additionalProperties: false });

export const reportPod: Operation<ClusterDeps, Static<typeof Params>> = {
  name: "reportPod",
  description: "Reads events of a pod or the end of a container's log, for a person who has asked; changes nothing.",
  params: Params,
  latency: "look",
  idempotency: "Reads the cluster; a later answer replaces an earlier one.",
  async run(deps, { report }, { signal }) {
    const asked = await findPodReport(deps.db, report);
    if (!asked) return { outcome: "done", summary: "nobody waits for it any more", changed: false };
    const { namespace, pod, question } = asked;
    await answerPodReport(deps.db, report, await deps.pods.read({ namespace, name: pod }, question, signal));
    return { outcome: "done", summary: `${question.kind} of ${pod} read`, changed: false };
  },
};
