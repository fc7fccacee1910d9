/** Names of operations, made of method and path, so that every route has one, and the same one for good. Pure. */

const DEEDS: Readonly<Record<string, string>> = { put: "put", delete: "delete", patch: "patch" };

/**
 * The name of an operation, in camel case: what is done, and to what, from the outside in. `path` is written as in the
 * OpenAPI document, with parameters in braces.
 *
 * - `GET /api/v1/clusters` is `listClusters`, `GET /api/v1/clusters/{name}` is `getCluster`
 * - `PUT /api/v1/workspace-groups/{group}/cells/{name}` is `putCell`: the group goes without saying
 * - `POST /api/v1/release-orders` is `createReleaseOrder`
 * - `POST /api/v1/release-orders/{id}/tasks/{task}/actions/{verb}` is `actOnReleaseOrderTask`
 * - `POST …/app-services/{service}/actions/change-image` is `changeImageAppService`
 */
export function operationId(method: string, path: string): string {
  const segments = path
    .replace(/^\/api\/v\d+/, "")
    .replace(/^\/workspace-groups\/\{group\}(?=\/[\w-]+s(?:\/|$))/, "")
    .split("/")
    .filter(Boolean);
  const action = segments.at(-2) === "actions" ? segments.splice(-2)[1] : undefined;
  const last = segments.at(-1);
  const collection = action === undefined && !isParameter(last) && last?.endsWith("s") === true;
  const words = segments.flatMap((segment, index) => {
    if (isParameter(segment)) return [];
    const one = index < segments.length - 1 || method === "post";
    return [pascal(one ? singular(segment) : segment)];
  });
  return `${deed(method, action, collection)}${words.join("")}`;
}

function deed(method: string, action: string | undefined, collection: boolean): string {
  if (isParameter(action)) return "actOn";
  if (action !== undefined) return pascal(action).replace(/^./, (letter) => letter.toLowerCase());
  if (method === "get") return collection ? "list" : "get";
  if (method === "post") return collection ? "create" : "do";
  return DEEDS[method] ?? method;
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
