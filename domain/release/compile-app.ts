/** The pipelines of one app service: the way forward, and the way back. */
import { invoke } from "../pipeline/operation.ts";
import type { OperationCatalogue } from "../pipeline/operation.ts";
import type { Json, Pipeline, TaskDefinition } from "../pipeline/task.ts";
import type { PlannedPod } from "../workload/planned.ts";
import { podName } from "../workload/render.ts";
import { changeOf, isUnchanged } from "./app.ts";
import type { LeavingCell, ReleaseApp } from "./app.ts";
import { cutGroups } from "./grouping.ts";
import type { Group, Grouping } from "./grouping.ts";

export type CompileContext = {
  orderId: string;
  workflowId: string;
  generation: number;
  catalogue: OperationCatalogue;
  /** Milliseconds that a task waits for a worker of its cluster. */
  queueWait: number;
};

export type CompiledApp = { pipeline: Pipeline; pods: PlannedPod[]; groups: Group[] };

/** Where earlier work of the same order is made void before the way back begins. `revision` says which cells. */
export type Freeze = { cluster: string; revision: number };

export type RollbackApp = {
  service: string;
  freeze: Freeze[];
  /** The last revision that was released successfully; absent when none ever was: then everything goes. */
  target?: ReleaseApp;
  /** Without target: where the service runs. */
  leaving: LeavingCell[];
};

/** Task queue of a cluster's workers. */
export function clusterQueue(cluster: string): string {
  return `cluster-${cluster}`;
}

/** Apply the template; group after group; take away what the revision does not want; verify. */
export function compileForward(context: CompileContext, app: ReleaseApp): CompiledApp {
  const plan = createPlan(context, app.service);
  const groups = release(plan, app, app.spec.release);
  plan.orNothing(`nothing to do: ${app.service} runs nowhere, and its revision ${app.revision} wants no cell`);
  return { pipeline: plan.pipeline, pods: plan.pods, groups };
}

/** First nothing of the way forward can act any more; then the last success is released, or everything goes. */
export function compileBack(
  context: CompileContext,
  { service, freeze, target, leaving }: RollbackApp,
  { grouping, confirm }: { grouping?: Partial<Grouping>; confirm: boolean },
): CompiledApp {
  const plan = createPlan(context, service);
  plan.layer(
    freeze.map(({ cluster, revision }) => ({
      suffix: `freeze-${revision}.${cluster}`,
      title: `stop ${service} revision ${revision} in ${cluster}`,
      cluster,
      operation: "freezeWorkload",
      params: { revision, earlierRuns: true },
      summary: `${cluster} · nothing of ${service} revision ${revision} goes on`,
    })),
  );
  let groups: Group[] = [];
  if (target) {
    groups = release(plan, target, { ...target.spec.release, beta: false, pause: "OFF", ...grouping });
  } else remove(plan, leaving);
  if (confirm) {
    plan.confirm("rolled-back", `confirm that ${service} is rolled back`);
  }
  plan.orNothing(`nothing to take back: ${service} runs nowhere, as before`);
  return { pipeline: plan.pipeline, pods: plan.pods, groups };
}

type Step = {
  suffix: string;
  title: string;
  cluster: string;
  operation: string;
  params: { [key: string]: Json };
  summary: string;
  group?: string;
};

type Plan = ReturnType<typeof createPlan>;

function createPlan(context: CompileContext, service: string) {
  const tasks: TaskDefinition[] = [];
  const pods: PlannedPod[] = [];
  let before: string[] = [];
  const idOf = (suffix: string): string => `${context.generation}.${service}.${suffix}`;
  const add = (made: TaskDefinition[]): void => {
    if (made.length === 0) return;
    tasks.push(...made);
    before = made.map((task) => task.id);
  };
  return {
    service,
    pods,
    idOf,
    pipeline: { workflowId: `${context.workflowId}/${service}`, subject: service, tasks } satisfies Pipeline,
    /** Steps that may be taken at the same time, once everything before them is done. */
    layer(steps: Step[]): void {
      add(
        steps.map(({ suffix, title, cluster, operation, params, summary, group }) => ({
          id: idOf(suffix),
          title,
          kind: "activity",
          dependsOn: before,
          ...(group !== undefined && { group }),
          ...invoke(
            context.catalogue,
            operation,
            { order: context.orderId, task: idOf(suffix), service, cluster, ...params },
            { queue: clusterQueue(cluster), summary, queueWait: context.queueWait },
          ),
        })),
      );
    },
    confirm(suffix: string, title: string, group?: string): void {
      add([{ id: idOf(suffix), title, kind: "confirm", dependsOn: before, ...(group !== undefined && { group }) }]);
    },
    /** A pipeline without any task would be taken for one whose plan is lost; this one is over as soon as it begins. */
    orNothing(title: string): void {
      if (tasks.length === 0) add([{ id: idOf("nothing"), title, kind: "gate", dependsOn: [] }]);
    },
  };
}

