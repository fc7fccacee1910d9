/** The text of server-sent events (WHATWG HTML, "Server-sent events"), and what a request for them says. Pure. */
import type { PlacedEvent } from "../../db/repositories/order-event-pages.ts";
import type { PipelineStateName } from "../../domain/pipeline/states.ts";
import { Problem } from "../problem.ts";

/** How long a client waits before it connects again, milliseconds. */
const RETRY = 2_000;

/**
 * What a stream begins with. The id is sent at once, so that a client that is cut off before the first event resumes
 * from here too.
 */
export function opening(position: number): string {
  return `retry: ${RETRY}\nid: ${position}\n\n`;
}

/** One event. Its position is its id, so `Last-Event-ID` names the last one that a client has seen. */
export function eventText(event: PlacedEvent): string {
  // JSON has no line breaks outside of strings, and writes those in strings as \n: it is one line.
  return `event: ${event.type}\nid: ${event.position}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** The last event of an order that has ended. It has no id: it is not one of the stored events. */
export function endText(state: PipelineStateName): string {
  return `event: end\ndata: ${JSON.stringify({ state })}\n\n`;
}

/** For people who look at the stream; clients take no notice of it. `text`: one line. */
export function comment(text: string): string {
  return `: ${text}\n\n`;
}

/**
 * The position that a client has seen last. `newest`: of the order's events; `undefined` stands for no header.
 * @throws Problem when the header is not the id of an event of this order
 */
export function lastEventId(header: string | readonly string[] | undefined, newest: number): number | undefined {
  if (header === undefined) return undefined;
  const position = typeof header === "string" && /^(0|[1-9][0-9]{0,9})$/.test(header) ? Number(header) : Infinity;
  if (position <= newest) return position;
  const message = `must be the id of an event of this order, 0 to ${newest} now; leave it out to begin at the start`;
  throw new Problem("malformed-request", `The header Last-Event-ID ${message}.`, {
    errors: [{ field: "header:Last-Event-ID", message }],
  });
}

/** Whether the header `Accept` asks for JSON rather than for a stream. Without a preference it is the stream. */
export function prefersJson(accept: string | undefined): boolean {
  return quality(accept, "application/json") > quality(accept, "text/event-stream");
}

/** How much a media type is wanted, 0 to 1; the most specific range that covers it decides. */
function quality(accept: string | undefined, type: string): number {
  const [group = ""] = type.split("/");
  let best = { rank: -1, q: accept === undefined ? 1 : 0 };
  for (const range of accept?.split(",") ?? []) {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const rank = [`*/*`, `${group}/*`, type].indexOf(name);
    if (rank <= best.rank) continue;
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    const q = weight === undefined ? 1 : Number(weight);
    best = { rank, q: q >= 0 && q <= 1 ? q : 1 };
  }
  return best.q;
}
