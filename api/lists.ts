import Type, { type Static, type TSchema } from "typebox";
import type { Page, PageRequest } from "../db/repositories/rows.ts";
import { Problem } from "./problem.ts";

/** Query of every list. */
export const ListQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 200, default: 50, description: "a whole number from 1 to 200" }),
    ),
    cursor: Type.Optional(
      Type.String({ maxLength: 512, description: "the nextCursor of the previous part, unchanged" }),
    ),
  },
  { additionalProperties: false },
);
type ListQuery = Static<typeof ListQuery>;

/** Answer of every list. */
export function listOf(item: TSchema) {
  return Type.Object({
    items: Type.Array(item),
    nextCursor: Type.Optional(
      Type.String({ description: "Send it as cursor to get the next part; absent at the end" }),
    ),
  });
}

const POSITIONS = {
  name: (value: unknown): value is string => typeof value === "string" && !value.includes("\0"),
  number: (value: unknown): value is number => Number.isSafeInteger(value),
  /** Of a column of type integer: Postgres refuses to compare it with more than it can hold. */
  integer: (value: unknown): value is number => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
};
interface PositionTypes {
  name: string;
  number: number;
  integer: number;
}

/**
 * Reads the query of a list. Cursors are opaque: what is in them may change, and one of another list is refused.
 * @throws Problem when the cursor is not one that this list gave out.
 */
export function pageRequest<Kind extends keyof PositionTypes>(
  list: string,
  kind: Kind,
  query: ListQuery,
): PageRequest<PositionTypes[Kind]> {
  const limit = query.limit ?? 50;
  if (query.cursor === undefined) return { limit };
  const fits = POSITIONS[kind] as (value: unknown) => value is PositionTypes[Kind];
  const [origin, after] = decode(query.cursor);
  if (origin !== list || !fits(after)) {
    const message = "is not a cursor of this list; leave it out to begin at the start";
    throw new Problem("malformed-request", `query:cursor ${message}.`, {
      errors: [{ field: "query:cursor", message }],
    });
  }
  return { limit, after };
}

/** Makes the answer of a list from a page. */
export function listAnswer<T>(
  list: string,
  page: Page<T>,
  position: (item: T) => string | number,
): { items: readonly T[]; nextCursor?: string } {
  const last = page.items.at(-1);
  if (!page.more || last === undefined) return { items: page.items };
  const nextCursor = Buffer.from(JSON.stringify([list, position(last)])).toString("base64url");
  return { items: page.items, nextCursor };
}

function decode(cursor: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    return Array.isArray(parsed) ? parsed : [];
  } catch {
    return [];
  }
}

/** A page of orders: newest first, so the cursor keeps the creation time of the last one and, for equal times, its id. */
export function orderPage(list: string, query: ListQuery) {
  const limit = query.limit ?? 50;
  let before: { createdAt: string; id: string } | undefined;
  if (query.cursor !== undefined) {
    const [origin, createdAt, id] = decode(query.cursor);
    if (origin !== list || typeof createdAt !== "string" || !isInstant(createdAt) || !isOrderId(id)) {
      const message = "is not a cursor of this list; leave it out to begin at the start";
      throw new Problem("malformed-request", `query:cursor ${message}.`, {
        errors: [{ field: "query:cursor", message }],
      });
    }
    before = { createdAt, id };
  }
  return {
    limit,
    before,
    /** `rows`: one more than the limit where there are more. */
    answer<Row extends { id: string; place: string }, T>(rows: readonly Row[], show: (row: Row) => T) {
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      const more = rows.length > limit && last !== undefined;
      return {
        items: items.map(show),
        ...(more && { nextCursor: Buffer.from(JSON.stringify([list, last.place, last.id])).toString("base64url") }),
      };
    },
  };
}

function isInstant(text: string): boolean {
  // Year 0 is none to Postgres.
  if (!/^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text)) return false;
  // A date takes a 31 February for a day in March: only what it gives back unchanged is one.
  const milliseconds = `${text.slice(0, 23)}Z`;
  const date = new Date(milliseconds);
  return !Number.isNaN(date.getTime()) && date.toISOString() === milliseconds;
}

function isOrderId(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-z-]{1,64}$/.test(value);
}
