/**
 * The Temporal shell of `domain/pipeline/decide.ts`: messages in, commands out. It is the one implementation of every
 * kind of order and of every pipeline inside one; it decides nothing.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  log,
  patched,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { decide } from "../domain/pipeline/decide.ts";
import { initialChild, initialOrder } from "../domain/pipeline/model.ts";
import type { Answer, Command, PipelineEvent, PipelineState, RecordedEvent, Verb } from "../domain/pipeline/model.ts";
import { refusalOf } from "../domain/pipeline/refusal.ts";
import { allowedOrderVerbs, hasTurn, stateOf } from "../domain/pipeline/view.ts";
import { atHand, records } from "./activities.ts";
import { createCalls } from "./calls.ts";
import { compileRollback, lookAndCompile } from "./plan.ts";
import { createMail } from "./mail.ts";
import { actUpdate, childLostSignal, controlSignal, reportSignal, VERB_REFUSED } from "./messages.ts";
import type { PipelineInput, PipelineResult } from "./messages.ts";
import { describeEvents, showDetails, showState } from "./show.ts";

/** Events stored by one activity at most; keeps payloads small. */
const BATCH = 200;

/** Of a change of this code: runs that began before it tell others at once, and replay so. */
const TELL_ONCE_STORED = "tell-once-stored";

/** Answers that a workflow leaves behind; they also stand in the history of the pipeline above. */
const ANSWERS_IN_RESULT = 20;

export async function runPipeline(input: PipelineInput): Promise<PipelineResult> {
  // A request to cancel from outside must not tear down what is being made safe: it becomes an event like any other.
  const outer = CancellationScope.current();
  return CancellationScope.nonCancellable(() => run(input, outer));
}

