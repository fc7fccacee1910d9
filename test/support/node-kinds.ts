/** Tests that run on simulated nodes and, where the machine can have them, on real ones as well. */
import { inject } from "vitest";

/** `kwok`: pods without containers, which behave as their image's tag says. `real`: containers under a kubelet. */
export type NodeKind = "kwok" | "real";

const { realCells } = inject("stack").kubernetes;

/** Kinds of nodes of this run: for `describe.for`. */
export const nodeKinds: readonly NodeKind[] = realCells.length > 0 ? ["kwok", "real"] : ["kwok"];

/** For tests that only containers can pass; without real nodes they are skipped, and the run has said why. */
export const hasRealNodes = realCells.length > 0;

/** Node selectors of cell-a and cell-b on nodes of a kind. Cells have the same names on both. */
export function cellsOn(kind: NodeKind): Record<string, Record<string, string>> {
  const labels = kind === "real" ? realCells : ["cell-a", "cell-b"];
  return Object.fromEntries(["cell-a", "cell-b"].map((cell, index) => [cell, { cell: labels[index] ?? "" }]));
}
