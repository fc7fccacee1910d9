/** Two revisions of an app service side by side: as a document, and as what changes in Kubernetes. */
import Type, { type Static } from "typebox";
import type { RevisionSpec } from "../catalogue/revision.ts";
import { differenceOf } from "../workload/difference.ts";
import { kubernetesDiff } from "../workload/manifest-diff.ts";
import type { Placement } from "../workload/placement.ts";
import { specDifference } from "./difference.ts";

const closed = { additionalProperties: false } as const;
const Sentences = Type.Array(Type.String());

const CellChange = Type.Object(
  {
    cell: Type.String(),
    cluster: Type.String(),
    change: Type.Enum(["ADDED", "REMOVED", "CHANGED", "UNCHANGED"]),
    pods: Type.Object({ from: Type.Integer(), to: Type.Integer() }, closed),
    images: Type.Array(Type.Object({ container: Type.String(), from: Type.String(), to: Type.String() }, closed)),
    recreate: Type.Array(Type.String(), { description: "Why pods are recreated, and not changed in place" }),
    fixed: Type.Array(Type.String(), { description: "What Kubernetes does not let one change on a workload" }),
    services: Sentences,
  },
  closed,
);
type CellChange = Static<typeof CellChange>;

export const Comparison = Type.Object(
  {
    from: Type.Optional(Type.Integer({ description: "Absent: nothing runs yet" })),
    to: Type.Integer(),
    fields: Type.Array(
      Type.Object(
        {
          field: Type.String({
            description:
              "JSON pointer in which elements of lists stand under their names, e.g. /template/containers/main/image",
          }),
          from: Type.Optional(Type.Unknown({ description: "Absent: the field is new" })),
          to: Type.Optional(Type.Unknown({ description: "Absent: the field is gone" })),
          masked: Type.Optional(Type.Boolean({ description: "Values that may be secret are not shown" })),
        },
        closed,
      ),
    ),
    cells: Type.Array(CellChange, { description: "What changes in each cell of either revision" }),
  },
  closed,
);
export type Comparison = Static<typeof Comparison>;

/** A revision and where its cells are. */
export type Placed = {
  readonly number: number;
  readonly spec: RevisionSpec;
  readonly placements: readonly { readonly cluster: string; readonly placement: Placement }[];
};

type CellPair = {
  readonly cluster: string;
  readonly placement: Placement;
  readonly before: boolean;
  readonly after: boolean;
};

/** @param from absent when nothing runs: then everything is new */
export function compareRevisions(from: Placed | undefined, to: Placed): Comparison {
  return {
    ...(from !== undefined && { from: from.number }),
    to: to.number,
    fields: from === undefined ? [] : [...specDifference(from.spec, to.spec)],
    cells: pairs(from, to).map((pair) => cellChange(pair, from, to)),
  };
}

/** As `kubectl diff` would show it: the workload of each cell, then the Services of each cluster. */
export function compareManifests(from: Placed | undefined, to: Placed): string {
  const cells = pairs(from, to);
  const rendered = (pair: CellPair | undefined, spec: RevisionSpec | undefined) =>
    pair === undefined || spec === undefined ? undefined : { placement: pair.placement, spec };
  const workloads = cells.map((pair) => {
    const before = rendered(pair.before ? pair : undefined, from?.spec);
    const after = rendered(pair.after ? pair : undefined, to.spec);
    return section(`cell ${pair.placement.cell}, cluster ${pair.cluster}`, kubernetesDiff(before, after, "workload"));
  });
  // All cells of a cluster share the Services: those of any one are those of all.
  const services = [...Map.groupBy(cells, (pair) => pair.cluster)].map(([cluster, here]) => {
    const before = rendered(
      here.find((pair) => pair.before),
      from?.spec,
    );
    const after = rendered(
      here.find((pair) => pair.after),
      to.spec,
    );
    return section(`Services, cluster ${cluster}`, kubernetesDiff(before, after, "services"));
  });
  return [...workloads, ...services].join("\n");
}

function section(title: string, diff: string): string {
  return `# ${title}\n${diff === "" ? "# nothing changes\n" : diff}`;
}

function cellChange({ cluster, placement, before, after }: CellPair, from: Placed | undefined, to: Placed): CellChange {
  const { cell } = placement;
  const pods = {
    from: before ? (from?.spec.cells[cell]?.replicas ?? 0) : 0,
    to: after ? (to.spec.cells[cell]?.replicas ?? 0) : 0,
  };
  const where = { cell, cluster, pods };
  const nothing = { images: [], recreate: [], fixed: [], services: [] };
  if (from === undefined || !before) return { ...where, change: "ADDED", ...nothing };
  if (!after) return { ...where, change: "REMOVED", ...nothing };
  const { images, recreate, fixed, services } = differenceOf(
    { placement, spec: from.spec },
    { placement, spec: to.spec },
  );
  const changes = images.length + recreate.length + fixed.length + services.length > 0 || pods.from !== pods.to;
  return { ...where, change: changes ? "CHANGED" : "UNCHANGED", images, recreate, fixed, services };
}

/** Every cell of either, by name. */
function pairs(from: Placed | undefined, to: Placed): CellPair[] {
  const found = new Map<string, CellPair>();
  for (const one of from?.placements ?? []) found.set(one.placement.cell, { ...one, before: true, after: false });
  for (const one of to.placements) {
    found.set(one.placement.cell, { ...one, before: found.has(one.placement.cell), after: true });
  }
  return [...found.values()].toSorted((one, other) => (one.placement.cell < other.placement.cell ? -1 : 1));
}
