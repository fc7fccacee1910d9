/** The workflow types, named as people speak of them; all are one implementation. */
import { runPipeline } from "./order.ts";
import type { PipelineInput, PipelineResult } from "./messages.ts";

/** A release order. */
export async function releaseOrder(input: PipelineInput): Promise<PipelineResult> {
  return runPipeline(input);
}

/** The release of one app service within an order. */
export async function appRelease(input: PipelineInput): Promise<PipelineResult> {
  return runPipeline(input);
}

/** Takes one app service back to where it was before the order. */
export async function appRollback(input: PipelineInput): Promise<PipelineResult> {
  return runPipeline(input);
}

export { abandonPipelines } from "./abandon.ts";
export { podReport } from "./pod-report.ts";
