/** The kernel must not know what orders are about: no kind of order, and nothing that only one of them works on. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../../../local/paths.ts";

const KERNEL = ["domain/pipeline/*.ts", "workflows/*.ts", "activities/operation.ts"];
/** Gives the implementation the names that people speak of. */
const NAMES = "workflows/types.ts";
/** Beside the kernel: it carries questions about pods, and no order uses it. */
const BESIDE = "workflows/pod-report.ts";
/** Locks and holds are let go of: that is no release of an app service. */
const LETTING_GO = /releaseLocks|release-locks|"release"/g;
const FOREIGN = /release|emergency|drill|(?<![a-z])pods?(?![a-z])/i;

const files = KERNEL.flatMap((pattern) => globSync(pattern, { cwd: projectRoot }))
  .filter((file) => file !== NAMES && file !== BESIDE)
  .toSorted();

test("there is a kernel to look at", () => {
  expect(files).toEqual(
    expect.arrayContaining(["activities/operation.ts", "domain/pipeline/decide.ts", "workflows/order.ts"]),
  );
});

test.each(files)("%s", (file) => {
  const lines = readFileSync(join(projectRoot, file), "utf8").replaceAll(LETTING_GO, "").split("\n");
  expect(lines.filter((line) => FOREIGN.test(line))).toEqual([]);
});
