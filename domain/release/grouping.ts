/** Cuts the pods of an app service into groups that are moved one after the other (spec: release §2.7–2.8). */

/** Pods of one cell, in the order in which they move. */
export type CellPods = { cell: string; pods: string[] };

type GroupedPod = { cell: string; pod: string };

export type Group = {
  /** `beta`, or the number of the group, from 1. */
  id: string;
  pods: GroupedPod[];
  /** A person must confirm after this group before the next one starts. */
  confirm: boolean;
};

export type Grouping = {
  strategy: "BY_CELL" | "QUICK";
  /** Wanted number of groups, the beta group counted. */
  minGroups: number;
  beta: boolean;
  pause: "ALL" | "FIRST" | "OFF";
};

/**
 * Every pod is in exactly one group. With `beta` the first group has one pod of each cell, unless no cell has more than
 * one (it would have no effect). The others are cut by ceil(remaining / (minGroups − beta)): BY_CELL cell after cell,
 * never across cells; QUICK across cells, each group balanced in proportion to the cells' sizes.
 */
export function cutGroups(cells: readonly CellPods[], policy: Grouping): Group[] {
  const ordered = cells.toSorted((a, b) => (a.cell < b.cell ? -1 : a.cell > b.cell ? 1 : 0));
  const beta = policy.beta && ordered.some(({ pods }) => pods.length > 1);
  const first = beta ? ordered.flatMap(({ cell, pods }) => pods.slice(0, 1).map((pod) => ({ cell, pod }))) : [];
  const rest = ordered.map(({ cell, pods }) => ({ cell, pods: beta ? pods.slice(1) : pods }));
  const remaining = rest.reduce((sum, { pods }) => sum + pods.length, 0);
  const size = Math.max(1, Math.ceil(remaining / Math.max(1, policy.minGroups - (beta ? 1 : 0))));
  const ordinary =
    policy.strategy === "QUICK"
      ? chunks(interleave(rest), size)
      : rest.flatMap(({ cell, pods }) =>
          chunks(
            pods.map((pod) => ({ cell, pod })),
            size,
          ),
        );
  const groups = [
    ...(beta ? [{ id: "beta", pods: first }] : []),
    ...ordinary.map((pods, index) => ({ id: String(index + 1), pods })),
  ];
  return groups.map((group, index) => ({ ...group, confirm: pausesAfter(policy.pause, beta, index) }));
}

/** ALL: after every group, the last included. FIRST: after the first. OFF: only after beta, which is always confirmed. */
function pausesAfter(pause: Grouping["pause"], beta: boolean, index: number): boolean {
  switch (pause) {
    case "ALL":
      return true;
    case "FIRST":
      return index === 0;
    case "OFF":
      return beta && index === 0;
  }
}

/** Spreads the pods of each cell evenly over one line, so that any stretch of it is balanced in proportion. */
function interleave(cells: readonly CellPods[]): GroupedPod[] {
  return cells
    .flatMap(({ cell, pods }) => pods.map((pod, index) => ({ cell, pod, index, place: (2 * index + 1) / pods.length })))
    .toSorted((a, b) => a.place - b.place || (a.cell < b.cell ? -1 : a.cell > b.cell ? 1 : a.index - b.index))
    .map(({ cell, pod }) => ({ cell, pod }));
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const result: T[][] = [];
  for (let from = 0; from < items.length; from += size) result.push(items.slice(from, from + size));
  return result;
}
