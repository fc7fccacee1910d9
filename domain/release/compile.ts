/**
 * Compiles a release order and a snapshot of the world into pipelines: the same input always gives the same output.
 * One task per app service and one gate per dependency in the order's own pipeline; the pipelines of app services are in
 * `compile-app.ts`.
 */
import type { Json, Pipeline, TaskDefinition } from "../pipeline/task.ts";
import type { PlannedPod } from "../workload/planned.ts";
import { refusalsOf } from "./app.ts";
import type { ReleaseApp } from "./app.ts";
import { compileBack, compileForward } from "./compile-app.ts";
import type { CompileContext, RollbackApp } from "./compile-app.ts";
import type { RollbackOptions } from "./order.ts";

export type ReleaseInput = CompileContext & {
  apps: ReleaseApp[];
  /** Service → services that must succeed first. */
  needs: ReadonlyMap<string, readonly string[]>;
};

export type RollbackInput = CompileContext & {
  apps: RollbackApp[];
  options: RollbackOptions;
  /** A person confirms each app when it is back. */
  confirm: boolean;
};

type Plan = {
  ok: true;
  pipelines: Pipeline[];
  pods: PlannedPod[];
  /** What the digest of the preview is made of. */
  essence: unknown;
};

export type Compiled = Plan | { ok: false; faults: string[] };
export type CompiledRollback = (Plan & { to: { [service: string]: Json } }) | { ok: false; faults: string[] };

export function compileRelease(input: ReleaseInput): Compiled {
  const faults = input.apps.flatMap(refusalsOf);
  if (faults.length > 0) return { ok: false, faults };
  const compiled = input.apps.map((app) => compileForward(input, app));
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
          rollbackType: "appRollback",
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
    // Everything a person looks at, nothing that differs between two looks at the same world (generation, order id).
    essence: {
      apps: input.apps.map((app, index) => ({
        service: app.service,
        revision: app.revision,
        from: app.cells.map((cell) => [cell.cell, cell.cluster, cell.workload?.revision ?? null]),
        to: app.cells.map((cell) => [cell.workload?.replicas ?? 0, app.spec.cells[cell.cell]?.replicas ?? 0]),
        groups: compiled[index]?.groups,
        recreated: compiled[index]?.pods.filter((pod) => pod.change === "RECREATE").map((pod) => pod.pod),
        leaving: app.leaving.map(({ cell, cluster }) => [cell, cluster]),
      })),
      needs: [...input.needs],
    },
  };
}

/** The way back of some of an order's app services. Their children run it; the order's own tasks stay as they are. */
export function compileRollback(input: RollbackInput): CompiledRollback {
  const faults = input.apps.flatMap((app) => (app.target ? refusalsOf(app.target) : []));
  if (faults.length > 0) return { ok: false, faults };
  const { confirm, options } = input;
  const grouping = options.grouping;
  const compiled = input.apps.map((app) => compileBack(input, app, { confirm, ...(grouping && { grouping }) }));
  return {
    ok: true,
    pipelines: compiled.map((one) => one.pipeline),
    pods: compiled.flatMap((one) => one.pods),
    essence: null,
    to: Object.fromEntries(input.apps.map((app) => [app.service, { revision: app.target?.revision ?? null }])),
  };
}
