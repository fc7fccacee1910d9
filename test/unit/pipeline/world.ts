/**
 * A world to run orders in, without Temporal: the real `decide` for the order and its children, and everything that
 * happens between decisions (calls, messages, people, losses) in whatever sequence the chooser picks. It keeps the
 * promises of `workflows/`: messages of one pair arrive in order, verbs wait for their turn, and nothing else.
 */
import { deepStrictEqual } from "node:assert/strict";
import { decide } from "../../../domain/pipeline/decide.ts";
import { initialChild, initialOrder } from "../../../domain/pipeline/model.ts";
import type { Command, PipelineEvent, PipelineState, Verb } from "../../../domain/pipeline/model.ts";
import type { OperationOutcome } from "../../../domain/pipeline/operation.ts";
import type { TaskDefinition } from "../../../domain/pipeline/task.ts";
import { refusalOf } from "../../../domain/pipeline/refusal.ts";
import { hasTurn } from "../../../domain/pipeline/view.ts";
import { Judge } from "./judge.ts";
import { backTasks, ORDER } from "./plans.ts";

/** A number from 0 to below `n`. */
export type Choose = (n: number) => number;

export type Call = Extract<Command, { do: "call" }> & { asked: boolean };

/** One run of one workflow. */
export type Run = {
  workflowId: string;
  state: PipelineState;
  calls: Call[];
  /** Verbs that wait for their turn. */
  verbs: Verb[];
  gone: boolean;
};

type Message = Extract<Command, { do: "startChild" | "control" | "report" }> | { do: "lost"; task: string };

export type World = ReturnType<typeof createWorld>;

