/** Says in short sentences how two rendered things differ. Values that may be secret are never said. */
import { stableJson } from "../json.ts";
import { own, type Json, type JsonObject } from "./manifest.ts";

type Item = {
  name?: string;
  mountPath?: string;
  containerPort?: number;
  port?: number;
  protocol?: string;
  metadata?: { name: string };
};
const byName = (item: Item) => item.name;
/** Lists whose items have a key of their own, and what one item is called. All other lists are said to change as one. */
const KEYED: Readonly<Record<string, { noun: string; key: (item: Item) => string | undefined }>> = {
  containers: { noun: "container", key: byName },
  initContainers: { noun: "init container", key: byName },
  env: { noun: "variable", key: byName },
  volumes: { noun: "volume", key: byName },
  volumeMounts: { noun: "mount", key: (item) => item.mountPath },
  ports: { noun: "port", key: (item) => `${item.containerPort ?? item.port}/${item.protocol}` },
  imagePullSecrets: { noun: "pull secret", key: byName },
  volumeClaimTemplates: { noun: "volume claim template", key: (item) => item.metadata?.name },
  services: { noun: "Service", key: byName },
};
/** Maps whose entries are things of their own. */
const NOUNS: Readonly<Record<string, string>> = {
  labels: "label",
  annotations: "annotation",
  nodeSelector: "node selector",
};
/** Steps of a path that tell a person nothing. */
const SILENT: ReadonlySet<string> = new Set(["metadata", "spec", "resources"]);
/** Below these, values are not said. */
const SECRET: ReadonlySet<string> = new Set(["env", "annotations"]);
const LONGEST = 120;

type Place = {
  /** What is spoken of, outermost first: `container web`, `variable LEVEL`. */
  things: string[];
  /** The path from there. */
  path: string[];
  secret: boolean;
};

/** Empty exactly if the two are equal. The order of keys counts for nothing, that of lists does. */
export function describeChanges(before: JsonObject, after: JsonObject): string[] {
  return compare({ things: [], path: [], secret: false }, before, after);
}

function compare(place: Place, a: Json, b: Json): string[] {
  if (stableJson({ it: a }) === stableJson({ it: b })) return [];
  const name = place.path.at(-1) ?? "";
  if (isList(a) || isList(b)) {
    const keyed = own(KEYED, name);
    if (keyed !== undefined && isListOrNothing(a) && isListOrNothing(b)) return compareItems(place, keyed, a, b);
    return [say(place, a, b)];
  }
  const areMaps = isMap(a) && isMap(b);
  // What inside it differs is not said either.
  if (areMaps && place.secret) return [say(place, a, b)];
  const noun = own(NOUNS, name);
  if (areMaps || (noun !== undefined && isMapOrNothing(a) && isMapOrNothing(b))) {
    const [before, after]: [JsonObject, JsonObject] = [a ?? {}, b ?? {}];
    const secret = place.secret || SECRET.has(name);
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => {
      const inner =
        noun === undefined
          ? { ...place, secret, path: [...place.path, key] }
          : { secret, things: [...place.things, `${noun} ${key}`], path: [] };
      return compare(inner, own(before, key), own(after, key));
    });
  }
  return [say(place, a, b)];
}

function compareItems(place: Place, { noun, key }: (typeof KEYED)[string], a: Json[] = [], b: Json[] = []): string[] {
  const name = place.path.at(-1) ?? "";
  const byKey = (list: Json[]) => new Map(list.map((item) => [key(item as Item), item]));
  const [before, after] = [byKey(a), byKey(b)];
  const changes = [...new Set([...before.keys(), ...after.keys()])].flatMap((one) =>
    compare(
      { things: [...place.things, `${noun} ${one}`], path: [], secret: place.secret || SECRET.has(name) },
      before.get(one),
      after.get(one),
    ),
  );
  if (changes.length > 0) return changes;
  return [`${[...place.things, `order of ${name}`].join(": ")} changed`];
}

/** One difference: what was added, removed or changed, with the values where they are short and no secret. */
function say(place: Place, a: Json, b: Json): string {
  const told = place.path.filter((step) => !SILENT.has(step));
  // Where nothing else is left, it is what has changed.
  const path = (told.length > 0 ? told : place.path.slice(-1)).join(".");
  const things = place.things.length === 0 && path !== "" ? ["pod"] : place.things;
  // A thing's inside may be secret too: of a variable, only its name is said.
  const where = (place.secret || path === "" ? things : [...things, path]).join(": ");
  if (a === undefined) return `${where}${value(place, b)} added`;
  if (b === undefined) return `${where}${value(place, a)} removed`;
  const [before, after] = [value(place, a), value(place, b)];
  return before === "" || after === "" ? `${where} changed` : `${where}${before} ->${after}`;
}

function value(place: Place, json: Json): string {
  if (place.secret || (typeof json === "object" && json !== null) || json === undefined) return "";
  const text = JSON.stringify(json).replaceAll(/^"|"$/g, "");
  return ` ${text === "" ? '""' : text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`}`;
}

function isList(json: Json): json is Json[] {
  return Array.isArray(json);
}
function isListOrNothing(json: Json): json is Json[] | undefined {
  return json === undefined || isList(json);
}
function isMap(json: Json): json is JsonObject {
  return typeof json === "object" && json !== null && !isList(json);
}
function isMapOrNothing(json: Json): json is JsonObject | undefined {
  return json === undefined || isMap(json);
}
