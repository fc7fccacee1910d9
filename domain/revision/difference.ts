/** What differs between two specs of one app service, field by field. */
import { pointer } from "../catalogue/faults.ts";
import type { RevisionSpec } from "../catalogue/revision.ts";
import { stableJson } from "../json.ts";

export type FieldDifference = {
  /**
   * JSON pointer into the revision, in which an element of a list that has a name stands under its name and not under its
   * index, e.g. `/template/containers/main/image`.
   */
  readonly field: string;
  /** Absent when the field is new. */
  readonly from?: unknown;
  /** Absent when the field is gone. */
  readonly to?: unknown;
  /** Some of it is not shown because it may be secret: values of environment variables and of annotations. */
  readonly masked?: true;
};

const HIDDEN = "(hidden)";
/** What tells the elements of a list apart, the first that does. */
const KEYS = ["name", "mountPath", "containerPort", "key"] as const;

type Fields = Readonly<Record<string, unknown>>;
type Path = readonly string[];

/** All differences, sorted by field; none when the specs mean the same. */
export function specDifference(from: RevisionSpec, to: RevisionSpec): FieldDifference[] {
  return compare([], from, to).toSorted((one, other) => (one.field < other.field ? -1 : 1));
}

function compare(path: Path, from: unknown, to: unknown): FieldDifference[] {
  if (stableJson(from) === stableJson(to)) return [];
  if (Array.isArray(from) && Array.isArray(to)) return compareLists(path, from, to);
  if (isFields(from) && isFields(to)) return compareFields(path, from, to);
  return [difference(path, from, to)];
}

function compareFields(path: Path, from: Fields, to: Fields): FieldDifference[] {
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  return [...names].flatMap((name) => compare([...path, name], from[name], to[name]));
}

function compareLists(path: Path, from: readonly unknown[], to: readonly unknown[]): FieldDifference[] {
  const key = KEYS.find((each) => tellsApart(from, each) && tellsApart(to, each));
  if (key === undefined) return [difference(path, from, to)];
  const before = byKey(from, key);
  const after = byKey(to, key);
  const differences = compareFields(path, before, after);
  // The order can matter too: variables may refer to those before them, init containers run one after the other.
  const stayed = Object.keys(before).filter((name) => name in after);
  const order = Object.keys(after).filter((name) => name in before);
  return stableJson(stayed) === stableJson(order)
    ? differences
    : [...differences, { field: pointer("", ...path), from: stayed, to: order }];
}

function difference(path: Path, from: unknown, to: unknown): FieldDifference {
  const [shownFrom, shownTo] = [shown(path, from), shown(path, to)];
  const masked = stableJson([shownFrom, shownTo]) !== stableJson([from, to]);
  return {
    field: pointer("", ...path),
    ...(from !== undefined && { from: shownFrom }),
    ...(to !== undefined && { to: shownTo }),
    ...(masked && { masked }),
  };
}

/** The value with whatever may be secret replaced. */
function shown(path: Path, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => shown(path, each));
  if (isFields(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shown([...path, name], inner)]));
  }
  return typeof value === "string" && isSecret(path) ? HIDDEN : value;
}

function isSecret(path: Path): boolean {
  return path.includes("annotations") || (path.includes("env") && path.at(-1) === "value");
}

function tellsApart(list: readonly unknown[], key: string): boolean {
  const keys = list.map((each) => (isFields(each) ? each[key] : undefined));
  return (
    keys.every((each) => typeof each === "string" || typeof each === "number") && new Set(keys).size === keys.length
  );
}

function byKey(list: readonly unknown[], key: string): Fields {
  return Object.fromEntries(list.map((each) => [String((each as Fields)[key]), each]));
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
