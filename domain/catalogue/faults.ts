import { Compile, type Validator } from "typebox/compile";
import { Settings } from "typebox/system";
import type { TLocalizedValidationError } from "typebox/error";
import type { TSchema } from "typebox";

/** One thing that is wrong with an input. */
export interface Fault {
  /** JSON pointer of the offending field; the empty string is the whole input. */
  readonly field: string;
  /** What is wrong and what to do about it. Never contains the offending value: it may be a secret. */
  readonly message: string;
}

// The library stops after 8 by default; people should learn all their mistakes at once. Still bounded, because every
// error costs memory and an attacker chooses how many there are.
Settings.Set({ maxErrors: 200 });

/** Appends a step to a JSON pointer. */
export function pointer(base: string, ...steps: readonly (string | number)[]): string {
  return base + steps.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

const compiled = new WeakMap<object, Validator>();

/**
 * Everything in which a value departs from a schema, as faults for people. Beyond the schema it refuses text that
 * cannot be stored as JSON in Postgres (NUL characters, halves of surrogate pairs).
 */
export function schemaFaults(schema: TSchema, value: unknown): Fault[] {
  let validator = compiled.get(schema);
  if (validator === undefined) {
    validator = Compile(schema);
    compiled.set(schema, validator);
  }
  const faults = validator.Check(value) ? [] : validator.Errors(value).flatMap((error) => explain(schema, error));
  const already = new Set(faults.map((fault) => fault.field));
  return distinct([...faults, ...textFaults(value, "").filter((fault) => !already.has(fault.field))]);
}

function explain(schema: TSchema, error: TLocalizedValidationError): Fault[] {
  const node = resolve(schema, error.schemaPath);
  const field = error.instancePath;
  switch (error.keyword) {
    case "boolean":
      // Accompanies additionalProperties, which names the fields.
      return [];
    case "required":
      return error.params.requiredProperties.map((name) => ({
        field: pointer(field, name),
        message: "is required",
      }));
    case "additionalProperties": {
      const keys = typeof node["x-keys"] === "string" ? node["x-keys"] : undefined;
      const message =
        keys === undefined ? `is not a known field here; ${known(node)}` : `has a wrong name: the name must be ${keys}`;
      return error.params.additionalProperties.map((name) => ({
        field: pointer(field, name),
        message,
      }));
    }
    case "enum":
      return [
        {
          field,
          message: `must be one of ${error.params.allowedValues.map((v) => JSON.stringify(v)).join(", ")}`,
        },
      ];
    default:
      return [
        {
          field,
          message: typeof node.description === "string" ? `must be ${node.description}` : error.message,
        },
      ];
  }
}

function known(node: Node): string {
  const names = typeof node.properties === "object" && node.properties !== null ? Object.keys(node.properties) : [];
  return names.length === 0 ? "no fields are taken" : `known are ${names.join(", ")}`;
}

type Node = Readonly<Record<string, unknown>>;

function resolve(schema: TSchema, path: string): Node {
  let node: unknown = schema;
  for (const step of path.split("/").slice(1)) {
    const key = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
    node = typeof node === "object" && node !== null ? (node as Node)[key] : undefined;
  }
  return typeof node === "object" && node !== null ? (node as Node) : {};
}

/** Levels of nesting. No schema has as many; a body of one megabyte can have so many that looking at them all fails. */
const DEEPEST = 64;

function textFaults(value: unknown, field: string, depth = 0): Fault[] {
  if (typeof value === "string") {
    return storable(value) ? [] : [{ field, message: "contains a NUL character or broken Unicode; remove it" }];
  }
  if (typeof value !== "object" || value === null) return [];
  if (depth > DEEPEST) return [{ field, message: `is nested in more than ${DEEPEST} levels; send fewer` }];
  return Object.entries(value).flatMap(([key, inner]) =>
    storable(key)
      ? textFaults(inner, pointer(field, key), depth + 1)
      : [
          {
            field,
            message: "has a field whose name contains a NUL character or broken Unicode; remove it",
          },
        ],
  );
}

function storable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function distinct(faults: readonly Fault[]): Fault[] {
  const seen = new Set<string>();
  return faults.filter((fault) => {
    const key = `${fault.field}\n${fault.message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
