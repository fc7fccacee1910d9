/** What must hold whatever happens, judged from the commands and from what was really done, never from what is shown. */
import { deepStrictEqual, ok } from "node:assert/strict";
import type { Answer, Command, PipelineEvent, PipelineState, Refusal, Verb } from "../../../domain/pipeline/model.ts";
import type { OperationOutcome } from "../../../domain/pipeline/operation.ts";
import { isSatisfied, isTaskOver } from "../../../domain/pipeline/states.ts";
import { ORDER } from "./plans.ts";
import type { Call, Run } from "./world.ts";

function same(actual: unknown, what: string, wanted: unknown): void {
  deepStrictEqual(
    actual,
    wanted,
    `${what}: ${JSON.stringify(actual)?.slice(0, 200)}, not ${JSON.stringify(wanted)?.slice(0, 200)}`,
  );
}

type Step = { state: PipelineState; commands: Command[] };

/** What one run of a pipeline has really done. */
class Deeds {
  started = new Set<string>();
  changed = new Set<string>();
  undone = new Map<string, number>();
  madeSafe = new Map<string, number>();
  confirmed = new Set<string>();
  /** Something was changed for good. */
  committed = false;
  ends = 0;
  /** It has said that it holds, and nobody has let it go. */
  holds = false;
}

function isBack(command: Command): boolean {
  return command.do === "startChild" && command.back !== undefined;
}

export class Judge {
  readonly asks = new Map<string, { verb: Verb; answers: (Answer | Refusal)[] }>();
  readonly deeds = new Map<Run, Deeds>();
  readonly #attempts = new Map<string, number>();
  /** Tasks that have begun to go back. */
  readonly #turned = new Set<string>();
  /** The order has said that nothing moves: paused, or over. */
  #still = false;

  of(run: Run): Deeds {
    const known = this.deeds.get(run) ?? new Deeds();
    this.deeds.set(run, known);
    return known;
  }

  asked(run: Run, verb: Verb, refusal: Refusal | undefined): void {
    this.asks.set(verb.id, { verb, answers: refusal ? [refusal] : [] });
    same(
      run.state.answers.some((one) => one.id === verb.id),
      "a new verb has no answer yet",
      false,
    );
  }

  decided(run: Run, event: PipelineEvent, step: Step): void {
    const deeds = this.of(run);
    if (event.type === "controlled" && event.control.action === "release") deeds.holds = false;
    // A rollback of everything lifts a pause: nobody should have to resume what is bad before it can go back.
    if (event.type === "verb" && (event.verb.verb === "resume" || event.verb.verb === "rollback")) this.#still = false;
    const wasOver = run.state.stage === "ENDED";
    for (const command of step.commands) this.#command(run, deeds, command, step, wasOver);
    if (event.type === "verb") this.#decidedVerb(run, deeds, event.verb);
    const end = step.commands.findIndex((command) => command.do === "end");
    if (end >= 0) {
      same(end, "the end comes last", step.commands.length - 1);
      deeds.ends += 1;
      same(deeds.ends, "it ends once", 1);
      this.#ended(run, deeds, step.state);
    }
    if (wasOver) {
      const rest = { answers: [], reportSequence: 0 };
      same({ ...step.state, ...rest }, "nothing changes after the end", { ...run.state, ...rest });
    }
  }

  #command(run: Run, deeds: Deeds, command: Command, step: Step, wasOver: boolean): void {
    if (wasOver) {
      const isAnswer =
        command.do === "answer" ||
        command.do === "report" ||
        (command.do === "record" && command.event.type === "acted");
      same(isAnswer, `${command.do} after the end`, true);
    }
    if (command.do === "call" || command.do === "startChild") {
      this.#rises(run, command.task, command.attempt, true);
      const task = step.state.tasks[command.task];
      const isRun = command.do === "startChild" || command.role === "run";
      if (isRun) {
        same(this.#still, `${command.task} begins though everything was said to stand still`, false);
        same(deeds.holds, `${command.task} begins in a pipeline that holds`, false);
        if (command.do === "startChild" && command.back !== undefined) this.#turns(command, step);
        else if (command.do === "startChild")
          same(this.#turned.has(command.task), `${command.task} goes forward again`, false);
        for (const need of isBack(command) ? [] : (task?.definition.dependsOn ?? [])) {
          same(isSatisfied(step.state.tasks[need]?.state ?? "WAITING"), `${command.task} needs ${need}`, true);
        }
        deeds.started.add(command.task);
      } else {
        const opposed = run.calls.filter((call) => call.role === "run");
        same(opposed, `${command.role} of ${command.task} while something still runs`, []);
      }
      same(
        run.calls.filter((call) => call.task === command.task),
        "one call of a task at a time",
        [],
      );
    }
    if (command.do === "record" && command.event.type === "taskChanged") {
      this.#rises(run, command.event.task, command.event.attempt, false);
      const task = step.state.tasks[command.event.task];
      if (task?.definition.kind === "confirm" && command.event.state === "AWAITING_CONFIRM") {
        same(deeds.holds || this.#still, `${command.event.task} asks for a confirmation while all is held`, false);
      }
    }
    if (command.do === "report" && command.report.acknowledges && step.state.paused) deeds.holds = true;
    if (command.do === "answer") this.#answered(run, command.id, command.answer);
  }

  /** What begins to go back has stopped going forward, and so has everything that needs it gone back. */
  #turns({ task, nested }: Extract<Command, { do: "startChild" }>, { state }: Step): void {
    this.#turned.add(task);
    for (const [run] of this.deeds) {
      if (run.workflowId !== nested.workflowId) continue;
      same(run.gone || run.state.stage === "ENDED", `${task} goes back though a run of it is still under way`, true);
      same(
        run.calls.filter(() => !run.gone),
        `${task} goes back though a call of it is under way`,
        [],
      );
    }
    if (!Object.values(state.rollbacks ?? {}).some((one) => one.whole)) return;
    for (const one of Object.values(state.tasks)) {
      const needs = one.definition.dependsOn.some((id) => state.tasks[id]?.definition.dependsOn.includes(task));
      if (needs) same(isTaskOver(one.state), `${one.definition.id} is back before ${task}`, true);
    }
  }

  #rises(run: Run, task: string, attempt: number, strictly: boolean): void {
    const key = `${strictly ? "calls" : "records"} of ${run.workflowId} ${task}`;
    const known = this.#attempts.get(key) ?? 0;
    ok(strictly ? attempt > known : attempt >= known, `attempt ${attempt} after ${known}: ${key}`);
    this.#attempts.set(key, attempt);
  }

