/** Plans for the tests of the kernel. What they are about is made up: the kernel does not care. */
import type { Invocation, TaskDefinition } from "../../../domain/pipeline/task.ts";

export const ORDER = "test/1";

export function invocation(operation: string): Invocation {
  return { operation, params: {}, queue: "test", bounds: { attempt: 1_000 }, attempts: 1, summary: operation };
}

export function activity(id: string, dependsOn: string[] = [], more: Partial<TaskDefinition> = {}): TaskDefinition {
  return { id, title: `title of ${id}`, kind: "activity", dependsOn, run: invocation("run"), ...more };
}

export const undoable = { undo: invocation("undo") } satisfies Partial<TaskDefinition>;
/** Changes what cancelling does not take back. */
export const committing = { commits: true, onStop: invocation("stop") } satisfies Partial<TaskDefinition>;

export function confirmation(id: string, dependsOn: string[]): TaskDefinition {
  return { id, title: `title of ${id}`, kind: "confirm", dependsOn };
}

export function gate(
  id: string,
  dependsOn: string[],
  more: Partial<TaskDefinition> = { ignorable: true },
): TaskDefinition {
  return { id, title: `title of ${id}`, kind: "gate", dependsOn, ...more };
}

export function nested(subject: string, dependsOn: string[] = []): TaskDefinition {
  return {
    id: `1.${subject}`,
    title: subject,
    kind: "pipeline",
    dependsOn,
    pipeline: { workflowType: "child", rollbackType: "back", workflowId: `${ORDER}/${subject}`, subject },
  };
}

export type ChildShape = { needs: number[]; preparations: number; groups: { parallel: number; confirm: boolean }[] };

/** Children that prepare (undoable), then change group after group (committing), then check. */
export function plan(
  shapes: readonly ChildShape[],
  around: boolean,
): { order: TaskDefinition[]; children: Map<string, TaskDefinition[]> } {
  const order: TaskDefinition[] = around ? [activity("1.open", [], undoable)] : [];
  const children = new Map<string, TaskDefinition[]>();
  shapes.forEach((shape, index) => {
    const gates = [...new Set(shape.needs)]
      .filter((other) => other < index)
      .map((other) => gate(`1.app${index}.needs.app${other}`, [`1.app${other}`]));
    order.push(...gates, nested(`app${index}`, [...(around ? ["1.open"] : []), ...gates.map((one) => one.id)]));
    children.set(`${ORDER}/app${index}`, childTasks(`1.app${index}`, shape));
  });
  return { order, children };
}

function childTasks(prefix: string, shape: ChildShape): TaskDefinition[] {
  const tasks: TaskDefinition[] = [];
  let before: string[] = [];
  const layer = (made: TaskDefinition[]): void => {
    tasks.push(...made);
    before = made.map((task) => task.id);
  };
  const some = (count: number, name: string, more: Partial<TaskDefinition>): void =>
    layer(Array.from({ length: count }, (_, index) => activity(`${prefix}.${name}.${index}`, before, more)));
  some(shape.preparations, "prepare", undoable);
  shape.groups.forEach((group, index) => {
    some(group.parallel, `group${index}`, committing);
    if (group.confirm) layer([confirmation(`${prefix}.confirm.${index}`, before)]);
  });
  some(1, "check", {});
  return tasks;
}

/** The way back of a child: it makes safe, changes back, checks, and perhaps asks. */
export function backTasks(generation: number, subject: string, confirm: boolean): TaskDefinition[] {
  const id = (name: string): string => `${generation}.${subject}.${name}`;
  return [
    activity(id("freeze")),
    activity(id("move"), [id("freeze")], committing),
    activity(id("check"), [id("move")]),
    ...(confirm ? [confirmation(id("rolled-back"), [id("check")])] : []),
  ];
}
