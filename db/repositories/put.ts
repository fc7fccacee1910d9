import {
  versionFits,
  type DeleteOutcome,
  type ExpectedVersion,
  type PutOutcome,
  type Refusal,
} from "../../domain/catalogue/refusal.ts";
import { referringTable } from "../errors.ts";
import type { Tx } from "../client.ts";

interface Put<Row extends { readonly version: number }, T> {
  /** The thing in a person's words, e.g. `cell "cell-a"`. */
  readonly what: string;
  readonly expected: ExpectedVersion;
  /** Reads the present row and locks it until the transaction ends. */
  readonly find: () => Promise<Row | undefined>;
  /** Inserts a row unless there is one; answers the inserted row. */
  readonly insert: () => Promise<Row | undefined>;
  readonly same: (row: Row) => boolean;
  /** Refuses a change that the present row does not allow. */
  readonly check?: (row: Row) => Promise<Refusal | undefined> | Refusal | undefined;
  readonly update: (row: Row) => Promise<Row | undefined>;
  readonly show: (row: Row) => T;
}

/**
 * Creates or replaces one row. Putting what is already there changes nothing, not even the version, so that a catalogue
 * kept in files can be applied again and again.
 */
export async function putRow<Row extends { readonly version: number }, T>(put: Put<Row, T>): Promise<PutOutcome<T>> {
  let row = await put.find();
  if (row === undefined && versionFits(put.expected, undefined)) {
    const inserted = await put.insert();
    if (inserted !== undefined) return { kind: "created", value: put.show(inserted) };
    // Somebody else inserted it in between: replace theirs.
    row = await put.find();
  }
  if (!versionFits(put.expected, row?.version)) return stale(put.what, row?.version);
  if (row === undefined) return { kind: "conflict", why: `${put.what} is being deleted; try again` };
  if (put.same(row)) return { kind: "unchanged", value: put.show(row) };
  const refusal = await put.check?.(row);
  if (refusal !== undefined) return refusal;
  const updated = await put.update(row);
  if (updated === undefined) throw new Error(`${put.what} vanished although it is locked`);
  return { kind: "replaced", value: put.show(updated) };
}

interface Removal {
  readonly what: string;
  readonly expected: ExpectedVersion;
  /** Reads the present row and locks it, so that nobody can come to depend on it until the transaction ends. */
  readonly find: () => Promise<{ readonly version: number } | undefined>;
  /** Phrases that name what depends on it; all of them, or the first few. */
  readonly dependants: () => Promise<readonly string[]>;
  /** Refuses for another reason than dependants. */
  readonly check?: () => Promise<Refusal | undefined>;
  readonly remove: (tx: Tx) => Promise<unknown>;
}

/** Deletes one row unless something depends on it. */
export async function removeRow(tx: Tx, removal: Removal): Promise<DeleteOutcome> {
  const { what, expected } = removal;
  const row = await removal.find();
  if (!versionFits(expected, row?.version)) return stale(what, row?.version);
  if (row === undefined) return { kind: "not-found", what };
  const dependants = await removal.dependants();
  if (dependants.length > 0) return { kind: "in-use", what, dependants };
  const refusal = await removal.check?.();
  if (refusal !== undefined) return refusal;
  try {
    // A savepoint: what the questions above do not know about still refuses, and leaves the transaction usable.
    await tx.transaction((inner) => removal.remove(inner));
  } catch (error) {
    const table = referringTable(error);
    if (table === undefined) throw error;
    return { kind: "in-use", what, dependants: [`at least one of the ${table.replaceAll("_", " ")}`] };
  }
  return { kind: "deleted" };
}

function stale(what: string, version: number | undefined): Refusal {
  return { kind: "stale", what, ...(version === undefined ? {} : { version }) };
}
