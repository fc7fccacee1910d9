import { expect, test } from "vitest";
import { orderPage, pageRequest } from "../../api/lists.ts";

const list = "release-orders";
const place = "2024-02-29T23:59:59.123456Z";
const id = "01hzy3k9a0123456bc";
const cursor = (...parts: unknown[]): string => Buffer.from(JSON.stringify(parts)).toString("base64url");

test("a cursor that a page of orders gave out leads to what follows", () => {
  const rows = [
    { id, place },
    { id: "next", place },
  ];
  const { nextCursor } = orderPage(list, { limit: 1 }).answer(rows, (row) => row);
  expect(nextCursor).toBe(cursor(list, place, id));
  expect(orderPage(list, { cursor: cursor(list, place, id) }).before).toEqual({ createdAt: place, id });
});

test.each([
  ["another list", cursor("audit-records", place, id)],
  ["a day that is none", cursor(list, "2024-02-31T00:00:00.000000Z", id)],
  ["hour 24", cursor(list, "2024-02-28T24:00:00.000000Z", id)],
  ["year 0", cursor(list, "0000-01-01T00:00:00.000000Z", id)],
  ["a NUL in the id", cursor(list, place, "a\0b")],
  ["half a character in the id", cursor(list, place, "\ud800")],
  ["no id", cursor(list, place)],
  ["an id that is a number", cursor(list, place, 1)],
  ["no JSON", "xx"],
])("a crafted cursor is refused: %s", (_what, crafted) => {
  expect(() => orderPage(list, { cursor: crafted })).toThrow(/is not a cursor of this list/);
});

test.each([2 ** 31, -(2 ** 31), 1.5, "1", null])(
  "a position of %j in a list by a column of integers is refused",
  (position) => {
    const query = { cursor: cursor(list, position) };
    expect(() => pageRequest(list, "integer", query)).toThrow(/is not a cursor of this list/);
  },
);

test("the greatest integer is a position", () => {
  expect(pageRequest(list, "integer", { cursor: cursor(list, 2 ** 31 - 1) }).after).toBe(2 ** 31 - 1);
});
