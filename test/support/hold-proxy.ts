/**
 * A loopback proxy before an API server that can hold, refuse, delay or cut chosen requests: faults that a network makes,
 * made on purpose and at a chosen moment. A held request goes on to the API server when it is released, whether or not
 * its sender has given up.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inject } from "vitest";
import { parse, stringify } from "yaml";
import type { JsonPatch } from "./audit-log.ts";

export type SeenRequest = { method: string; url: string; body: string };
type Match = (request: SeenRequest) => boolean;

/** A change in place of a pod (of the pod `name`, if given). */
export function changesPod(name = ""): Match {
  return ({ method, url, body }) =>
    method === "PATCH" && url.includes(name === "" ? "/pods/" : `/pods/${name}?`) && body.includes("/spec/containers/");
}

/** An eviction of a pod (of the pod `name`, if given). */
export function evictsPod(name = ""): Match {
  return ({ method, url }) =>
    method === "POST" && (name === "" ? url.endsWith("/eviction") : url.includes(`/pods/${name}/eviction`));
}

/** A change of a StatefulSet. */
export function changesSet(): Match {
  return ({ method, url }) => method === "PATCH" && url.includes("/statefulsets/");
}

/** A change of a StatefulSet that lets its holder go: a JSON patch, whose tests may name the same value. */
export function closesEpoch(): Match {
  return (request) => {
    const patch: unknown = changesSet()(request) ? JSON.parse(request.body) : undefined;
    return (
      Array.isArray(patch) &&
      (patch as JsonPatch).some(
        ({ op, path, value }) => op === "add" && path.endsWith("/cellwright.io~1epoch-holder") && value === "",
      )
    );
  };
}

/** A request that is being held. */
type HeldRequest = {
  request: SeenRequest;
  /** Sends it on. Resolves with the status that the API server answered. */
  release(): Promise<number>;
};

type Rule = {
  match: Match;
  times: number;
  act: (seen: SeenRequest, response: ServerResponse, forward: Forward) => Promise<void>;
};
type Forward = () => Promise<{ status: number; headers: IncomingMessage["headers"]; body: Buffer }>;

export type HoldProxy = {
  /** Kubeconfig text for the proxy, with the credentials of the original. */
  kubeconfig: string;
  /** Holds the next `times` matching requests. `next()` resolves with each as it arrives. */
  hold(match: Match, times?: number): { next(): Promise<HeldRequest> };
  /** Answers matching requests itself. */
  answer(
    match: Match,
    status: number,
    options?: { times?: number; body?: object; headers?: Record<string, string> },
  ): void;
  /**
   * Passes matching requests on after a while. With `lost`, those whose sender has died meanwhile never arrive; otherwise
   * they do, late.
   */
  delay(match: Match, ms: number | (() => number), options?: { times?: number; lost?: () => boolean }): void;
  /** Cuts the connection of matching requests: before they reach the API server, or after it has answered. */
  cut(match: Match, when: "before" | "after", times?: number): void;
  /** Tells of every request as it comes in, until the function that it returns is called. */
  onRequest(listener: (request: SeenRequest) => void): () => void;
  /** Ends every connection that stands, watches too. */
  disconnect(): void;
  /** From now on nothing comes through, without a word; connections stay up. */
  fallSilent(silent: boolean): void;
  /** Forgets all rules; what is held stays held. */
  clear(): void;
  close(): Promise<void>;
};

/** Before the run's cluster, as Cellwright, with the API server's own certificate: a client sees no difference. */
export async function openHoldProxy(kubernetes = inject("stack").kubernetes): Promise<HoldProxy> {
  const kubeconfigFile = kubernetes.kubeconfigs.cellwright;
  const pki = join(dirname(kubeconfigFile), "pki");
  const tls = { certificateFile: join(pki, "apiserver.crt"), keyFile: join(pki, "apiserver.key") };
  return startHoldProxy({ kubeconfigFile, tls });
}