async function run(input: PipelineInput, outer: CancellationScope): Promise<PipelineResult> {
  const { workflowId } = workflowInfo();
  const facts: PipelineEvent[] = [...(input.carried?.facts ?? [])];
  const verbs: Verb[] = [];
  let state: PipelineState | undefined = input.carried?.state;
  let fatal: unknown;
  const now = (): number => Date.now();

  const answers = new Map<string, Answer>();
  /** What others are told, in turn: each waits until everything recorded before it (up to `after`) is stored. */
  const owed: { after: number; tell: () => void }[] = [];
  const outbox: RecordedEvent[] = [];
  let nextSequence = input.carried?.nextSequence ?? 1;
  let storing = false;
  /** Locks are taken and freed one after the other: freeing late must not free what the next start has taken. */
  let lockLine: Promise<void> = Promise.resolve();

  setHandler(
    actUpdate,
    async (verb) => {
      verbs.push(verb);
      await condition(() => answers.has(verb.id) || fatal !== undefined);
      const answer = answers.get(verb.id);
      if (!answer) throw ApplicationFailure.nonRetryable("this workflow has failed; see its failure", "WorkflowFailed");
      return answer;
    },
    {
      validator: (verb) => {
        if (!state) throw ApplicationFailure.nonRetryable("still starting; try again in a moment", VERB_REFUSED);
        if (state.answers.some((given) => given.id === verb.id)) return;
        const refusal = refusalOf(state, verb);
        if (!refusal) return;
        throw ApplicationFailure.nonRetryable(refusal.detail, VERB_REFUSED, {
          ...refusal,
          state: stateOf(state),
          allowedActions: allowedOrderVerbs(state),
        });
      },
    },
  );
  setHandler(reportSignal, (report) => void facts.push({ type: "reported", at: now(), report }));
  setHandler(controlSignal, (control) => void facts.push({ type: "controlled", at: now(), control }));
  setHandler(childLostSignal, ({ workflowId: child, attempt, reason }) => {
    const task = Object.values(state?.tasks ?? {}).find((one) => one.definition.pipeline?.workflowId === child);
    if (!task) return;
    facts.push({
      type: "childLost",
      at: now(),
      task: task.definition.id,
      ...(attempt !== undefined && { attempt }),
      reason,
    });
  });
  outer.cancelRequested.catch(() => {
    const next = input.child ? "" : "; an admin can free its locks (release-locks, with a reason)";
    facts.push({ type: "abandoned", at: now(), reason: `its workflow was cancelled from outside${next}` });
  });

  const calls = createCalls((event) => facts.push({ ...event, at: now() }));
  const mail = createMail(input, (event) => facts.push({ ...event, at: now() }));

  const store = async (): Promise<void> => {
    if (storing) return;
    storing = true;
    try {
      while (outbox.length > 0 || owed.length > 0) {
        const batch = outbox.slice(0, BATCH);
        if (batch.length > 0) {
          const append = {
            orderId: input.orderId,
            stream: workflowId,
            ...(input.child && { subject: input.child.subject }),
            first: nextSequence,
            events: batch,
          };
          try {
            await records.appendEvents.executeWithOptions({ summary: describeEvents(batch, state) }, [append]);
          } catch (error) {
            fatal = error;
            return;
          }
          outbox.splice(0, batch.length);
          nextSequence += batch.length;
        }
        while (owed[0] && owed[0].after < nextSequence) {
          owed.shift()?.tell();
        }
      }
    } finally {
      storing = false;
    }
  };

  const tellOnceStored = (tell: () => void): void => {
    owed.push({ after: nextSequence + outbox.length - 1, tell });
  };
  /** Also what Temporal shows, and the pipeline above: calls come first, what only tells of them does not delay them. */
  const tellInTurn = patched(TELL_ONCE_STORED) ? tellOnceStored : (tell: () => void): void => tell();

  const perform = (command: Command): void => {
    switch (command.do) {
      case "record":
        outbox.push(command.event);
        return;
      case "answer":
        tellOnceStored(() => answers.set(command.id, command.answer));
        return;
      case "call":
        calls.start(command);
        return;
      case "cancelCall":
        calls.cancel(command);
        return;
      case "initialise":
        calls.track(lookAndCompile(input.orderId, command).then((event) => facts.push({ ...event, at: now() })));
        return;
      case "compileRollback":
        calls.track(compileRollback(input.orderId, command).then((event) => facts.push({ ...event, at: now() })));
        return;
      case "acquireLocks":
        lockLine = lockLine.then(async () => {
          const locked = await records.acquireLocks({ orderId: input.orderId });
          facts.push(
            locked.ok ? { type: "locked", at: now() } : { type: "lockRefused", at: now(), detail: locked.detail },
          );
        });
        calls.track(lockLine);
        return;
      case "releaseLocks":
        lockLine = lockLine.then(() => records.releaseLocks({ orderId: input.orderId }));
        calls.track(lockLine);
        return;
      case "startChild":
        mail.startChild(command, state?.generation ?? 0);
        return;
      case "control":
        mail.control(command);
        return;
      case "report":
        tellInTurn(() => mail.report(command));
        return;
      case "end":
        return;
    }
  };

  const dispatch = (event: PipelineEvent): void => {
    if (!state) return;
    const before = stateOf(state);
    const step = decide(state, event);
    state = step.state;
    for (const command of step.commands) perform(command);
    const after = stateOf(state);
    if (after !== before || event.type === "opened") tellInTurn(() => showState(after));
    showDetails(input, state);
    void store();
  };

  if (!state) {
    if (input.child) {
      const { parent, generation, paused, backward = false } = input.child;
      const stored = await atHand((reads) => reads.records.loadPipeline({ workflowId, generation }));
      // A run before this one may have been lost; its events stay, and ours follow them.
      nextSequence = stored.nextSequence;
      state = initialChild(workflowId, parent, generation, stored.tasks, { paused, backward });
    } else state = initialOrder(workflowId);
    dispatch({ type: "opened", at: now() });
  }

  const quiet = (): boolean =>
    facts.length === 0 && verbs.length === 0 && outbox.length === 0 && owed.length === 0 && !storing && mail.idle();
  const historyIsLong = (): boolean => {
    const info = workflowInfo();
    return info.continueAsNewSuggested || (input.historyLimit !== undefined && info.historyLength > input.historyLimit);
  };
  const mayContinue = (): boolean => historyIsLong() && quiet() && calls.idle() && allHandlersFinished();
  /** Which of the waiting verbs may be decided now. */
  const turn = (): number => verbs.findIndex((verb) => state && hasTurn(state, verb));
  const failed = (): boolean => fatal !== undefined || calls.failure() !== undefined;

  for (;;) {
    await condition(
      () =>
        failed() ||
        facts.length > 0 ||
        turn() >= 0 ||
        (state?.stage === "ENDED" ? quiet() && calls.idle() && allHandlersFinished() : mayContinue()),
    );
    if (failed()) {
      log.error("the pipeline cannot go on", { error: fatal ?? calls.failure() });
      throw ApplicationFailure.nonRetryable(
        "the records of this order cannot be written; an administrator must look at the worker log and the database",
        "RecordsInconsistent",
      );
    }
    const fact = facts.shift();
    if (fact) {
      dispatch(fact);
      continue;
    }
    const [verb] = turn() >= 0 ? verbs.splice(turn(), 1) : [];
    if (verb) {
      dispatch({ type: "verb", at: now(), verb });
      continue;
    }
    if (state.stage === "ENDED") {
      const given = state.answers.slice(-ANSWERS_IN_RESULT).map(({ id, answer }) => ({ id, answer }));
      return { state: state.ended ?? "ABANDONED", answers: given };
    }
    if (mayContinue()) await continueAsNew<typeof runPipeline>({ ...input, carried: { state, facts, nextSequence } });
  }
}
