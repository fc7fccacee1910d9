/**
 * A loopback proxy before a server that speaks over TCP, which can hold a connection at a chosen moment: when a client
 * says something, or before the answer to it comes back. What is held when its client dies is lost, or still arrives.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** What is held. `request`: what matched has not reached the server. `answer`: it has, and nothing comes back. */
type Side = "request" | "answer";

export type Held = {
  /** Drops what is held, as a network would when the client dies before its last packets are sent. */
  drop(): void;
  /** Lets the server have it all the same; the client hears nothing. Settles when it has been sent. */
  deliver(): Promise<void>;
  /** Lets everything go on as if nothing had been held. */
  pass(): void;
};

export type TcpProxy = {
  /** host:port */
  address: string;
  /** Holds the connection on which the client sends `text` for the nth time from now on. Resolves when it has. */
  hold(text: string, side: Side, nth?: number): Promise<Held>;
  /** Nothing is waited for any more. */
  forget(): void;
  close(): Promise<void>;
};

/** `target`: host:port of the server. */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const sockets = new Set<Socket>();
  let wanted: { text: string; side: Side; left: number; found: (held: Held) => void } | undefined;

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      socket.setNoDelay(true);
    }
    let held: Buffer[] | undefined;
    let silent = false;
    client.on("data", (chunk: Buffer) => {
      if (held !== undefined) {
        held.push(chunk);
        return;
      }
      if (wanted !== undefined && chunk.includes(wanted.text) && --wanted.left === 0) {
        const { side, found } = wanted;
        wanted = undefined;
        silent = true;
        if (side === "request") held = [chunk];
        else upstream.write(chunk);
        const send = (): Promise<void> => {
          const rest = Buffer.concat(held ?? []);
          held = undefined;
          return new Promise((resolve) => upstream.write(rest, () => resolve()));
        };
        found({
          drop: () => upstream.destroy(),
          deliver: send,
          pass() {
            silent = false;
            void send();
          },
        });
        return;
      }
      upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => {
      if (!silent) client.write(chunk);
    });
    // A connection that is held outlives its client, until the test has decided what becomes of it.
    client.on("close", () => silent || upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (text, side, nth = 1) => new Promise((found) => (wanted = { text, side, left: nth, found })),
    forget: () => (wanted = undefined),
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