export function createWorld(
  plan: { order: TaskDefinition[]; children: Map<string, TaskDefinition[]> },
  choose: Choose,
) {
  const judge = new Judge();
  const order: Run = { workflowId: ORDER, state: initialOrder(ORDER), calls: [], verbs: [], gone: false };
  const runs = new Map<string, Run>([[ORDER, order]]);
  /** From → to: what is on its way, oldest first. Only the first has left its sender for good. */
  const lines = new Map<string, { from: string; to: string; messages: Message[] }>();
  /** What the order waits for besides calls and messages. */
  const looks: PipelineEvent[] = [];
  const backPlans = new Map<number, Extract<Command, { do: "compileRollback" }>>();
  let at = 0;
  let verbCount = 0;

  function dispatch(run: Run, event: PipelineEvent): void {
    const step = decide(run.state, event);
    deepStrictEqual(JSON.parse(JSON.stringify(step.state)), step.state);
    judge.decided(run, event, step);
    run.state = step.state;
    for (const command of step.commands) perform(run, command);
    for (let next = turn(run); next; next = turn(run)) dispatch(run, { type: "verb", at: at++, verb: next });
  }

  function turn(run: Run): Verb | undefined {
    const index = run.verbs.findIndex((verb) => hasTurn(run.state, verb));
    return index < 0 ? undefined : run.verbs.splice(index, 1)[0];
  }

  function perform(run: Run, command: Command): void {
    switch (command.do) {
      case "call":
        run.calls.push({ ...command, asked: false });
        return;
      case "cancelCall":
        for (const call of run.calls) {
          if (call.task === command.task && call.attempt === command.attempt && call.role === command.role)
            call.asked = true;
        }
        return;
      case "startChild":
        post(run.workflowId, command.nested.workflowId, command);
        return;
      case "control":
      case "report":
        post(run.workflowId, command.workflowId, command);
        return;
      case "initialise":
        looks.push(look(command.generation));
        return;
      case "compileRollback": {
        const { generation } = command;
        backPlans.set(generation, command);
        looks.push(
          choose(8) === 7
            ? { type: "rollbackNotCompiled", at: 0, generation, reason: "nobody there" }
            : { type: "rollbackCompiled", at: 0, generation, to: {} },
        );
        return;
      }
      case "acquireLocks":
        looks.push(choose(8) === 7 ? { type: "lockRefused", at: 0, detail: "held" } : { type: "locked", at: 0 });
        return;
      default:
    }
  }

  /** The world changes now and then between two looks, but the plan stays the same in all but its digest. */
  function look(generation: number): PipelineEvent {
    const kind = choose(10);
    if (kind === 9) return { type: "initialisationFailed", at: 0, reason: "nobody there" };
    return {
      type: "initialised",
      at: 0,
      generation,
      digest: kind === 8 ? `other ${generation}` : "same",
      tasks: plan.order,
    };
  }

  function post(from: string, to: string, message: Message): void {
    const key = `${from}→${to}`;
    const line = lines.get(key) ?? { from, to, messages: [] };
    line.messages.push(message);
    lines.set(key, line);
  }

  /** Delivers the first message of a line; false when its receiver is not ready for it. */
  function deliver(line: { to: string; messages: Message[] }): boolean {
    const [message] = line.messages;
    if (!message) return false;
    const to = runs.get(line.to);
    if (message.do === "startChild") {
      if (to && !to.gone) return false;
      line.messages.shift();
      const tasks = plan.children.get(line.to) ?? [];
      const parent = { workflowId: ORDER, task: message.task, attempt: message.attempt };
      const generation = message.back ?? 1;
      const back = message.back === undefined ? undefined : backPlans.get(generation);
      const state = initialChild(
        line.to,
        parent,
        generation,
        back ? backTasks(generation, message.nested.subject, back.confirm) : tasks,
        { paused: message.paused, backward: back !== undefined },
      );
      const run: Run = { workflowId: line.to, state, calls: [], verbs: [], gone: false };
      runs.set(line.to, run);
      dispatch(run, { type: "opened", at: at++ });
      return true;
    }
    line.messages.shift();
    if (!to || to.gone) return true;
    if (message.do === "control") dispatch(to, { type: "controlled", at: at++, control: message.control });
    else if (message.do === "report") dispatch(to, { type: "reported", at: at++, report: message.report });
    else dispatch(to, { type: "childLost", at: at++, task: message.task, reason: "it was terminated from outside" });
    return true;
  }

  return {
    judge,
    order,
    alive: (): Run[] => [...runs.values()].filter((run) => !run.gone),
    waitingLines: () => [...lines.values()].filter((line) => line.messages.length > 0),
    looks,
    open(): void {
      dispatch(order, { type: "opened", at: at++ });
    },
    deliver,
    see(): boolean {
      const seen = looks.shift();
      if (seen) dispatch(order, { ...seen, at: at++ });
      return seen !== undefined;
    },
    finish(run: Run, call: Call, outcome: OperationOutcome | "stopped"): void {
      run.calls.splice(run.calls.indexOf(call), 1);
      const { task, attempt, role } = call;
      judge.finished(run, call, outcome);
      dispatch(
        run,
        outcome === "stopped"
          ? { type: "stopped", at: at++, task, attempt, role }
          : { type: "finished", at: at++, task, attempt, role, outcome },
      );
    },
    /** A person asks; what is refused at the door never gets to `decide`. */
    ask(run: Run, what: Pick<Verb, "verb" | "task"> & { digest?: string; covers?: string[] }): Verb {
      const verb = {
        id: `verb ${verbCount++}`,
        actor: { subject: "ann", role: "admin" },
        reason: "why not",
        ...what,
      } as Verb;
      const refusal = refusalOf(run.state, verb);
      judge.asked(run, verb, refusal);
      if (!refusal) run.verbs.push(verb);
      for (let next = turn(run); next; next = turn(run)) dispatch(run, { type: "verb", at: at++, verb: next });
      return verb;
    },
    /** A child's workflow is ended from outside. What it said last may still be on its way; what it wanted to say is lost. */
    lose(run: Run): void {
      const { parent } = run.state;
      if (!parent) return;
      run.gone = true;
      judge.lost(run);
      run.calls.length = 0;
      lines.get(`${run.workflowId}→${ORDER}`)?.messages.splice(1);
      // Whoever ends before it is lost, the reconciler does not take for lost.
      if (run.state.stage !== "ENDED") post(run.workflowId, ORDER, { do: "lost", task: parent.task });
    },
    /** A child's workflow is over for Temporal, too: when everything that it said has left. */
    close(run: Run): boolean {
      const busy = [...lines.values()].some((line) => line.from === run.workflowId && line.messages.length > 0);
      if (run.gone || run.state.stage !== "ENDED" || busy || run.workflowId === ORDER) return false;
      run.gone = true;
      return true;
    },
    abandon(run: Run): void {
      dispatch(run, { type: "abandoned", at: at++, reason: "cancelled from outside" });
    },
  };
}
