/** Drives `decide` by hand: one pipeline, one event after the other. */
import { decide } from "../../../domain/pipeline/decide.ts";
import { initialChild, initialOrder } from "../../../domain/pipeline/model.ts";
import type {
  Answer,
  Command,
  Control,
  OrderVerb,
  PipelineEvent,
  PipelineState,
  Report,
  Role,
  TaskVerb,
} from "../../../domain/pipeline/model.ts";
import type { OperationOutcome } from "../../../domain/pipeline/operation.ts";
import type { TaskDefinition } from "../../../domain/pipeline/task.ts";
import type { TaskState } from "../../../domain/pipeline/states.ts";
import { stateOf } from "../../../domain/pipeline/view.ts";
import { ORDER } from "./plans.ts";

type Unstamped<E> = E extends { at: number } ? Omit<E, "at"> : never;
type Body = { id?: string; reason?: string; digest?: string; subject?: string };

const ANN = { subject: "ann", role: "admin" };

export class Bench {
  state: PipelineState;
  /** Given by the last event. */
  commands: Command[] = [];
  #at = 0;
  #verbs = 0;

  constructor(state: PipelineState) {
    this.state = state;
  }

  send(event: Unstamped<PipelineEvent>): Command[] {
    const step = decide(this.state, { ...event, at: this.#at++ });
    this.state = step.state;
    this.commands = step.commands;
    return step.commands;
  }

  /** Asks; answers with what comes at once, undefined when it has to wait. */
  ask(what: OrderVerb, body: Body = {}): Answer | undefined {
    return this.#ask({ verb: what, ...(body.digest !== undefined && { digest: body.digest }) }, body);
  }

  askTask(what: TaskVerb, task: string, body: Body = {}): Answer | undefined {
    return this.#ask({ verb: what, task }, body);
  }

  #ask(
    what: { verb: OrderVerb; digest?: string } | { verb: TaskVerb; task: string },
    { id = `verb ${this.#verbs++}`, reason = "why not", subject = "ann" }: Body,
  ): Answer | undefined {
    const verb = { id, actor: { subject, role: "admin" }, ...(reason !== "" && { reason }), ...what };
    this.send({ type: "verb", verb });
    return this.answers().find((one) => one.id === id)?.answer;
  }

  /** The operation of a task comes to an end. */
  finish(task: string, outcome: Partial<OperationOutcome> | "stopped" = {}, role: Role = "run"): Command[] {
    const attempt = this.state.tasks[task]?.attempt ?? 0;
    if (outcome === "stopped") return this.send({ type: "stopped", task, attempt, role });
    const filled = { outcome: "done", summary: "", reason: "it broke", changed: true, ...outcome } as OperationOutcome;
    return this.send({ type: "finished", task, attempt, role, outcome: filled });
  }

  fail(task: string, role: Role = "run"): Command[] {
    return this.finish(task, { outcome: "failed" }, role);
  }

  /** A child says something of itself. */
  hear(task: string, said: Partial<Report>): Command[] {
    const record = this.state.tasks[task];
    const report = {
      task,
      attempt: record?.attempt ?? 0,
      sequence: (record?.child?.sequence ?? 0) + 1,
      state: record?.child?.state ?? ("RUNNING" as const),
      committed: record?.child?.committed ?? false,
      ...said,
    };
    return this.send({ type: "reported", report });
  }

  control(action: Control["action"], id = "from above"): Command[] {
    return this.send({ type: "controlled", control: { id, action, actor: ANN, reason: "so it was asked" } });
  }

  of<D extends Command["do"]>(kind: D): Extract<Command, { do: D }>[] {
    return this.commands.filter((command): command is Extract<Command, { do: D }> => command.do === kind);
  }

  answers() {
    return this.of("answer");
  }

  /** `role task` of every call made by the last event. */
  calls(): string[] {
    return this.of("call").map(({ role, task }) => `${role} ${task}`);
  }

  controls(): string[] {
    return this.of("control").map(({ task, control }) => `${control.action} ${task}`);
  }

  acknowledged(): Report["acknowledges"][] {
    return this.of("report").flatMap(({ report }) => (report.acknowledges ? [report.acknowledges] : []));
  }

  shown(): string {
    return stateOf(this.state);
  }

  tasks(): Record<string, TaskState> {
    return Object.fromEntries(Object.entries(this.state.tasks).map(([id, task]) => [id, task.state]));
  }
}

/** An order whose plan is made: READY with digest `one`. */
export function ready(tasks: TaskDefinition[]): Bench {
  const bench = new Bench(initialOrder(ORDER));
  bench.send({ type: "opened" });
  bench.send({ type: "initialised", generation: 1, digest: "one", tasks });
  return bench;
}

/** An order that has just been started. */
export function running(tasks: TaskDefinition[]): Bench {
  const bench = ready(tasks);
  bench.ask("start", { digest: "one" });
  bench.send({ type: "locked" });
  bench.send({ type: "initialised", generation: 2, digest: "one", tasks: [] });
  return bench;
}

/** A child that has just been opened, in its `attempt`th run. */
export function child(tasks: TaskDefinition[], attempt = 1, paused = false, backward = false): Bench {
  const bench = new Bench(
    initialChild(`${ORDER}/a`, { workflowId: ORDER, task: "1.a", attempt }, 1, tasks, { paused, backward }),
  );
  bench.send({ type: "opened" });
  return bench;
}
