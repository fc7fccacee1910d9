/**
 * Compiles a release order and a snapshot of the world into pipelines: the same input always gives the same output.
 * One task per app service and one gate per dependency in the order's own pipeline; per app service: apply the template,
 * then group after group (one task per cluster, and a confirmation where the policy asks for one), then verify.
 */
import type { RevisionSpec } from "../catalogue/revision.ts";
import type { OperationCatalogue } from "../pipeline/operation.ts";
import { invoke } from "../pipeline/operation.ts";
import type { Pipeline, TaskDefinition } from "../pipeline/task.ts";
import type { PlannedPod } from "../workload/planned.ts";
import { podName } from "../workload/render.ts";
import { cutGroups } from "./grouping.ts";
import type { Group } from "./grouping.ts";

type ObservedCell = {
  cell: string;
  cluster: string;
  /** Digest of what the revision would render here, images left out. */
  shape: string;
  /** The live workload; absent before the first deployment. */
  workload?: { replicas: number; revision: number; shape: string };
};

export type ReleaseApp = {
  service: string;
  revision: number;
  spec: RevisionSpec;
  cells: ObservedCell[];
  /** The last revision whose release succeeded, and its cells; absent when none ever did. */
  lastSuccess?: { revision: number; cells: string[] };
};

export type ReleaseInput = {
  orderId: string;
  workflowId: string;
  generation: number;
  apps: ReleaseApp[];
  /** Service → services that must succeed first. */
  needs: ReadonlyMap<string, readonly string[]>;
  catalogue: OperationCatalogue;
  /** Milliseconds that a task waits for a worker of its cluster. */
  queueWait: number;
};

export type Compiled =
  | { ok: true; pipelines: Pipeline[]; pods: PlannedPod[]; essence: unknown }
  | { ok: false; faults: string[] };

/** Task queue of a cluster's workers. */
export function clusterQueue(cluster: string): string {
  return `cluster-${cluster}`;
}

export function compileRelease(input: ReleaseInput): Compiled {
  const faults = input.apps.flatMap(refusalsOf);
  if (faults.length > 0) return { ok: false, faults };
  const compiled = input.apps.map((app) => compileApp(input, app));
  const root: TaskDefinition[] = input.apps.flatMap((app) => {
    const needs = input.needs.get(app.service) ?? [];
    const gates = needs.map((need): TaskDefinition => ({
      id: `${input.generation}.${app.service}.needs.${need}`,
      title: `${app.service} needs ${need}`,
      kind: "gate",
      dependsOn: [`${input.generation}.${need}`],
      ignorable: true,
    }));
    return [
      ...gates,
      {
        id: `${input.generation}.${app.service}`,
        title: app.service,
        kind: "pipeline",
        dependsOn: gates.map((gate) => gate.id),
        pipeline: {
          workflowType: "appRelease",
          workflowId: `${input.workflowId}/${app.service}`,
          subject: app.service,
        },
      },
    ];
  });
  return {
    ok: true,
    pipelines: [{ workflowId: input.workflowId, tasks: root }, ...compiled.map((one) => one.pipeline)],
    pods: compiled.flatMap((one) => one.pods),
    // What the digest of the preview is made of: everything a person looks at, nothing that differs between two looks
    // at the same world (generation, order id).
    essence: {
      apps: input.apps.map((app, index) => ({
        service: app.service,
        revision: app.revision,
        from: app.cells.map((cell) => [cell.cell, cell.cluster, cell.workload?.revision ?? null]),
        groups: compiled[index]?.groups,
      })),
      needs: [...input.needs],
    },
  };
}

