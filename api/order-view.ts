/** What a release order looks like from outside, made of its rows. */
import Type, { type Static } from "typebox";
import type { Database } from "../db/client.ts";
import { lastSuccesses, type Success } from "../db/repositories/order-revisions.ts";
import { hasBegun, readPipelines, readPlan, readPods, readTasks } from "../db/repositories/orders.ts";
import type { Order, PipelineRow, Task, TaskPod } from "../db/repositories/orders.ts";
import { GROUP_STATES, groupState, PIPELINE_STATES, TASK_KINDS, TASK_STATES } from "../domain/pipeline/states.ts";
import { POD_CHANGES } from "../domain/workload/planned.ts";
import { POD_STATES } from "../domain/workload/pod-state.ts";
import type { PipelineStateName } from "../domain/pipeline/states.ts";
import { allowedTaskVerbs, type TaskStanding } from "../domain/pipeline/view.ts";
import type { ReleaseRequest } from "../domain/release/order.ts";

const Reason = Type.Optional(
  Type.String({ description: "For a person: why it is in this state, and who can change that" }),
);
const Actions = Type.Array(Type.String(), { description: "What may be done now" });

const Pod = Type.Object({
  name: Type.String(),
  cell: Type.String(),
  change: Type.Optional(
    Type.Enum([...POD_CHANGES], {
      description: "How it gets there: CREATE, IN_PLACE (keeps its address), RECREATE (comes back with another one)",
    }),
  ),
  why: Type.Optional(Type.String({ description: "Why it is recreated" })),
  state: Type.Enum([...POD_STATES]),
  reason: Reason,
});
const Group = Type.Object({
  id: Type.String({ description: "beta, or the number of the group" }),
  state: Type.Enum([...GROUP_STATES]),
  pods: Type.Array(Pod),
});
const RollbackTarget = Type.Object({
  case: Type.Enum(["TO_PREVIOUS", "TO_EMPTY"], {
    description: "TO_PREVIOUS: to the last revision that was released successfully. TO_EMPTY: none ever was, all goes",
  }),
  revision: Type.Optional(Type.Integer()),
});
const AppView = Type.Object({
  service: Type.String(),
  revision: Type.Integer(),
  state: Type.Enum([...PIPELINE_STATES]),
  reason: Reason,
  groups: Type.Array(Group),
  /** What rolling it back means now; absent once the order has ended or before the app has begun. */
  rollsBackTo: Type.Optional(RollbackTarget),
  /** Its way back, once there is a plan for it. */
  rollback: Type.Optional(Type.Object({ to: RollbackTarget, generation: Type.Integer(), groups: Type.Array(Group) })),
  allowedActions: Actions,
});
const TaskView = Type.Object({
  id: Type.String(),
  kind: Type.Enum([...TASK_KINDS]),
  title: Type.String(),
  service: Type.Optional(Type.String()),
  group: Type.Optional(Type.String()),
  state: Type.Enum([...TASK_STATES]),
  attempt: Type.Integer({ description: "How often it was set going" }),
  dependsOn: Type.Array(Type.String()),
  reason: Reason,
  allowedActions: Actions,
});

const summary = {
  id: Type.String(),
  kind: Type.String(),
  workspaceGroup: Type.String(),
  title: Type.String(),
  state: Type.Enum([...PIPELINE_STATES]),
  reason: Reason,
  creator: Type.String(),
  createdAt: Type.String({ format: "date-time" }),
  updatedAt: Type.String({ format: "date-time" }),
  endedAt: Type.Optional(Type.String({ format: "date-time" })),
  allowedActions: Actions,
};
export const OrderSummary = Type.Object(summary);
export const ReleaseOrder = Type.Object({
  ...summary,
  type: Type.Enum(["GROUPED"]),
  digest: Type.Optional(Type.String({ description: "Of the preview; start names it" })),
  generation: Type.Integer({ description: "Which plan this is; task ids begin with it" }),
  workflowId: Type.String({ description: "The order's workflow in Temporal" }),
  supersedes: Type.Optional(Type.String({ description: "The order whose place it takes at its start" })),
  dependencies: Type.Array(Type.Object({ service: Type.String(), needs: Type.Array(Type.String()) })),
  apps: Type.Array(AppView),
  tasks: Type.Array(TaskView),
});
export type ReleaseOrder = Static<typeof ReleaseOrder>;

