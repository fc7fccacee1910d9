/** What the repositories of things with a name have in common: list, read, hold, create or replace, delete. */
import { isDeepStrictEqual } from "node:util";
import { and, asc, eq, getTableColumns, gt, type SQL } from "drizzle-orm";
import type { AnyPgColumn, PgTable } from "drizzle-orm/pg-core";
import type { DeleteOutcome, ExpectedVersion, PutOutcome, Refusal } from "../../domain/catalogue/refusal.ts";
import type { Tx } from "../client.ts";
import { putRow, removeRow } from "./put.ts";
import { bump, NAMED_DEPENDANTS, page, type Page, type PageRequest } from "./rows.ts";

export type NamedTable = PgTable & { readonly name: AnyPgColumn; readonly version: AnyPgColumn };

/** What repositories answer of a row that they hold. */
export interface Versioned {
  readonly version: number;
}

/** The columns that a put sets: all but those that identify a row, and its stamps. */
export type Values<Insert> = Omit<Insert, "workspaceGroup" | "name" | "version" | "createdAt" | "updatedAt">;

/** How a transaction holds a row. */
export type Hold =
  /** It comes to name the row, or something below it: neither can be deleted before it ends. */
  | "key share"
  /** It changes the row, or what belongs to it, as the only one. */
  | "no key update"
  /** It deletes the row, or something of it. */
  | "update";

/** A kind of thing that has a name. `Row` is what is read of its table, and `Insert` what inserting into it takes. */
export interface NamedKind<Row extends Versioned, Insert extends object, T> {
  readonly table: NamedTable & { readonly $inferSelect: Row; readonly $inferInsert: Insert };
  /** Singular, for people. */
  readonly noun: string;
  /** The columns of `Row`; all columns of the table unless told. */
  readonly columns?: Readonly<Record<string, AnyPgColumn>>;
  readonly show: (row: Row) => T;
}

interface Put<Row, Insert> {
  readonly expected: ExpectedVersion;
  /** A column that is left undefined stays as it is, and has its default in a new row. */
  readonly values: Values<Insert>;
  /** Further columns of a row that is new. */
  readonly initial?: () => Promise<Readonly<Record<string, unknown>>>;
  /** Refuses changes of columns (at least one) that the present row does not allow. */
  readonly check?: ((row: Row, columns: readonly string[]) => Promise<Refusal | undefined>) | undefined;
  readonly within?: SQL | undefined;
}

interface Removal {
  readonly expected: ExpectedVersion;
  /** Phrases that name what depends on it; all of them, or the first few. */
  readonly dependants: () => Promise<readonly string[]>;
  /** Refuses for another reason than dependants. */
  readonly check?: (() => Promise<Refusal | undefined>) | undefined;
  /** Deletes the row with what belongs to it; the row alone unless told. */
  readonly dismantle?: ((inner: Tx) => Promise<unknown>) | undefined;
  readonly within?: SQL | undefined;
}

/**
 * The statements for one kind of thing. `within` narrows the table to the rows among which a name is unique (a workspace
 * group, say), or to those that may be seen.
 */
export function namedRows<Row extends Versioned, Insert extends object, T>(kind: NamedKind<Row, Insert, T>) {
  const { noun, show } = kind;
  // Drizzle cannot follow the type of a table that is a parameter: rows get theirs back from `first`.
  const table: NamedTable = kind.table;
  const columns = kind.columns ?? getTableColumns(table);
  const first = (rows: readonly unknown[]) => rows[0] as Row | undefined;
  const at = (name: string, within: SQL | undefined) => and(within, eq(table.name, name));

  async function get(tx: Tx, name: string, within?: SQL): Promise<T | undefined> {
    const row = first(await tx.select(columns).from(table).where(at(name, within)));
    return row === undefined ? undefined : show(row);
  }

  /** By name. */
  async function list(tx: Tx, request: PageRequest<string>, within?: SQL): Promise<Page<T>> {
    const rows = await tx
      .select(columns)
      .from(table)
      .where(and(within, request.after === undefined ? undefined : gt(table.name, request.after)))
      .orderBy(asc(table.name))
      .limit(request.limit + 1);
    return page(rows as unknown as readonly Row[], request.limit, show);
  }

  /** Holds a row until the transaction ends; undefined when there is none. */
  async function hold(tx: Tx, name: string, how: Hold, within?: SQL): Promise<Row | undefined> {
    return first(await tx.select(columns).from(table).where(at(name, within)).for(how));
  }

  function put(
    tx: Tx,
    name: string,
    { expected, values, initial, check, within }: Put<Row, Insert>,
  ): Promise<PutOutcome<T>> {
    return putRow<Row, T>({
      what: describe(noun, name),
      expected,
      find: () => hold(tx, name, "update", within),
      insert: async () => {
        const row = { name, ...values, ...(await initial?.()) };
        return first(await tx.insert(table).values(row).onConflictDoNothing().returning(columns));
      },
      same: (row) => changes(row, values).length === 0,
      check: (row) => check?.(row, changes(row, values)),
      update: async () =>
        first(
          await tx
            .update(table)
            .set({ ...values, ...bump(table.version) })
            .where(at(name, within))
            .returning(columns),
        ),
      show,
    });
  }

  function remove(
    tx: Tx,
    name: string,
    { expected, dependants, check, dismantle, within }: Removal,
  ): Promise<DeleteOutcome> {
    return removeRow(tx, {
      what: describe(noun, name),
      expected,
      find: () => hold(tx, name, "update", within),
      dependants,
      ...(check && { check }),
      remove: dismantle ?? ((inner) => inner.delete(table).where(at(name, within))),
    });
  }

  return { get, list, hold, put, remove };
}

/** A thing in a person's words, e.g. `cell "cell-a"`. */
export function describe(noun: string, name: string): string {
  return `${noun} "${name}"`;
}

/** Describes the first few rows of a table, by name, for a refusal that says what depends on something. */
export async function describeRows(tx: Tx, table: NamedTable, noun: string, where: SQL | undefined): Promise<string[]> {
  const rows = await tx
    .select({ name: table.name })
    .from(table)
    .where(where)
    .orderBy(asc(table.name))
    .limit(NAMED_DEPENDANTS);
  return rows.map(({ name }) => describe(noun, String(name)));
}

/** The columns whose values are others than in the row. A column that is not read cannot be compared, and is left out. */
function changes(row: object, values: object): string[] {
  const present = new Map<string, unknown>(Object.entries(row));
  return Object.entries(values)
    .filter(([column, value]) => {
      const compared = value !== undefined && present.has(column);
      return compared && !isDeepStrictEqual(present.get(column), value);
    })
    .map(([column]) => column);
}
