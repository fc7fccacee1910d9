/** Small edits of a revision, and what an edit must leave alone. */
import { pointer, type Fault } from "../catalogue/faults.ts";
import type { RevisionSpec } from "../catalogue/revision.ts";
import type { Checked } from "../catalogue/validate.ts";

export type ImageChange = {
  /** Name of the container; needed only where there are several. */
  readonly container?: string | undefined;
  readonly image: string;
};

/** The spec with another image for one container. Images that single cells override stay as they are. */
export function changeImage(spec: RevisionSpec, { container, image }: ImageChange): Checked<RevisionSpec> {
  const { containers } = spec.template;
  const names = containers.map((each) => each.name).join(", ");
  if (container === undefined && containers.length > 1) {
    return wrong("/container", `is missing: the service has several containers, say which one (${names})`);
  }
  const target = containers.find((each) => container === undefined || each.name === container);
  if (target === undefined) return wrong("/container", `names no container of the service; it has ${names}`);
  if (target.image === image) {
    return wrong("/image", `is the image of ${target.name} already: nothing would change; name another one`);
  }
  const changed = containers.map((each) => (each === target ? { ...each, image } : each));
  return { ok: true, value: { ...spec, template: { ...spec.template, containers: changed } } };
}

/** The spec with other numbers of pods in some of its cells. */
export function scale(spec: RevisionSpec, replicas: Readonly<Record<string, number>>): Checked<RevisionSpec> {
  const known = Object.keys(spec.cells).join(", ");
  const faults = Object.keys(replicas)
    .filter((cell) => !Object.hasOwn(spec.cells, cell))
    .map((cell) => ({
      field: pointer("/cells", cell),
      message: `is no cell of the revision that is scaled; it has ${known}. Other cells need a revision that names them`,
    }));
  if (faults.length > 0) return { ok: false, faults };
  const changed = Object.entries(replicas).filter(([cell, count]) => spec.cells[cell]?.replicas !== count);
  if (changed.length === 0) return wrong("/cells", "has these numbers of pods already: nothing would change");
  const cells = Object.fromEntries(
    Object.entries(spec.cells).map(([cell, now]) => [cell, { ...now, replicas: replicas[cell] ?? now.replicas }]),
  );
  return { ok: true, value: { ...spec, cells } };
}

/** The spec without any cell: releasing it takes the service away. */
export function withoutCells(spec: RevisionSpec): RevisionSpec {
  return { ...spec, cells: {} };
}

/**
 * Containers can come and go between two revisions, but not be renamed: logs, metrics, overrides and quick actions know
 * them by name. A rename is what takes names away and brings others at once.
 */
export function renameFaults(before: RevisionSpec, after: RevisionSpec): Fault[] {
  const old = new Set(before.template.containers.map((each) => each.name));
  const now = new Set(after.template.containers.map((each) => each.name));
  const gone = [...old].filter((name) => !now.has(name));
  if (gone.length === 0) return [];
  return after.template.containers.flatMap(({ name }, index) =>
    old.has(name)
      ? []
      : [
          {
            field: pointer("/template/containers", index, "name"),
            message:
              `is new while ${gone.join(", ")} of the newest revision would go: containers cannot be renamed. ` +
              "Keep the name, or remove the one container in a revision of its own and add the other in the next",
          },
        ],
  );
}

function wrong(field: string, message: string): Checked<RevisionSpec> {
  return { ok: false, faults: [{ field, message }] };
}