export function summaryOf(order: Order): Static<typeof OrderSummary> {
  return {
    id: order.id,
    kind: order.kind,
    workspaceGroup: order.workspaceGroup,
    title: order.title,
    state: order.state,
    ...(order.reason !== null && { reason: order.reason }),
    creator: order.creator,
    createdAt: order.createdAt.toISOString(),
    updatedAt: order.updatedAt.toISOString(),
    ...(order.endedAt !== null && { endedAt: order.endedAt.toISOString() }),
    allowedActions: order.allowedActions,
  };
}

export async function readReleaseOrder(db: Database, order: Order): Promise<ReleaseOrder> {
  const request = order.request as ReleaseRequest;
  const services = request.apps.map((app) => app.service);
  const [plan, inForce, pipelines, successes] = await Promise.all([
    readPlan(db, order.id, order.generation),
    readTasks(db, order.id, order.generation),
    readPipelines(db, order.id),
    lastSuccesses(db, order, order.endedAt === null ? services : []),
  ]);
  // Where something is rolled back, the plan by which it went forward stays to be seen.
  const tasks = [...plan, ...inForce.filter((task) => task.generation !== order.generation)];
  const pods = await readPods(
    db,
    order.id,
    tasks.filter((task) => task.kind === "activity" && task.group !== null).map((task) => task.id),
  );
  const subjects = new Map(tasks.map((task) => [task.id, task.subject]));
  const podsBySubject = Map.groupBy(pods, (pod) => subjects.get(pod.taskId) ?? "");
  const bySubject = Map.groupBy(tasks, (task) => task.subject ?? "");
  const stateOf = (task: Task): PipelineStateName =>
    pipelines.find((row) => row.workflowId === task.stream)?.state ?? order.state;
  return {
    ...summaryOf(order),
    type: request.type,
    ...(order.digest !== null && { digest: order.digest }),
    generation: order.generation,
    workflowId: order.workflowId,
    ...(order.supersedes !== null && { supersedes: order.supersedes }),
    dependencies: request.dependencies,
    apps: request.apps.map((app) =>
      appView(
        order,
        app,
        bySubject.get(app.service) ?? [],
        tasks.filter((task) => task.kind === "gate" && task.state === "BLOCKED"),
        pipelines.find((row) => row.subject === app.service),
        podsBySubject.get(app.service) ?? [],
        successes.get(app.service),
      ),
    ),
    tasks: tasks.map((task) => ({
      id: task.id,
      kind: task.kind,
      title: task.definition.title,
      ...(task.subject !== null && { service: task.subject }),
      ...(task.group !== null && { group: task.group }),
      state: task.state,
      attempt: task.attempt,
      dependsOn: task.definition.dependsOn,
      ...(task.reason !== null && { reason: task.reason }),
      allowedActions: taskActions(
        task,
        stateOf(task),
        pipelines.find((row) => task.kind === "pipeline" && row.subject === task.subject),
      ),
    })),
  };
}

