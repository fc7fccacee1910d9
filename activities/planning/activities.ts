/** Activities that make the plan of an order, whatever its kind. */
import { createHash } from "node:crypto";
import type { Database } from "../../db/client.ts";
import { findOrder, storePlan } from "../../db/repositories/orders.ts";
import type { Order } from "../../db/repositories/orders.ts";
import { forgetOldPlans } from "../../db/repositories/plans.ts";
import { CellwrightFailure } from "../../domain/failures.ts";
import type { Invocation, Json, Pipeline, TaskDefinition } from "../../domain/pipeline/task.ts";
import type { PlannedPod } from "../../domain/workload/planned.ts";
import { guarded } from "../activity.ts";

type CompiledPlan =
  | {
      ok: true;
      pipelines: Pipeline[];
      pods: PlannedPod[];
      essence: unknown;
      /** Of a way back: what each subject is brought back to. */
      to?: { [subject: string]: Json };
    }
  | { ok: false; faults: string[] };

/** What shall be rolled back, and how. */
export type RollbackWish = { subjects: string[]; confirm: boolean; options: { [key: string]: Json } };

/** How orders of one kind are planned. */
export type Planner = {
  kind: string;
  /** What the order locks. */
  subjects: (request: unknown) => string[];
  /** What has to be looked at, and by whom. Each call keeps what it saw with the order's records. */
  observations: (order: Order, generation: number, rollback?: RollbackWish) => Promise<Invocation[]>;
  /** Compiles the order and what was seen. The same input gives the same plan. */
  compile: (order: Order, generation: number) => Promise<CompiledPlan>;
  /** Compiles how subjects of the order get back to where they were before it, from what was seen. */
  compileRollback: (order: Order, generation: number, rollback: RollbackWish) => Promise<CompiledPlan>;
};

export type CompileResult =
  | { ok: true; digest: string; tasks: TaskDefinition[]; to?: { [subject: string]: Json } }
  /** The plan is the one that the caller knows already. */
  | { ok: true; digest: string; same: true; to?: undefined }
  | { ok: false; reason: string };

/** A plan to be made: the order's, or, with `rollback`, the way back of some of its subjects. */
type Plan = { orderId: string; generation: number; rollback?: RollbackWish };

export type PlanningActivities = ReturnType<typeof createPlanningActivities>;

export function createPlanningActivities(db: Database, planners: readonly Planner[]) {
  const load = async (orderId: string): Promise<{ order: Order; planner: Planner }> => {
    const order = await findOrder(db, orderId);
    if (!order) throw new CellwrightFailure("NotFound", `there is no order ${orderId}`);
    const planner = planners.find((one) => one.kind === order.kind);
    if (!planner) throw new CellwrightFailure("Invalid", `this worker cannot plan orders of kind ${order.kind}`);
    return { order, planner };
  };
  return guarded({
    async listObservations(input: Plan): Promise<Invocation[]> {
      const { order, planner } = await load(input.orderId);
      return planner.observations(order, input.generation, input.rollback);
    },

    async compileOrder(input: Plan & { unless?: string }): Promise<CompileResult> {
      const { order, planner } = await load(input.orderId);
      if (input.rollback) return compileRollback(planner, order, input.generation, input.rollback);
      const plan = await planner.compile(order, input.generation);
      if (!plan.ok) return { ok: false, reason: plan.faults.join("\n") };
      const digest = createHash("sha256").update(JSON.stringify(plan.essence)).digest("hex").slice(0, 16);
      if (digest === input.unless) return { ok: true, digest, same: true };
      await db.transaction(async (tx) => {
        // The plan in force must stay: until this one takes its place, the order is shown by it.
        await forgetOldPlans(tx, order.id, Math.min(order.generation, input.generation));
        await storePlan(tx, order.id, input.generation, plan.pipelines, plan.pods);
      });
      return { ok: true, digest, tasks: plan.pipelines[0]?.tasks ?? [] };
    },
  });

  /** Kept beside the order's own plan, which stays in force for everything else. */
  async function compileRollback(
    planner: Planner,
    order: Order,
    generation: number,
    rollback: RollbackWish,
  ): Promise<CompileResult> {
    const plan = await planner.compileRollback(order, generation, rollback);
    if (!plan.ok) return { ok: false, reason: plan.faults.join("\n") };
    await db.transaction(async (tx) => {
      // One attempt after the other, as above; plans below the one in force are gone already.
      await forgetOldPlans(tx, order.id, Math.min(order.generation, generation));
      await storePlan(tx, order.id, generation, plan.pipelines, plan.pods);
    });
    return { ok: true, digest: "", tasks: [], to: plan.to ?? {} };
  }
}
