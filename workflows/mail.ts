/** Between a pipeline and its children: starting them, telling them, reporting upwards. */
import {
  getExternalWorkflowHandle,
  log,
  ParentClosePolicy,
  sleep,
  startChild,
  WorkflowIdReusePolicy,
  workflowInfo,
} from "@temporalio/workflow";
import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import type { Command } from "../domain/pipeline/model.ts";
import type { Emit } from "./calls.ts";
import { controlSignal, reportSignal, searchAttributes } from "./messages.ts";
import type { PipelineInput } from "./messages.ts";

/** How often, and after how many milliseconds, a child is started again whose former run is about to end. */
const START_TRIES = 20;
const START_PAUSE = 500;

export function createMail(input: PipelineInput, emit: Emit) {
  let underWay = 0;
  /** One line per correspondent, so that messages arrive in the order in which they were decided. */
  const lines = new Map<string, Promise<void>>();

  const post = (to: string, send: () => Promise<void>): void => {
    underWay += 1;
    const line = (lines.get(to) ?? Promise.resolve()).then(send).finally(() => {
      underWay -= 1;
      if (lines.get(to) === line) lines.delete(to);
    });
    lines.set(to, line);
  };

  return {
    startChild(command: Extract<Command, { do: "startChild" }>, generation: number): void {
      const { nested, task, attempt, paused, back } = command;
      post(nested.workflowId, async () => {
        const child: PipelineInput = {
          orderId: input.orderId,
          kind: input.kind,
          title: input.title,
          workspaceGroup: input.workspaceGroup,
          creator: input.creator,
          subjects: [nested.subject],
          child: {
            subject: nested.subject,
            parent: { workflowId: workflowInfo().workflowId, task, attempt },
            generation: back ?? generation,
            paused,
            ...(back !== undefined && { backward: true }),
          },
          ...(input.historyLimit !== undefined && { historyLimit: input.historyLimit }),
        };
        for (let tries = 1; ; tries++) {
          try {
            await startChild(nested.workflowType, {
              workflowId: nested.workflowId,
              args: [child],
              // A child outlives the run of its parent; the order's end is what ends it.
              parentClosePolicy: ParentClosePolicy.ABANDON,
              workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
              staticSummary: `${back === undefined ? "" : "roll back "}${nested.subject}: ${input.title}`,
              typedSearchAttributes: searchAttributes(child, back === undefined ? "RUNNING" : "ROLLING_BACK"),
              // Runs have one workflow id: who finds one that has ended must know which it was.
              memo: { attempt },
            });
            return;
          } catch (error) {
            const running = error instanceof WorkflowExecutionAlreadyStartedError;
            // A run of ours that was lost has started it.
            if (running && attempt === 1) return;
            // The run before this one has said that it ended, but is not gone yet.
            if (running && tries < START_TRIES) {
              await sleep(START_PAUSE);
              continue;
            }
            emit({
              type: "childLost",
              task,
              attempt,
              reason: `its workflow ${nested.workflowId} could not be started: retry it`,
            });
            log.error("a child could not be started", { workflowId: nested.workflowId, error });
            return;
          }
        }
      });
    },

    control(command: Extract<Command, { do: "control" }>): void {
      post(command.workflowId, async () => {
        try {
          await getExternalWorkflowHandle(command.workflowId).signal(controlSignal, command.control);
        } catch (error) {
          // Either it has just ended, and its last report is on its way, or the reconciler will find it gone.
          log.warn("a child could not be told", { workflowId: command.workflowId, error });
        }
      });
    },

    report(command: Extract<Command, { do: "report" }>): void {
      post(command.workflowId, async () => {
        try {
          await getExternalWorkflowHandle(command.workflowId).signal(reportSignal, command.report);
        } catch (error) {
          // The pipeline above is gone. What is here has been recorded; the reconciler looks after the rest.
          log.warn("the pipeline above could not be told", { workflowId: command.workflowId, error });
        }
      });
    },

    idle: (): boolean => underWay === 0,
  };
}
