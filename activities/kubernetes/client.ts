/**
 * Requests to one cluster's API server: authentication and TLS from a kubeconfig through the official client, plain JSON
 * objects as they travel, a bound on every request, and every error translated (`errors.ts`).
 *
 * The official client's own requests make a new connection each, over undici, whose HTTP/2 sessions throw past every
 * handler when they idle (measured with undici 8.12); so requests are sent by Node's own client, HTTP/1.1, kept alive.
 */
import { once } from "node:events";
import { Agent as PlainAgent, request as sendPlain, type IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as sendTls, type RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { CellwrightFailure } from "../../domain/failures.ts";
import { fromNetwork, fromStatus } from "./errors.ts";

export const CONTENT = {
  json: "application/json",
  jsonPatch: "application/json-patch+json",
  mergePatch: "application/merge-patch+json",
  /** Server-side apply. JSON is YAML. */
  apply: "application/apply-patch+yaml",
} as const;

export type ClusterRequest = {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path below the server's address; see `paths`. */
  path: string;
  query?: Record<string, string | number | boolean>;
  body?: unknown;
  contentType?: (typeof CONTENT)[keyof typeof CONTENT];
  timeoutMs?: number;
  signal?: AbortSignal;
};

export type WatchEvent = { type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR"; object: unknown };

export type ClusterClient = {
  /** The cluster's name in the catalogue, for messages. */
  cluster: string;
  request<T>(request: ClusterRequest): Promise<T>;
  /** Reads plain text, such as a log, and keeps the last `keepBytes` of it, from the beginning of a line. */
  text(
    request: Pick<ClusterRequest, "path" | "query" | "timeoutMs" | "signal"> & { keepBytes: number },
  ): Promise<{ text: string; truncated: boolean }>;
  /**
   * Streams one watch until the server ends it; `onContact` is called whenever anything arrives (the first time when the
   * server has accepted). Ends with an error after `silenceMs` without a byte: that finds connections whose other end is
   * gone.
   */
  watch(input: {
    path: string;
    query: Record<string, string | number | boolean>;
    silenceMs: number;
    signal: AbortSignal;
    onContact: () => void;
    onEvent: (event: WatchEvent) => void;
  }): Promise<void>;
};

export type ClientOptions = {
  cluster: string;
  /** Self-contained kubeconfig (YAML). */
  kubeconfig: string;
  /** Bound on one request, ms. Default 5 s. */
  timeoutMs?: number;
};

/** Throws Invalid when the kubeconfig cannot be used. Sends nothing. */
export async function createClusterClient(options: ClientOptions): Promise<ClusterClient> {
  const { cluster, timeoutMs: defaultTimeoutMs = 5000 } = options;
  const { server, tls, headers } = await readKubeconfig(options);
  const isTls = server.startsWith("https:");
  const agent = isTls ? new TlsAgent({ ...tls, keepAlive: true }) : new PlainAgent({ keepAlive: true });

  async function send(
    request: ClusterRequest,
    signal: AbortSignal,
    accept: string = CONTENT.json,
  ): Promise<IncomingMessage> {
    const url = new URL(server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, String(value));
    const body = request.body === undefined ? undefined : Buffer.from(encode(request.body));
    const outgoing = (isTls ? sendTls : sendPlain)(url, {
      agent,
      method: request.method,
      signal,
      headers: {
        ...headers,
        accept,
        ...(body === undefined
          ? {}
          : { "content-type": request.contentType ?? CONTENT.json, "content-length": String(body.length) }),
      },
    });
    // What happens after the answer has begun is seen on the answer.
    outgoing.on("error", () => undefined);
    outgoing.end(body);
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    return answer;
  }

  return {
    cluster,
    async request<T>(request: ClusterRequest): Promise<T> {
      const bound = AbortSignal.timeout(request.timeoutMs ?? defaultTimeoutMs);
      const signal = request.signal === undefined ? bound : AbortSignal.any([bound, request.signal]);
      const what = describe(request);
      let answer: IncomingMessage;
      let text: string;
      let body: unknown;
      try {
        answer = await send(request, signal);
        text = await readText(answer);
        if (isSuccess(answer)) body = JSON.parse(text);
      } catch (error) {
        throw fromNetwork(error, what, cluster);
      }
      if (!isSuccess(answer)) throw fromStatus(answer.statusCode ?? 0, text, answer.headers, what, cluster);
      return body as T;
    },
    async text({ keepBytes, timeoutMs = defaultTimeoutMs, signal, ...where }) {
      const bound = AbortSignal.timeout(timeoutMs);
      const request: ClusterRequest = { method: "GET", ...where };
      const what = describe(request);
      try {
        const both = signal === undefined ? bound : AbortSignal.any([bound, signal]);
        const answer = await send(request, both, `${CONTENT.json}, */*`);
        if (!isSuccess(answer))
          throw fromStatus(answer.statusCode ?? 0, await readText(answer), answer.headers, what, cluster);
        return await readEnd(answer, keepBytes);
      } catch (error) {
        if (error instanceof CellwrightFailure) throw error;
        throw fromNetwork(error, what, cluster);
      }
    },
    async watch({ path, query, silenceMs, signal, onContact, onEvent }) {
      const silence = new AbortController();
      let timer = setTimeout(() => silence.abort(new DOMException("silence", "TimeoutError")), silenceMs);
      const contact = () => {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(new DOMException("silence", "TimeoutError")), silenceMs);
        onContact();
      };
      const what = `watch ${path}`;
      try {
        const request: ClusterRequest = {
          method: "GET",
          path,
          query: { ...query, watch: true, allowWatchBookmarks: true },
        };
        const answer = await send(request, AbortSignal.any([signal, silence.signal]));
        if (!isSuccess(answer)) {
          throw fromStatus(answer.statusCode ?? 0, await readText(answer), answer.headers, what, cluster);
        }
        contact();
        await eachLine(answer, contact, (line) => onEvent(JSON.parse(line) as WatchEvent));
      } catch (error) {
        if (error instanceof CellwrightFailure) throw error;
        throw fromNetwork(error, what, cluster);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

type Access = {
  server: string;
  tls: Pick<RequestOptions, "ca" | "cert" | "key" | "pfx" | "passphrase" | "rejectUnauthorized" | "servername">;
  headers: Record<string, string>;
};

async function readKubeconfig({ cluster, kubeconfig }: ClientOptions): Promise<Access> {
  try {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const server = config.getCurrentCluster()?.server.replace(/\/+$/, "");
    if (server === undefined) throw new Error("its current-context names no cluster");
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const headers = Object.fromEntries(
      Object.entries(options.headers ?? {}).flatMap(([name, value]) =>
        typeof value === "string" ? [[name, value]] : [],
      ),
    );
    if (typeof options.auth === "string")
      headers["Authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }).filter(
        ([, value]) => value !== undefined,
      ),
    );
    return { server, tls, headers };
  } catch (error) {
    // The library's own message may quote the file; only ours is passed on.
    const why = error instanceof Error && error.message.startsWith("its ") ? error.message : "it cannot be read";
    throw new CellwrightFailure("Invalid", `The kubeconfig of cluster ${cluster} cannot be used: ${why}`);
  }
}

function isSuccess(answer: IncomingMessage): boolean {
  return answer.statusCode !== undefined && answer.statusCode >= 200 && answer.statusCode < 300;
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** The last bytes, without the line that is cut; memory is bounded by twice as much. */
async function readEnd(answer: IncomingMessage, keepBytes: number): Promise<{ text: string; truncated: boolean }> {
  let chunks: Buffer[] = [];
  let size = 0;
  let truncated = false;
  for await (const chunk of answer) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size <= 2 * keepBytes) continue;
    chunks = [Buffer.concat(chunks).subarray(-keepBytes)];
    size = keepBytes;
    truncated = true;
  }
  const all = Buffer.concat(chunks);
  truncated ||= all.length > keepBytes;
  if (!truncated) return { text: all.toString(), truncated };
  const end = all.subarray(-keepBytes);
  return { text: end.subarray(end.indexOf("\n") + 1).toString(), truncated };
}

async function eachLine(answer: IncomingMessage, contact: () => void, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer) {
    contact();
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") onLine(line);
  }
}

function describe(request: ClusterRequest): string {
  const verb = { GET: "read", POST: "create", PATCH: "change", DELETE: "delete" }[request.method];
  return `${verb} ${request.path.replace(/^\/apis?\/(?:apps\/)?v1\//, "")}`;
}

/** Paths of the API server. Names are DNS labels, so nothing needs escaping. */
export const paths = {
  namespace: (namespace: string) => `/api/v1/namespaces/${namespace}`,
  nodes: "/api/v1/nodes",
  pods: (namespace: string) => `/api/v1/namespaces/${namespace}/pods`,
  pod: (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/pods/${name}`,
  log: (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/pods/${name}/log`,
  events: (namespace: string) => `/api/v1/namespaces/${namespace}/events`,
  eviction: (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/pods/${name}/eviction`,
  services: (namespace: string) => `/api/v1/namespaces/${namespace}/services`,
  service: (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/services/${name}`,
  allSets: "/apis/apps/v1/statefulsets",
  sets: (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
  set: (namespace: string, name: string) => `/apis/apps/v1/namespaces/${namespace}/statefulsets/${name}`,
  rulesReviews: "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
  accessReviews: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
} as const;

/**
 * JSON as the API server itself writes it: the tests of a JSON patch compare texts as they are written, and Go escapes
 * these characters.
 */
function encode(body: unknown): string {
  return JSON.stringify(body).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