function release(plan: Plan, app: ReleaseApp, policy: Grouping): Group[] {
  const { service, revision } = app;
  const version = `${service} revision ${revision}`;
  const clusters = distinct(app.cells.map((cell) => cell.cluster));
  const cellOf = new Map(app.cells.map((cell) => [cell.cell, cell]));

  plan.layer(
    clusters.map((cluster) => ({
      suffix: `apply.${cluster}`,
      title: `apply template in ${cluster}`,
      cluster,
      operation: "applyWorkload",
      params: { revision },
      summary: `${cluster} · template of ${version}`,
    })),
  );

  const groups = groupsOf(app, policy);
  groups.forEach((group, index) => {
    const label = group.id === "beta" ? "beta group" : `group ${group.id}`;
    const here = distinct(group.pods.map(({ cell }) => cellOf.get(cell)?.cluster ?? ""));
    plan.layer(
      here.map((cluster) => {
        const suffix = `${group.id}.move.${cluster}`;
        const mine = group.pods.flatMap(({ cell, pod }) => {
          const observed = cellOf.get(cell);
          return observed?.cluster === cluster ? [{ cell, pod, ...changeOf(app, observed, pod) }] : [];
        });
        plan.pods.push(...mine.map((pod) => ({ task: plan.idOf(suffix), service, group: group.id, cluster, ...pod })));
        const recreated = mine.filter((pod) => pod.change === "RECREATE").length;
        const how = recreated === 0 ? "" : ` · ${recreated} recreated`;
        return {
          suffix,
          title: `${service} ${label} in ${cluster}`,
          cluster,
          operation: "movePods",
          params: { revision },
          group: group.id,
          summary: `${distinct(mine.map(({ cell }) => cell)).join(", ")} · ${label} (${index + 1}/${groups.length}) · ${mine.length} pods → ${version}${how}`,
        };
      }),
    );
    if (group.confirm) plan.confirm(`${group.id}.confirm`, `confirm ${service} ${label}`, group.id);
  });

  const trimmed = app.cells.filter(
    ({ cell, workload, difference }) =>
      (workload !== undefined && workload.replicas > (app.spec.cells[cell]?.replicas ?? 0)) ||
      difference.services.length > 0,
  );
  plan.layer(
    distinct(trimmed.map((cell) => cell.cluster)).map((cluster) => ({
      suffix: `trim.${cluster}`,
      title: `take away what ${version} does not want in ${cluster}`,
      cluster,
      operation: "trimWorkload",
      params: { revision },
      summary: `${cluster} · surplus pods and Services of ${service}`,
    })),
  );
  remove(plan, app.leaving);
  plan.layer(
    clusters.map((cluster) => ({
      suffix: `verify.${cluster}`,
      title: `verify ${service} in ${cluster}`,
      cluster,
      operation: "verifyWorkload",
      params: { revision },
      summary: `${cluster} · all pods on ${version}, promoted`,
    })),
  );
  return groups;
}

/** Pods that look alike already are left alone; a beta group is for new versions only. */
function groupsOf(app: ReleaseApp, policy: Grouping): Group[] {
  const changes = app.cells.some((cell) => !isUnchanged(cell));
  return cutGroups(
    app.cells.map((cell) => ({
      cell: cell.cell,
      pods: Array.from({ length: app.spec.cells[cell.cell]?.replicas ?? 0 }, (_, ordinal) =>
        podName(app.service, cell.cell, ordinal),
      ).filter((pod) => !isUnchanged(cell) || changeOf(app, cell, pod).change === "CREATE"),
    })),
    { ...policy, beta: policy.beta && changes },
  );
}

/** Takes the service away from cells, in one step per cluster and revision that names the cells. */
function remove(plan: Plan, leaving: LeavingCell[]): void {
  const parts = Map.groupBy(leaving, ({ cluster, revision }) => `${revision}.${cluster}`);
  plan.layer(
    [...parts]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([suffix, cells]) => {
        const [first] = cells;
        if (!first) return [];
        const names = cells.map(({ cell }) => cell).toSorted();
        const pods = cells.reduce((sum, { replicas }) => sum + replicas, 0);
        return [
          {
            suffix: `remove-${suffix}`,
            title: `remove ${plan.service} from ${names.join(", ")}`,
            cluster: first.cluster,
            operation: "removeWorkloads",
            params: { revision: first.revision, cells: names },
            summary: `${names.join(", ")} · ${plan.service} goes, with ${pods} pods`,
          },
        ];
      }),
  );
}

function distinct(names: string[]): string[] {
  return [...new Set(names)].toSorted();
}
