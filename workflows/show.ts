/** What a person sees of a pipeline in Temporal's UI. */
import { setCurrentDetails, upsertSearchAttributes } from "@temporalio/workflow";
import type { PipelineState, RecordedEvent } from "../domain/pipeline/model.ts";
import type { PipelineStateName } from "../domain/pipeline/states.ts";
import { reasonOf, records, stateOf } from "../domain/pipeline/view.ts";
import { STATE } from "./messages.ts";
import type { PipelineInput } from "./messages.ts";

export function showState(state: PipelineStateName): void {
  upsertSearchAttributes([{ key: STATE, value: state }]);
}

/** A live table of groups and of tasks outside groups, as Markdown. */
export function showDetails(input: PipelineInput, state: PipelineState): void {
  const reason = reasonOf(state);
  const rows = records(state).map(
    (task) =>
      `| ${task.definition.title} | ${task.state} | ${cell(task.reason ?? task.definition.run?.summary ?? "")} |`,
  );
  setCurrentDetails(
    [
      `**${input.child?.subject ?? input.title}** is **${stateOf(state)}**${reason ? ` (${reason})` : ""}`,
      "",
      "| Step | State | |",
      "|---|---|---|",
      ...rows.slice(0, 200),
      ...(rows.length > 200 ? [`… and ${rows.length - 200} more`] : []),
    ].join("\n"),
  );
}

/** One line about what is being recorded. */
export function describeEvents(events: readonly RecordedEvent[], state: PipelineState | undefined): string {
  const said = events.map((event) => {
    switch (event.type) {
      case "planned":
        return `plan ${event.generation}`;
      case "rollbackPlanned":
        return `rollback, plan ${event.generation}`;
      case "pipelineChanged":
        return event.state;
      case "taskChanged":
        return `${state?.tasks[event.task]?.definition.title ?? event.task} ${event.state}`;
      case "acted":
        return `${event.verb} by ${event.actor.subject}${event.outcome === "accepted" ? "" : ` (${event.outcome})`}`;
    }
  });
  const text = said.join(" · ");
  return text.length > 200 ? `${text.slice(0, 197)}…` : text;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ").slice(0, 300);
}
