import { expect, test } from "vitest";
import { comment, endText, eventText, lastEventId, opening, prefersJson } from "../../../api/events/format.ts";

test("what is sent are blocks of server-sent events, each on lines of its own", () => {
  expect(opening(7)).toBe("retry: 2000\nid: 7\n\n");
  expect(comment("alive")).toBe(": alive\n\n");
  expect(endText("SUCCEEDED")).toBe('event: end\ndata: {"state":"SUCCEEDED"}\n\n');
});

test("an event is one line of JSON, whatever is in it", () => {
  const event = {
    position: 3,
    stream: "release/one/cart",
    subject: "cart",
    at: 1,
    type: "taskChanged",
    task: "1.cart.beta",
    state: "FAILED",
    attempt: 2,
    reason: "first\nsecond\r\nid: 99\n\nevent: end\u2028",
  } as const;
  const lines = eventText(event).split(/\r\n|\n|\r/);
  expect(lines.slice(0, 2)).toEqual(["event: taskChanged", "id: 3"]);
  expect(lines.slice(3)).toEqual(["", ""]);
  expect(JSON.parse((lines[2] ?? "").replace(/^data: /, ""))).toEqual(event);
});

test.each([
  [undefined, undefined],
  ["0", 0],
  ["12", 12],
])("Last-Event-ID %j of an order with 12 events is %j", (header, position) => {
  expect(lastEventId(header, 12)).toBe(position);
});

test.each(["", "x", "-1", "1.5", "0x1", "1e1", "01", " 1", "13", "99999999999", "1, 2", "１"])(
  "Last-Event-ID %j is refused",
  (header) => {
    expect(() => lastEventId(header, 12)).toThrow(
      /must be the id of an event of this order, 0 to 12 now; leave it out/,
    );
  },
);

test.each([
  [undefined, false],
  ["", false],
  ["*/*", false],
  ["text/event-stream", false],
  ["text/html", false],
  ["application/json", true],
  ["application/json, */*", false],
  ["application/json, */*;q=0.1", true],
  ["application/*", true],
  ["APPLICATION/JSON; charset=utf-8", true],
  ["text/event-stream, application/json", false],
  ["text/event-stream;q=0.5, application/json", true],
  ["text/event-stream, application/json;q=0.9", false],
  ["*/*, text/event-stream;q=0", true],
  ["application/json;q=x", true],
])("Accept: %s asks for JSON: %s", (accept, json) => {
  expect(prefersJson(accept)).toBe(json);
});
