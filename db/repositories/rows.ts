import { sql, type SQL } from "drizzle-orm";
import type { AnyPgColumn } from "drizzle-orm/pg-core";

/** Part of a list: at most `limit` rows that come after the position `after`. */
export interface PageRequest<Position> {
  readonly after?: Position | undefined;
  readonly limit: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Whether more rows follow. */
  readonly more: boolean;
}

/** Makes a page of rows of which one more than the limit was read. */
export function page<Row, T>(rows: readonly Row[], limit: number, show: (row: Row) => T): Page<T> {
  return { items: rows.slice(0, limit).map(show), more: rows.length > limit };
}

/** How many dependants a refusal names. */
export const NAMED_DEPENDANTS = 5;

/** Version and times of a row as they are answered. */
export function stamps(row: { readonly version: number; readonly createdAt: Date; readonly updatedAt: Date }) {
  return { version: row.version, createdAt: row.createdAt.toISOString(), updatedAt: row.updatedAt.toISOString() };
}

/** What every update sets besides its own columns. */
export function bump(version: AnyPgColumn): { version: SQL; updatedAt: SQL } {
  return { version: sql`${version} + 1`, updatedAt: sql`now()` };
}

/** Leaves out the fields that are null in the database. */
export function present<T extends Readonly<Record<string, unknown>>>(
  fields: T,
): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
