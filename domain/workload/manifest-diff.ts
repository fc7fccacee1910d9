/** What will change in Kubernetes, as a text that people of Kubernetes read daily. */
import { createTwoFilesPatch } from "diff";
import { stringify } from "yaml";
import { stableJson } from "../json.ts";
import type { Json, JsonObject, Manifest, Rendering } from "./manifest.ts";
import { renderServices, renderStatefulSet } from "./render.ts";

const HIDDEN = "(hidden)";
const CHANGED = "(changed)";

/**
 * The unified diff of all manifests of an app service in one cell, as YAML with sorted keys; empty when nothing differs.
 * `from` undefined: everything is new; `to` undefined: everything goes. Values of variables and of annotations are not
 * in it: `(hidden)`, and `(changed)` on the new side where they differ.
 */
export function kubernetesDiff(from: Rendering | undefined, to: Rendering | undefined, part: Part = "all"): string {
  const before = manifestsOf(from, part);
  const after = manifestsOf(to, part);
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((name) => {
      const [old, next] = mask(before.get(name), after.get(name));
      if (old === next) return "";
      const patch = createTwoFilesPatch(`a/${name}`, `b/${name}`, old, next, "", "", { context: 3 });
      // Without the rule above the header, which is not part of a unified diff.
      return patch.replace(/^=+\n/, "").replaceAll(/^(---|\+\+\+) (.*?)\t?$/gm, "$1 $2");
    })
    .join("");
}

/** Workloads are a cell's own; Services are shared by all cells of a cluster. */
type Part = "all" | "workload" | "services";

function manifestsOf(rendering: Rendering | undefined, part: Part): Map<string, Manifest> {
  if (rendering === undefined) return new Map();
  const { placement, spec } = rendering;
  const set = renderStatefulSet(rendering);
  const replicas = spec.cells[placement.cell]?.replicas ?? 0;
  const manifests = [
    ...(part === "services" ? [] : [{ ...set, spec: { replicas, ...set.spec } }]),
    ...(part === "workload" ? [] : renderServices(rendering)),
  ];
  return new Map(
    manifests.map((manifest) => [
      `${manifest.kind}/${manifest.metadata.namespace}/${manifest.metadata.name}`,
      manifest,
    ]),
  );
}

/** Both as YAML, with secret values hidden, and those of the second that are not those of the first marked. */
function mask(before: Manifest | undefined, after: Manifest | undefined): [string, string] {
  const values = new Map<string, string>();
  const old = hide(before, (place, value) => {
    values.set(place, value);
    return HIDDEN;
  });
  const next = hide(after, (place, value) => (values.has(place) && values.get(place) !== value ? CHANGED : HIDDEN));
  return [toYaml(old), toYaml(next)];
}

type Hide = (place: string, value: string) => string;

/** The manifest with every value that may be secret replaced: of variables, and of annotations that are not ours. */
function hide(manifest: Manifest | undefined, by: Hide): JsonObject | undefined {
  const template = manifest?.spec["template"] as Template | undefined;
  if (manifest === undefined || template === undefined) return manifest;
  const containers = (list: Container[]) =>
    list.map((container) => ({
      ...container,
      env: container.env.map((variable) =>
        variable.value === undefined || variable.name.startsWith("CAFE_ENV_")
          ? variable
          : { ...variable, value: by(`${container.name}/${variable.name}`, variable.value) },
      ),
    }));
  const { metadata, spec } = template;
  const annotations = Object.fromEntries(
    Object.entries(metadata.annotations).map(([key, value]) => [
      key,
      key.startsWith("cellwright.io/") ? value : by(`annotation ${key}`, value),
    ]),
  );
  const { initContainers } = spec;
  const hidden = {
    metadata: { ...metadata, annotations },
    spec: {
      ...spec,
      ...(initContainers === undefined ? {} : { initContainers: containers(initContainers) }),
      containers: containers(spec.containers),
    },
  };
  return { ...manifest, spec: { ...manifest.spec, template: hidden } };
}

type Container = { [key: string]: Json } & { name: string; env: ({ name: string; value?: string } & JsonObject)[] };
/** The part of a rendered pod template that is looked into. */
type Template = {
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  spec: { [key: string]: Json } & { containers: Container[]; initContainers?: Container[] };
};

function toYaml(manifest: JsonObject | undefined): string {
  if (manifest === undefined) return "";
  return stringify(JSON.parse(stableJson(manifest)), { lineWidth: 0, aliasDuplicateObjects: false });
}
