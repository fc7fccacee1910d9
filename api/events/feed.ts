/** The one reader of new events in a process, for all the clients that follow orders. */
import type { FastifyBaseLogger } from "fastify";
import type { Database } from "../../db/client.ts";
import { readEventPages, type EventPlace } from "../../db/repositories/order-event-pages.ts";
import { Problem } from "../problem.ts";
import { comment, endText } from "./format.ts";
import { openEventStream, type EventStream, type EventStreamOptions, type StreamTiming } from "./stream.ts";

export interface FeedOptions extends StreamTiming {
  /** How often new events are looked for while somebody follows, milliseconds. */
  readonly interval: number;
  /** Most streams of this process. */
  readonly streams: number;
  /** Most streams of one subject in this process. */
  readonly streamsOfSubject: number;
}

const DEFAULTS: FeedOptions = {
  interval: 500,
  streams: 500,
  streamsOfSubject: 50,
  heartbeat: 15_000,
  stall: 30_000,
  farewell: 1_000,
  recheck: 15_000,
};

/** Most events that one look reads, and most that it reads for one place; what is left is read by the next, at once. */
const EVENTS_OF_LOOK = 2_000;
const EVENTS_OF_PLACE = 100;
/** Streams that are opened within this time share a look. Milliseconds. */
const GATHERING = 20;

/**
 * Follows orders for any number of streams: one statement for all of them every `interval`, one at a time, and none while
 * nobody follows. While the database is away the streams stay open, and go on when it is back.
 */
export function createEventFeed(db: Database, log: FastifyBaseLogger, given: Partial<FeedOptions> = {}) {
  const options = { ...DEFAULTS, ...given };
  const streams = new Set<EventStream>();
  let timer: NodeJS.Timeout | undefined;
  let soon: NodeJS.Timeout | undefined;
  let looking = false;
  /** Somebody has come, or can take more, while a look was under way. */
  let again = false;
  let away = false;
  let closed = false;

  function lookSoon(): void {
    if (looking) again = true;
    else {
      soon ??= setTimeout(() => {
        soon = undefined;
        void look();
      }, GATHERING);
    }
  }

  /** Reads what is new and sends it. Never fails. */
  async function look(): Promise<void> {
    if (looking) return;
    const followers = Map.groupBy(
      [...streams].filter((stream) => stream.wants),
      (stream) => placeKey({ orderId: stream.orderId, after: stream.position }),
    );
    if (followers.size === 0) return;
    looking = true;
    try {
      const places = [...followers.values()].flatMap(([first]) =>
        first === undefined ? [] : [{ orderId: first.orderId, after: first.position }],
      );
      const limit = Math.max(1, Math.min(EVENTS_OF_PLACE, Math.floor(EVENTS_OF_LOOK / places.length)));
      const pages = await readEventPages(db, places, limit);
      if (away) log.info("events can be read again");
      away = false;
      for (const page of pages) {
        for (const stream of followers.get(placeKey(page)) ?? []) {
          if (page.events.length > 0) stream.send(page.events);
          if (page.over !== undefined) stream.end(endText(page.over));
        }
      }
      again ||= pages.some((page) => page.events.length === limit);
    } catch (error) {
      if (!away) log.warn({ err: error }, "events cannot be read; those who follow orders wait");
      away = true;
    } finally {
      looking = false;
      if (again && streams.size > 0) lookSoon();
      again = false;
    }
  }

  function tick(): void {
    const now = Date.now();
    for (const stream of streams) stream.look(now);
    void look();
  }

  function forget(stream: EventStream): void {
    streams.delete(stream);
    if (streams.size > 0) return;
    clearInterval(timer);
    clearTimeout(soon);
    timer = soon = undefined;
  }

  return {
    /**
     * Refuses a stream that would be one too many.
     * @throws Problem too-many-streams (429), unavailable (503)
     */
    admit(subject: string): void {
      if (closed) throw full("This process is ending; connect again.");
      if (streams.size >= options.streams) {
        throw full(`This process serves ${options.streams} event streams, which is all it may; try again later.`);
      }
      const own = [...streams].filter((stream) => stream.subject === subject).length;
      if (own < options.streamsOfSubject) return;
      throw new Problem(
        "too-many-streams",
        `"${subject}" has ${own} event streams open, which is all that one subject may have; close some, or read events ` +
          `as JSON (Accept: application/json).`,
        { headers: { "Retry-After": "5" } },
      );
    },

    /** Opens a stream, which `admit` must have allowed just before. */
    follow(wanted: Omit<EventStreamOptions, "timing">): void {
      const stream = openEventStream({ ...wanted, timing: options });
      streams.add(stream);
      stream.onDrain(lookSoon);
      stream.onClose(() => forget(stream));
      if (streams.size === 0) return;
      timer ??= setInterval(tick, options.interval);
      lookSoon();
    },

    /** Ends all streams, and lets no one in any more. Resolves when their connections are closed. */
    async close(): Promise<void> {
      closed = true;
      await Promise.all(
        [...streams].map(
          (stream) =>
            new Promise<void>((resolve) => {
              stream.onClose(resolve);
              stream.end(comment("this process is ending; connect again with Last-Event-ID"));
            }),
        ),
      );
    },
  };
}

function placeKey({ orderId, after }: EventPlace): string {
  return `${orderId} ${after}`;
}

function full(detail: string): Problem {
  return new Problem("unavailable", detail, { headers: { "Retry-After": "5" } });
}
