/** What the repositories of things that are named within a workspace group have in common. */
import { and, asc, eq, inArray } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";
import type { Fault } from "../../domain/catalogue/faults.ts";
import type { DeleteOutcome, ExpectedVersion, PutOutcome, Refusal } from "../../domain/catalogue/refusal.ts";
import type { Tx } from "../client.ts";
import { requireGroup } from "./groups.ts";
import { namedRows, type Hold, type NamedKind, type NamedTable, type Values, type Versioned } from "./named.ts";
import type { Page, PageRequest } from "./rows.ts";

type GroupedTable = NamedTable & { readonly workspaceGroup: AnyPgColumn };

/** Which one is asked for, and the transaction that asks. */
export interface Asked {
  readonly tx: Tx;
  readonly group: string;
  readonly name: string;
}

interface GroupedKind<Row extends Versioned, Insert extends object, Body, T> extends NamedKind<Row, Insert, T> {
  readonly table: GroupedTable & { readonly $inferSelect: Row; readonly $inferInsert: Insert };
  readonly values: (body: Body) => Values<Insert>;
  /** Further columns of a row that is new. */
  readonly initial?: (asked: Asked) => Promise<Partial<Insert>>;
  /** What is wrong with what a body names; holds what it does name, so that none of it can be deleted meanwhile. */
  readonly references?: (asked: Asked, body: Body) => Promise<readonly Fault[]>;
  /** Refuses changes of columns (at least one) that the present row does not allow. */
  readonly check?: (asked: Asked, row: Row, columns: readonly string[]) => Promise<Refusal | undefined>;
  /** Phrases that name what depends on it; all of them, or the first few. */
  readonly dependants: (asked: Asked) => Promise<readonly string[]>;
  /** Refuses a deletion for another reason than dependants. */
  readonly checkRemoval?: (asked: Asked) => Promise<Refusal | undefined>;
  /** Deletes the row with what belongs to it; the row alone unless told. */
  readonly dismantle?: (asked: Asked) => Promise<unknown>;
}

/** The operations on one kind of thing; a repository gives them their names. */
export function groupedRows<Row extends Versioned, Insert extends object, Body, T>(
  kind: GroupedKind<Row, Insert, Body, T>,
) {
  const rows = namedRows(kind);
  const of = (group: string) => eq(kind.table.workspaceGroup, group);

  function get(tx: Tx, group: string, name: string): Promise<T | undefined> {
    return rows.get(tx, name, of(group));
  }

  function list(tx: Tx, group: string, request: PageRequest<string>): Promise<Page<T>> {
    return rows.list(tx, request, of(group));
  }

  /** Holds a row until the transaction ends; undefined when there is none. */
  async function hold(tx: Tx, group: string, name: string, how: Hold): Promise<T | undefined> {
    const row = await rows.hold(tx, name, how, of(group));
    return row === undefined ? undefined : kind.show(row);
  }

  async function put(
    tx: Tx,
    group: string,
    name: string,
    body: Body,
    expected?: ExpectedVersion,
  ): Promise<PutOutcome<T>> {
    const asked = { tx, group, name };
    const { check } = kind;
    const refusal = await requireGroup(tx, group);
    if (refusal !== undefined) return refusal;
    const faults = (await kind.references?.(asked, body)) ?? [];
    if (faults.length > 0) return { kind: "invalid", faults };
    return rows.put(tx, name, {
      expected,
      values: kind.values(body),
      initial: async () => ({ workspaceGroup: group, ...(await kind.initial?.(asked)) }),
      check: check && ((row, columns) => check(asked, row, columns)),
      within: of(group),
    });
  }

  function remove(tx: Tx, group: string, name: string, expected?: ExpectedVersion): Promise<DeleteOutcome> {
    const asked = { tx, group, name };
    const { checkRemoval, dismantle } = kind;
    return rows.remove(tx, name, {
      expected,
      dependants: () => kind.dependants(asked),
      check: checkRemoval && (() => checkRemoval(asked)),
      dismantle: dismantle && ((inner) => dismantle({ ...asked, tx: inner })),
      within: of(group),
    });
  }

  return { get, list, hold, put, remove };
}

/** Holds those of the named rows that there are, so that none of them can be deleted; answers their names. */
export async function shareRows(
  tx: Tx,
  table: GroupedTable,
  group: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set();
  const rows = await tx
    .select({ name: table.name })
    .from(table)
    .where(and(eq(table.workspaceGroup, group), inArray(table.name, [...names])))
    .orderBy(asc(table.name))
    .for("key share");
  return new Set(rows.map(({ name }) => String(name)));
}
