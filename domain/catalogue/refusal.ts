import type { Fault } from "./faults.ts";

/** Why the catalogue does not do what it was asked for. An expected outcome, hence a value and not an exception. */
export type Refusal =
  /** `what` names the missing thing, e.g. `cell "cell-a" of workspace group "shop"`. */
  | { readonly kind: "not-found"; readonly what: string }
  /** The caller's version is not the present one; `version` is absent when the thing does not exist. */
  | { readonly kind: "stale"; readonly what: string; readonly version?: number }
  /** `dependants` are whole phrases, e.g. `revision 3 of app service "cart"`. */
  | { readonly kind: "in-use"; readonly what: string; readonly dependants: readonly string[] }
  | { readonly kind: "conflict"; readonly why: string }
  | { readonly kind: "invalid"; readonly faults: readonly Fault[] };

export type PutOutcome<T> = { readonly kind: "created" | "replaced" | "unchanged"; readonly value: T } | Refusal;

export type DeleteOutcome = { readonly kind: "deleted" } | Refusal;

/** Version that a caller requires: a number, or `any` for "it must exist". */
export type ExpectedVersion = number | "any" | undefined;

/** Whether a thing in version `version` (undefined: missing) is what the caller requires. */
export function versionFits(expected: ExpectedVersion, version: number | undefined): boolean {
  if (expected === undefined) return true;
  return expected === "any" ? version !== undefined : expected === version;
}
