/** Names of operations, made of method and path, so that every route has one, and the same one for good. Pure. */

const WRITING: Readonly<Record<string, string>> = { put: "put", delete: "delete", patch: "patch" };

/**
 * The name of an operation, in camel case: what is done, and to what, from the outside in. `path` is written as in the
 * OpenAPI document, with parameters in braces.
 *
 * - `GET /api/v1/clusters` is `listClusters`, `GET /api/v1/clusters/{name}` is `getCluster`
 * - `POST /api/v1/release-orders` is `createReleaseOrder`
 * - `POST /api/v1/release-orders/{id}/tasks/{task}/actions/{verb}` is `actOnReleaseOrderTask`
 */
export function operationId(method: string, path: string): string {
  const segments = path
    .replace(/^\/api\/v\d+/, "")
    .split("/")
    .filter(Boolean);
  const acting = segments.at(-2) === "actions" && isParameter(segments.at(-1));
  if (acting) segments.splice(-2);
  const last = segments.at(-1);
  const whole = !isParameter(last) && last?.endsWith("s") === true;
  const words = segments.flatMap((segment, index) => {
    if (isParameter(segment)) return [];
    const one = index < segments.length - 1 || method === "post";
    return [pascal(one ? singular(segment) : segment)];
  });
  return `${prefix(method, { acting, whole })}${words.join("")}`;
}

function prefix(method: string, { acting, whole }: { acting: boolean; whole: boolean }): string {
  if (acting) return "actOn";
  if (method === "get") return whole ? "list" : "get";
  if (method === "post") return whole ? "create" : "do";
  return WRITING[method] ?? method;
}

function isParameter(segment: string | undefined): boolean {
  return segment?.startsWith("{") === true;
}

function singular(segment: string): string {
  return segment.replace(/ies$/, "y").replace(/(?<!s)s$/, "");
}

function pascal(segment: string): string {
  return segment.replaceAll(/(?:^|[-_.])(\w)/g, (_match, letter: string) => letter.toUpperCase());
}
