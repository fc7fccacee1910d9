/**
 * Requests to one cluster's API server: authentication and TLS from a kubeconfig through the official client, plain JSON
 * objects as they travel, a bound on every request, and every error translated (`errors.ts`).
 */
import {
  HttpMethod,
  IsomorphicFetchHttpLibrary,
  KubeConfig,
  RequestContext,
  type ResponseContext,
} from "@kubernetes/client-node";
import { CellwrightFailure } from "../../domain/failures.ts";
import { fromNetwork, fromStatus } from "./errors.ts";

export const CONTENT = {
  json: "application/json",
  jsonPatch: "application/json-patch+json",
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
  const { server, authenticated } = await readKubeconfig(options);
  const library = new IsomorphicFetchHttpLibrary();

  async function send(request: ClusterRequest, signal: AbortSignal): Promise<ResponseContext> {
    const url = new URL(server + request.path);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, String(value));
    // One dispatcher for all requests: the official client makes a new one, and so a new connection, for each.
    const context = new RequestContext(url.toString(), HttpMethod[request.method]);
    for (const [name, value] of Object.entries(authenticated.getHeaders())) context.setHeaderParam(name, value);
    const dispatcher = authenticated.getDispatcher();
    if (dispatcher !== undefined) context.setDispatcher(dispatcher);
    context.setHeaderParam("Accept", CONTENT.json);
    if (request.body !== undefined) {
      context.setHeaderParam("Content-Type", request.contentType ?? CONTENT.json);
      context.setBody(JSON.stringify(request.body));
    }
    context.setSignal(signal);
    return library.send(context).toPromise();
  }

  return {
    cluster,
    async request<T>(request: ClusterRequest): Promise<T> {
      const bound = AbortSignal.timeout(request.timeoutMs ?? defaultTimeoutMs);
      const signal = request.signal === undefined ? bound : AbortSignal.any([bound, request.signal]);
      const what = describe(request);
      let status: number;
      let headers: Record<string, string>;
      let text: string;
      let body: unknown;
      try {
        const response = await send(request, signal);
        status = response.httpStatusCode;
        headers = response.headers;
        text = await response.body.text();
        if (status < 300) body = JSON.parse(text);
      } catch (error) {
        throw fromNetwork(error, what, cluster);
      }
      if (status >= 300) throw fromStatus(status, text, headers, what, cluster);
      return body as T;
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
        const response = await send(request, AbortSignal.any([signal, silence.signal]));
        if (response.httpStatusCode !== 200) {
          throw fromStatus(response.httpStatusCode, await response.body.text(), response.headers, what, cluster);
        }
        contact();
        const stream = response.body.stream();
        if (stream === null) return;
        await eachLine(stream, contact, (line) => onEvent(JSON.parse(line) as WatchEvent));
      } catch (error) {
        if (error instanceof CellwrightFailure) throw error;
        throw fromNetwork(error, what, cluster);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function readKubeconfig({
  cluster,
  kubeconfig,
}: ClientOptions): Promise<{ server: string; authenticated: RequestContext }> {
  try {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const server = config.getCurrentCluster()?.server.replace(/\/+$/, "");
    if (server === undefined) throw new Error("its current-context names no cluster");
    const authenticated = new RequestContext(server, HttpMethod.GET);
    await config.applySecurityAuthentication(authenticated);
    return { server, authenticated };
  } catch (error) {
    // The library's own message may quote the file; only ours is passed on.
    const why = error instanceof Error && error.message.startsWith("its ") ? error.message : "it cannot be read";
    throw new CellwrightFailure("Invalid", `The kubeconfig of cluster ${cluster} cannot be used: ${why}`);
  }
}

async function eachLine(
  stream: ReadableStream<Uint8Array>,
  contact: () => void,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    contact();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
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
  events: (namespace: string) => `/api/v1/namespaces/${namespace}/events`,
  service: (namespace: string, name: string) => `/api/v1/namespaces/${namespace}/services/${name}`,
  allSets: "/apis/apps/v1/statefulsets",
  sets: (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
  set: (namespace: string, name: string) => `/apis/apps/v1/namespaces/${namespace}/statefulsets/${name}`,
  accessReviews: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
} as const;
