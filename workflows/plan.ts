/** Makes plans: looks at the world, everywhere at once, and compiles what was seen. */
import type { CompileResult, PlanningActivities } from "../activities/planning/activities.ts";
import type { Command, PipelineEvent } from "../domain/pipeline/model.ts";
import { atHand, planning } from "./activities.ts";
import { describeFailure, invoke } from "./calls.ts";
import type { Unstamped } from "./calls.ts";

type Made = Exclude<CompileResult, { ok: false }>;

/** Failures are values: a person may try again. */
async function planOf(
  look: Parameters<PlanningActivities["listObservations"]>[0],
  compile: Parameters<PlanningActivities["compileOrder"]>[0],
): Promise<Made | { reason: string }> {
  const { generation } = look;
  try {
    const looks = await atHand((reads) => reads.planning.listObservations(look));
    const reasons = await Promise.all(
      looks.map((one) =>
        invoke(one, generation, `${generation}.observe`).then(
          (outcome) => (outcome.outcome === "done" ? undefined : outcome.reason),
          (error: unknown) => describeFailure(error, one.queue),
        ),
      ),
    );
    const faults = reasons.filter((reason) => reason !== undefined);
    if (faults.length > 0) return { reason: faults.join("\n") };
    // Without a look, the message that asked for this may not have been accepted yet: then nothing may be stored for it.
    const plan =
      looks.length === 0
        ? await planning.compileOrder(compile)
        : await atHand((reads) => reads.planning.compileOrder(compile));
    return plan.ok ? plan : { reason: plan.reason };
  } catch (error) {
    return { reason: describeFailure(error, "orchestrator") };
  }
}

/** The plan of an order, before its start. */
export async function lookAndCompile(
  orderId: string,
  { generation, unless }: Extract<Command, { do: "initialise" }>,
): Promise<Unstamped<Extract<PipelineEvent, { type: "initialised" | "initialisationFailed" }>>> {
  const plan = await planOf({ orderId, generation }, { orderId, generation, ...(unless !== undefined && { unless }) });
  if ("reason" in plan) return { type: "initialisationFailed", reason: plan.reason };
  return { type: "initialised", generation, digest: plan.digest, tasks: "same" in plan ? [] : plan.tasks };
}

/** The plan of the way back of some of an order's subjects, from where they are now. */
export async function compileRollback(
  orderId: string,
  { generation, subjects, confirm, options }: Extract<Command, { do: "compileRollback" }>,
): Promise<Unstamped<Extract<PipelineEvent, { type: "rollbackCompiled" | "rollbackNotCompiled" }>>> {
  const rollback = { subjects, confirm, options };
  const plan = await planOf({ orderId, generation, rollback }, { orderId, generation, rollback });
  if ("reason" in plan) return { type: "rollbackNotCompiled", generation, reason: plan.reason };
  return { type: "rollbackCompiled", generation, to: plan.to ?? {} };
}
