/** A client of server-sent events (WHATWG HTML, "Interpreting an event stream") with the headers that the API needs. */
import { request, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

export type Received = { id: string; type: string; data: string };

export type Followed = {
  status: number;
  headers: IncomingMessage["headers"];
  /** The answer's body, where it is not a stream. */
  body: string;
  events: Received[];
  comments: string[];
  /** Bytes of the stream received so far. */
  bytes: number;
  /** What `Last-Event-ID` would be now. */
  lastId: string | undefined;
  /** Settles when the connection is gone: whether the stream ended as it should, or was cut. */
  closed: Promise<"ended" | "cut">;
  /** Stops, or goes on, reading. */
  pause(): void;
  resume(): void;
  /** Breaks the connection. */
  cut(): void;
};

export type Following = {
  url: string;
  token?: string | undefined;
  lastId?: string | undefined;
  /** Called for each event, with its number on this connection. */
  onEvent?: ((event: Received, count: number, followed: Followed) => void) | undefined;
};

/** Connects. @throws when nobody answers */
export function follow({ url, token, lastId, onEvent }: Following): Promise<Followed> {
  return new Promise((resolve, reject) => {
    const call = request(url, {
      // A connection of its own, so that what is cut is this stream and no other.
      agent: false,
      headers: {
        accept: "text/event-stream",
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(lastId !== undefined && { "last-event-id": lastId }),
      },
    });
    call.on("error", reject);
    call.on("response", (response) => {
      const { statusCode: status = 0, headers } = response;
      const closed = new Promise<"ended" | "cut">((settle) => {
        response.on("error", () => settle("cut"));
        response.on("close", () => settle(response.complete ? "ended" : "cut"));
      });
      const followed: Followed = {
        status,
        headers,
        body: "",
        events: [],
        comments: [],
        bytes: 0,
        lastId,
        closed,
        pause: () => void response.pause(),
        resume: () => void response.resume(),
        cut: () => call.destroy(),
      };
      if (headers["content-type"]?.startsWith("text/event-stream") !== true) {
        void text(response).then((body) => resolve({ ...followed, body }), reject);
        return;
      }
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        followed.bytes += Buffer.byteLength(chunk);
        const blocks = (rest + chunk).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          // What is still in the buffer when the client has gone is seen by nobody.
          if (call.destroyed) return;
          const event = interpret(block, followed);
          if (event === undefined) continue;
          followed.events.push(event);
          onEvent?.(event, followed.events.length, followed);
        }
      });
      resolve(followed);
    });
    call.end();
  });
}

/** Takes in one block; answers with its event, if it has data. */
function interpret(block: string, followed: Followed): Received | undefined {
  let type = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "") followed.comments.push(value);
    else if (field === "event") type = value;
    else if (field === "id") followed.lastId = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { id: followed.lastId ?? "", type, data: data.join("\n") };
}

/**
 * Follows to the end, as a browser does: connects again with the last id whenever it is cut off or nobody answers.
 * Answers with all events of all connections; tells of each connection as it begins. @throws after 60 seconds
 */
export async function followToEnd(
  following: Following & { onConnection?: () => void },
): Promise<{ events: Received[]; connections: number }> {
  const events: Received[] = [];
  let { lastId } = following;
  let connections = 0;
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    const followed = await follow({ ...following, lastId }).catch(() => undefined);
    if (followed === undefined || followed.status >= 500) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    connections += 1;
    following.onConnection?.();
    if (followed.status === 204) return { events, connections };
    if (followed.status !== 200) throw new Error(`${followed.status} ${followed.body}`);
    await followed.closed;
    events.push(...followed.events);
    if (followed.events.at(-1)?.type === "end") return { events, connections };
    lastId = followed.lastId;
  }
  throw new Error(`the stream did not end within 60 s; it came to event ${lastId ?? "none"}`);
}
