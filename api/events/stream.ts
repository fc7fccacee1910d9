/** One client that follows one order: an answer that stays open. */
import type { ServerResponse } from "node:http";
import { comment, eventText, opening } from "./format.ts";
import type { PlacedEvent } from "../../db/repositories/order-event-pages.ts";

/** All in milliseconds. */
export interface StreamTiming {
  /** Longest silence: proxies cut connections on which nothing is heard. */
  readonly heartbeat: number;
  /** How long a client may leave unread what was sent before it is cut off. */
  readonly stall: number;
  /** How long what was sent last may take to be read before the connection is cut. */
  readonly farewell: number;
  /** How often it is looked whether the client may still read the order. */
  readonly recheck: number;
}

export interface EventStreamOptions {
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  readonly orderId: string;
  /** Whose token opened it. */
  readonly subject: string;
  /** Events up to and including this one are known to the client. */
  readonly position: number;
  /** When the token ends. */
  readonly expiresAt: Date;
  /** Whether the client may still read the order. A failure to find out changes nothing. */
  readonly mayRead: () => Promise<boolean>;
  readonly timing: StreamTiming;
}

export type EventStream = ReturnType<typeof openEventStream>;

/**
 * Answers with the beginning of a stream of events. Memory is bounded: while the client has not read what was sent, the
 * stream wants nothing more, so that at most one page of events is kept for it.
 */
export function openEventStream(options: EventStreamOptions) {
  const { response, orderId, subject, expiresAt, mayRead, timing } = options;
  let { position } = options;
  let checkedAt = Date.now();
  let lastSent = Date.now();
  let unreadSince: number | undefined;
  let ended = false;

  const write = (text: string): void => {
    lastSent = Date.now();
    if (!response.write(text)) unreadSince ??= lastSent;
  };
  // A connection that breaks is seen by its "close".
  response.on("error", () => {});
  response.on("drain", () => (unreadSince = undefined));
  // Nothing else is asked for on this connection: it ends with the stream, also when the server closes.
  response.shouldKeepAlive = false;
  response.writeHead(200, {
    ...options.headers,
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    // nginx passes on what it has instead of collecting it.
    "X-Accel-Buffering": "no",
  });
  write(opening(position));

  const end = (text: string): void => {
    if (ended) return;
    ended = true;
    response.end(text);
    const cut = setTimeout(() => response.destroy(), timing.farewell);
    response.once("close", () => clearTimeout(cut));
  };

  return {
    orderId,
    subject,
    /** The last event that was sent. */
    get position() {
      return position;
    },
    /** Whether events may be sent. */
    get wants() {
      return !ended && !response.destroyed && unreadSince === undefined;
    },
    /** Sends events, which must be those that follow `position`. */
    send(events: readonly PlacedEvent[]): void {
      if (ended || response.destroyed) return;
      write(events.map(eventText).join(""));
      position = events.at(-1)?.position ?? position;
    },
    /** Says the last and ends the answer. */
    end,
    /** Does what is due: says that it is alive, ends when the token or the right does, or when the client does not read. */
    look(now: number): void {
      if (ended) return;
      if (now - checkedAt >= timing.recheck) {
        checkedAt = now;
        const gone = comment("the right to read this order has been taken away");
        void mayRead().then(
          (may) => may || end(gone),
          () => {},
        );
      }
      if (now >= expiresAt.getTime()) {
        end(comment("the token has expired; connect again with a new one and Last-Event-ID"));
      } else if (unreadSince !== undefined && now - unreadSince >= timing.stall) {
        end(comment("what was sent is not read; connect again with Last-Event-ID"));
      } else if (unreadSince === undefined && now - lastSent >= timing.heartbeat) {
        write(comment("alive"));
      }
    },
    /** Calls back when the client can take more again. */
    onDrain(act: () => void): void {
      response.on("drain", act);
    },
    /** Calls back when the connection is gone, at once if it already is. */
    onClose(act: () => void): void {
      if (response.destroyed) act();
      else response.once("close", act);
    },
  };
}