  #decidedVerb(run: Run, deeds: Deeds, verb: Verb): void {
    if (verb.verb === "confirm" && run.state.tasks[verb.task]?.state === "AWAITING_CONFIRM")
      deeds.confirmed.add(verb.task);
  }

  #answered(run: Run, id: string, answer: Answer): void {
    const ask = this.asks.get(id);
    ask?.answers.push(answer);
    same(ask?.answers.length, `answers to ${id}`, 1);
    if (run.workflowId !== ORDER || !answer.ok || ask?.verb.task !== undefined) return;
    if (["pause", "cancel", "terminate"].includes(ask?.verb.verb ?? "")) this.#still = true;
    if (ask?.verb.verb === "cancel") same(answer.state, "a cancel that was granted", "CANCELLED");
  }

  finished(run: Run, call: Call, outcome: OperationOutcome | "stopped"): void {
    const deeds = this.of(run);
    const definition = run.state.tasks[call.task]?.definition;
    const changed = outcome === "stopped" || outcome.changed;
    if (call.role === "run" && changed) deeds.changed.add(call.task);
    if (call.role === "run" && definition?.commits && changed) deeds.committed = true;
    if (outcome === "stopped" || outcome.outcome !== "done") return;
    if (call.role === "undo") deeds.undone.set(call.task, (deeds.undone.get(call.task) ?? 0) + 1);
    if (call.role === "stop") deeds.madeSafe.set(call.task, (deeds.madeSafe.get(call.task) ?? 0) + 1);
  }

  lost(run: Run): void {
    const deeds = this.of(run);
    if (run.calls.some((call) => call.role === "run" && run.state.tasks[call.task]?.definition.commits))
      deeds.committed = true;
  }

  #ended(run: Run, deeds: Deeds, state: PipelineState): void {
    for (const task of Object.values(state.tasks)) {
      const { definition } = task;
      const tried = deeds.started.has(definition.id);
      if (state.stage === "ENDED" && state.generation > 0 && (tried || state.ended === "SUCCEEDED")) {
        same(isTaskOver(task.state), `${definition.id} is over`, true);
      }
      if (definition.kind === "confirm" && task.state === "SUCCEEDED") {
        same(deeds.confirmed.has(definition.id), `${definition.id} was confirmed`, true);
      }
      const undone = deeds.undone.get(definition.id) ?? 0;
      if (state.ended === "CANCELLED" && definition.undo) {
        same(undone, `${definition.id} is taken back once if it was begun`, tried ? 1 : 0);
      } else ok(undone <= 1, `${definition.id} is taken back once`);
      if (state.ended === "TERMINATED" || state.ended === "ABANDONED") {
        if (tried && definition.onStop && task.state !== "SUCCEEDED")
          same(task.settled, `${definition.id} was made safe`, true);
      }
    }
    if (state.ended === "CANCELLED") same(deeds.committed, "what is CANCELLED has changed nothing", false);
    if (run.workflowId !== ORDER) return;
    const appsOf = (workflowId: string) => [...this.deeds].filter(([one]) => one.workflowId === workflowId);
    for (const task of Object.values(state.tasks)) {
      const child = task.definition.pipeline?.workflowId;
      if (!child) continue;
      const runs = appsOf(child);
      if (task.turn?.phase === "done") {
        same(runs.at(-1)?.[0].state.ended, `${child} has said that it is back`, "ROLLED_BACK");
        continue;
      }
      const standsCancelled =
        state.ended === "CANCELLED" ||
        state.ended === "ROLLED_BACK" ||
        (state.ended === "SUCCEEDED" && task.state === "CANCELLED");
      if (!standsCancelled) continue;
      for (const [one, those] of runs) {
        same(those.committed, `${child} is CANCELLED though it changed something`, false);
        if (one.gone && one.state.stage !== "ENDED")
          same([...those.started], `${child} was lost with what it began`, []);
        // Whoever ended otherwise without changing anything leaves nothing to take back.
        for (const id of one.state.ended === "CANCELLED" ? those.started : those.changed) {
          if (one.state.tasks[id]?.definition.undo) same(those.undone.get(id) ?? 0, `${id} is taken back`, 1);
        }
      }
    }
  }

  /** Everything has come to rest. */
  close(): void {
    for (const { verb, answers } of this.asks.values()) {
      same(answers.length, `answers to ${verb.verb} ${verb.task ?? ""} (${verb.id})`, 1);
    }
  }
}