/** `tls`: serve HTTPS with this key; its certificate must be what the kubeconfig trusts. Otherwise plain HTTP. */
async function startHoldProxy(options: {
  kubeconfigFile: string;
  tls?: { certificateFile: string; keyFile: string };
}): Promise<HoldProxy> {
  const config = parse(readFileSync(options.kubeconfigFile, "utf8")) as Kubeconfig;
  const upstream = readCluster(config);
  let rules: Rule[] = [];
  let silent = false;
  const sockets = new Set<Socket>();
  const listeners = new Set<(request: SeenRequest) => void>();

  const handle = (incoming: IncomingMessage, response: ServerResponse) => {
    serve(incoming, response).catch(() => response.destroy());
  };
  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const seen = { method: incoming.method ?? "", url: incoming.url ?? "", body: body.toString() };
    for (const listener of listeners) listener(seen);
    while (silent) await sleep(50);
    const rule = rules.find((one) => one.times > 0 && one.match(seen));
    const open = () => openUpstream(upstream, incoming, body);
    if (rule === undefined) {
      await pipe(await open(), response);
      return;
    }
    rule.times--;
    await rule.act(seen, response, async () => {
      const answer = await open();
      const parts: Buffer[] = [];
      for await (const part of answer) parts.push(part as Buffer);
      return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) };
    });
  }
  /** Streams, so that watches work; stops passing on while silent. */
  async function pipe(answer: IncomingMessage, response: ServerResponse): Promise<void> {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    response.on("close", () => answer.destroy());
    for await (const chunk of answer) {
      while (silent) await sleep(50);
      response.write(chunk);
    }
    response.end();
  }

  const server =
    options.tls === undefined
      ? createServer(handle)
      : createTlsServer(
          { cert: readFileSync(options.tls.certificateFile), key: readFileSync(options.tls.keyFile) },
          handle,
        );
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  const add = (rule: Rule) => rules.push(rule);
  return {
    kubeconfig: stringify(redirect(config, `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`)),
    hold(match, times = 1) {
      const arrived: HeldRequest[] = [];
      const waiting: ((held: HeldRequest) => void)[] = [];
      add({
        match,
        times,
        act: (request, response, forward) =>
          new Promise((resolve, reject) => {
            const release = async (): Promise<number> => {
              const answer = await forward().catch((error: unknown) => {
                reject(error);
                throw error;
              });
              send(response, answer);
              resolve();
              return answer.status;
            };
            const held = { request, release };
            const next = waiting.shift();
            if (next === undefined) arrived.push(held);
            else next(held);
          }),
      });
      return {
        async next() {
          return arrived.shift() ?? new Promise<HeldRequest>((resolve) => waiting.push(resolve));
        },
      };
    },
    answer(match, status, { times = Infinity, body = {}, headers = {} } = {}) {
      const answer = {
        status,
        headers: { "content-type": "application/json", ...headers },
        body: Buffer.from(JSON.stringify(body)),
      };
      add({ match, times, act: async (_seen, response) => send(response, answer) });
    },
    delay(match, ms, { times = Infinity, lost = () => false } = {}) {
      add({
        match,
        times,
        act: async (_seen, response, forward) => {
          await sleep(typeof ms === "number" ? ms : ms());
          if (response.destroyed && lost()) return;
          send(response, await forward());
        },
      });
    },
    cut(match, when, times = 1) {
      add({
        match,
        times,
        act: async (_seen, response, forward) => {
          if (when === "after") await forward();
          response.destroy();
        },
      });
    },
    onRequest(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    disconnect() {
      for (const socket of sockets) socket.destroy();
    },
    fallSilent(value) {
      silent = value;
    },
    clear() {
      rules = [];
    },
    async close() {
      silent = false;
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

type Kubeconfig = {
  clusters: {
    name: string;
    cluster: { server: string; "certificate-authority-data"?: string; "insecure-skip-tls-verify"?: boolean };
  }[];
};
type Upstream = { server: string; ca: Buffer | undefined };

function readCluster({ clusters }: Kubeconfig): Upstream {
  const cluster = clusters[0]!.cluster;
  const data = cluster["certificate-authority-data"];
  return { server: cluster.server, ca: data === undefined ? undefined : Buffer.from(data, "base64") };
}

function redirect(config: Kubeconfig, server: string): Kubeconfig {
  const [first] = config.clusters;
  // The client wants to be told that plain HTTP is meant.
  const plain = server.startsWith("http:") ? { "insecure-skip-tls-verify": true } : {};
  return { ...config, clusters: [{ name: first!.name, cluster: { ...first!.cluster, server, ...plain } }] };
}

async function openUpstream(upstream: Upstream, incoming: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
  const url = new URL(incoming.url ?? "/", upstream.server);
  const { host: _host, connection: _connection, "transfer-encoding": _encoding, ...headers } = incoming.headers;
  const isTls = url.protocol === "https:";
  const options = {
    method: incoming.method ?? "GET",
    headers: { ...headers, "content-length": String(body.length) },
    agent: false as const,
  };
  const outgoing = isTls
    ? requestTls(url, {
        ...options,
        ...(upstream.ca === undefined ? { rejectUnauthorized: false } : { ca: upstream.ca }),
      })
    : requestPlain(url, options);
  outgoing.end(body);
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  return answer;
}

function send(
  response: ServerResponse,
  answer: { status: number; headers: IncomingMessage["headers"]; body: Buffer },
): void {
  if (response.destroyed) return;
  const { "transfer-encoding": _encoding, "content-length": _length, ...headers } = answer.headers;
  response.writeHead(answer.status, { ...headers, "content-length": String(answer.body.length) });
  response.end(answer.body);
}
