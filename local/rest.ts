/** An answer of the API that is not a success; the message holds the problem that it describes. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly status: number;

  constructor(call: string, status: number, body: unknown) {
    super(`${call} answered ${status}: ${describeProblem(body)}`);
    this.status = status;
  }
}

/** A client of Cellwright's API. */
export interface Rest {
  get<T>(path: string): Promise<T>;
  /** `key` is the Idempotency-Key: the same call under the same key has the first call's answer and no second effect. */
  send<T>(method: "PUT" | "POST", path: string, body: unknown, key?: string): Promise<T>;
}

export function createRest(url: string, token: string): Rest {
  async function call<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    const answer: unknown = isJson && text !== "" ? JSON.parse(text) : text;
    if (!response.ok) throw new RestError(`${method} ${path}`, response.status, answer);
    return answer as T;
  }
  return {
    get: (path) => call("GET", path),
    send: (method, path, body, key) => call(method, path, body, key),
  };
}

/** RFC 9457: the detail says what is wrong and what to do; the title is the least. */
function describeProblem(body: unknown): string {
  if (typeof body !== "object" || body === null) return String(body);
  const { title, detail } = body as { title?: string; detail?: string };
  return detail ?? title ?? JSON.stringify(body);
}
