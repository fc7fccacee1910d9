import { request } from "node:https";

/** How an API server is reached. */
export interface KubernetesAccess {
  server: string;
  /** PEM of the certificates to trust. */
  certificate: string;
  token: string;
}

/** One call of the Kubernetes API. */
export type KubernetesRequest = (method: string, path: string, body?: unknown) => Promise<unknown>;

/**
 * A minimal client for setting up the local cluster. PATCH is server-side apply; the answer is the parsed JSON, or text.
 * @throws when the server cannot be reached or answers 400 or above.
 */
export function createKubernetesRequest(access: KubernetesAccess): KubernetesRequest {
  return async (method, path, body) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    return await new Promise((resolve, reject) => {
      const call = request(
        new URL(path, access.server),
        {
          method,
          ca: access.certificate,
          // No pooling: after a restart a kept connection would lead to the server that is gone.
          agent: false,
          timeout: 10_000,
          headers: {
            authorization: `Bearer ${access.token}`,
            ...(payload === undefined ? {} : { "content-type": contentType(method) }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            if ((response.statusCode ?? 500) >= 400) {
              reject(new Error(`${method} ${path} answered ${response.statusCode}: ${text.slice(0, 500)}`));
            } else {
              resolve(response.headers["content-type"]?.startsWith("application/json") ? JSON.parse(text) : text);
            }
          });
        },
      );
      call.on("timeout", () => call.destroy(new Error(`${method} ${path}: no answer within 10 s`)));
      call.on("error", reject);
      call.end(payload);
    });
  };
}

/** JSON is YAML, and server-side apply only goes by its YAML media type. */
function contentType(method: string): string {
  return method === "PATCH" ? "application/apply-patch+yaml" : "application/json";
}