function compileApp(input: ReleaseInput, app: ReleaseApp): { pipeline: Pipeline; pods: PlannedPod[]; groups: Group[] } {
  const id = (suffix: string): string => `${input.generation}.${app.service}.${suffix}`;
  const clusters = [...new Set(app.cells.map((cell) => cell.cluster))].toSorted();
  const clusterOf = new Map(app.cells.map((cell) => [cell.cell, cell.cluster]));
  const groups = cutGroups(
    app.cells.map(({ cell }) => ({
      cell,
      pods: Array.from({ length: app.spec.cells[cell]?.replicas ?? 0 }, (_, ordinal) =>
        podName(app.service, cell, ordinal),
      ),
    })),
    app.spec.release,
  );
  const call = (operation: string, cluster: string, task: string, summary: string) =>
    invoke(
      input.catalogue,
      operation,
      { order: input.orderId, task, service: app.service, revision: app.revision, cluster },
      { queue: clusterQueue(cluster), summary, queueWait: input.queueWait },
    );
  const version = `${app.service} revision ${app.revision}`;
  const tasks: TaskDefinition[] = [];
  const pods: PlannedPod[] = [];
  let before: string[] = [];

  const layer = (made: TaskDefinition[]): void => {
    tasks.push(...made);
    before = made.map((task) => task.id);
  };

  layer(
    clusters.map((cluster) => ({
      id: id(`apply.${cluster}`),
      title: `apply template in ${cluster}`,
      kind: "activity",
      dependsOn: before,
      ...call("applyWorkload", cluster, id(`apply.${cluster}`), `${cluster} · template of ${version}`),
    })),
  );
  groups.forEach((group, index) => {
    const label = group.id === "beta" ? "beta group" : `group ${group.id}`;
    const here = [...new Set(group.pods.map(({ cell }) => clusterOf.get(cell) ?? ""))].toSorted();
    layer(
      here.map((cluster) => {
        const task = id(`${group.id}.move.${cluster}`);
        const mine = group.pods.filter(({ cell }) => clusterOf.get(cell) === cluster);
        pods.push(
          ...mine.map(({ cell, pod }) => ({ task, service: app.service, group: group.id, cell, cluster, pod })),
        );
        const cells = [...new Set(mine.map(({ cell }) => cell))].join(", ");
        const summary = `${cells} · ${label} (${index + 1}/${groups.length}) · ${mine.length} pods → ${version}`;
        return {
          id: task,
          title: `${app.service} ${label} in ${cluster}`,
          kind: "activity" as const,
          group: group.id,
          dependsOn: before,
          ...call("movePods", cluster, task, summary),
        };
      }),
    );
    if (group.confirm) {
      layer([
        {
          id: id(`${group.id}.confirm`),
          title: `confirm ${app.service} ${label}`,
          kind: "confirm",
          group: group.id,
          dependsOn: before,
        },
      ]);
    }
  });
  layer(
    clusters.map((cluster) => ({
      id: id(`verify.${cluster}`),
      title: `verify ${app.service} in ${cluster}`,
      kind: "activity",
      dependsOn: before,
      ...call("verifyWorkload", cluster, id(`verify.${cluster}`), `${cluster} · all pods on ${version}, promoted`),
    })),
  );
  return { pipeline: { workflowId: `${input.workflowId}/${app.service}`, subject: app.service, tasks }, pods, groups };
}

/** Why this release cannot be carried out as an image-only change in place; each a sentence that says what to do. */
function refusalsOf(app: ReleaseApp): string[] {
  const faults: string[] = [];
  const target = `${app.service} revision ${app.revision}`;
  for (const cell of app.cells) {
    const live = cell.workload;
    if (!live) continue;
    if (live.shape !== cell.shape) {
      faults.push(
        `${target} changes more than images in cell ${cell.cell} (live there: revision ${live.revision}). Only image-only changes can be released in place: make a revision that differs from revision ${live.revision} in images only`,
      );
    }
    const replicas = app.spec.cells[cell.cell]?.replicas ?? 0;
    // A first deployment that never came to its end may be completed by any later revision.
    if (live.replicas !== replicas && !(app.lastSuccess === undefined && live.replicas < replicas)) {
      faults.push(
        `${target} wants ${replicas} replicas in cell ${cell.cell}, where ${live.replicas} are running. Changing replicas is not an image-only change: keep ${live.replicas}`,
      );
    }
  }
  if (app.lastSuccess) {
    const known = new Set(app.lastSuccess.cells);
    const now = new Set(app.cells.map((cell) => cell.cell));
    const added = [...now].filter((cell) => !known.has(cell));
    const removed = [...known].filter((cell) => !now.has(cell));
    if (added.length + removed.length > 0) {
      const parts = [
        added.length > 0 && `adds ${added.join(", ")}`,
        removed.length > 0 && `removes ${removed.join(", ")}`,
      ];
      faults.push(
        `${target} ${parts.filter(Boolean).join(" and ")} (cells) against revision ${app.lastSuccess.revision}. Changing cells is not an image-only change: keep the same cells`,
      );
    }
  }
  return faults;
}