function appView(
  order: Order,
  app: { service: string; revision: number },
  tasks: Task[],
  obstacles: Task[],
  pipeline: PipelineRow | undefined,
  pods: TaskPod[],
  success: Success | undefined,
): Static<typeof AppView> {
  const own = tasks.find((task) => task.kind === "pipeline");
  const back = pipeline?.generation ?? null;
  const begun = pipeline !== undefined && hasBegun(pipeline);
  return {
    ...app,
    ...appState(
      order,
      own,
      obstacles.find((gate) => own?.definition.dependsOn.includes(gate.id)),
      pipeline,
    ),
    groups: groupsOf(
      tasks.filter((task) => task.generation === order.generation),
      pods,
    ),
    ...(order.endedAt === null && begun && { rollsBackTo: targetOf(success?.revision ?? null) }),
    ...(back !== null && {
      rollback: {
        to: targetOf((pipeline?.rollback as { revision: number | null } | null)?.revision ?? null),
        generation: back,
        groups: groupsOf(
          tasks.filter((task) => task.generation === back),
          pods,
        ),
      },
    }),
    allowedActions: [
      ...(asksWhetherBack(app.service, tasks, pipeline) ? ["confirm-rollback"] : []),
      ...(own ? taskActions(own, order.state, pipeline) : []),
    ],
  };
}

function targetOf(revision: number | null): Static<typeof RollbackTarget> {
  return revision === null ? { case: "TO_EMPTY" } : { case: "TO_PREVIOUS", revision };
}

function groupsOf(tasks: Task[], pods: TaskPod[]): Static<typeof Group>[] {
  const grouped = Map.groupBy(
    tasks.filter((task) => task.group !== null),
    (task) => task.group ?? "",
  );
  const groups = new Map(tasks.map((task) => [task.id, task.group]));
  const podsByGroup = Map.groupBy(pods, (pod) => groups.get(pod.taskId) ?? "");
  return [...grouped].map(([id, members]) => ({
    id,
    state: groupState(members.map((task) => task.state)),
    pods: (podsByGroup.get(id) ?? []).map((pod) => ({
      name: pod.pod,
      cell: pod.cell,
      ...(pod.change !== null && { change: pod.change }),
      ...(pod.why !== null && { why: pod.why }),
      state: pod.state,
      ...(pod.reason !== null && { reason: pod.reason }),
    })),
  }));
}

/** `app`: the pipeline that the task stands for, once it has begun. */
function taskActions(task: Task, pipeline: PipelineStateName, app: PipelineRow | undefined): string[] {
  const { pipeline: nested, ignorable = false } = task.definition;
  const standing: TaskStanding = { kind: task.kind, state: task.state, ignorable };
  // What the child's own records say last may be out of date: it was lost, or it ended before it heard of a rollback.
  standing.committed = task.changed || (task.turn === null && app?.committed === true);
  standing.canRollBack = nested?.rollbackType !== undefined;
  if (task.turn !== null) standing.turn = task.turn;
  return allowedTaskVerbs(standing, pipeline);
}

/** An app that was rolled back by itself, also when the whole order is rolled back since; not one that waits between groups. */
function asksWhetherBack(service: string, tasks: Task[], app: PipelineRow | undefined): boolean {
  if (app?.state !== "AWAITING_ROLLBACK_CONFIRM" || app.generation === null) return false;
  const last = `${app.generation}.${service}.rolled-back`;
  return tasks.some((task) => task.id === last && task.state === "AWAITING_CONFIRM");
}

/** The app's own pipeline knows best; before it has begun, its task in the order does, and the gate that it waits for. */
function appState(
  order: Order,
  task: Task | undefined,
  obstacle: Task | undefined,
  pipeline: PipelineRow | undefined,
): { state: PipelineStateName; reason?: string } {
  const reason = pipeline?.reason ?? task?.reason ?? obstacle?.reason ?? undefined;
  const why = reason === undefined ? {} : { reason };
  if (task?.state === "CANCELLED" && (pipeline === undefined || pipeline.state === "FAILED")) {
    return { state: "CANCELLED", ...why };
  }
  if (pipeline) return { state: pipeline.state, ...why };
  if (!task) return { state: order.state === "INIT_FAILED" ? "INIT_FAILED" : order.state, ...why };
  switch (task.state) {
    case "WAITING":
      if (order.endedAt !== null) return { state: "CANCELLED", ...why };
      return { state: obstacle === undefined ? "READY" : "BLOCKED", ...why };
    case "BLOCKED":
      return { state: "BLOCKED", ...why };
    default:
      return { state: "RUNNING", ...why };
  }
}
