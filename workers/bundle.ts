/** Builds the workflow code once, for orchestrators that are given it: `bundle.ts FILE`. The file appears whole or not at all. */
import { renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bundleWorkflowCode } from "@temporalio/worker";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("Usage: bundle.ts FILE");
const { code } = await bundleWorkflowCode({ workflowsPath: path.join(import.meta.dirname, "../workflows/types.ts") });
const draft = `${file}.${process.pid}`;
writeFileSync(draft, code);
renameSync(draft, file);
