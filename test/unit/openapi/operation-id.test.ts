import { expect, test } from "vitest";
import { operationId } from "../../../api/openapi/operation-id.ts";

test.each([
  ["get", "/api/v1/clusters", "listClusters"],
  ["get", "/api/v1/clusters/{name}", "getCluster"],
  ["put", "/api/v1/clusters/{name}", "putCluster"],
  ["delete", "/api/v1/workspace-groups/{group}/cells/{name}", "deleteCell"],
  ["get", "/api/v1/workspace-groups", "listWorkspaceGroups"],
  ["get", "/api/v1/workspace-groups/{group}", "getWorkspaceGroup"],
  ["get", "/api/v1/workspace-groups/{group}/dashboard", "getWorkspaceGroupDashboard"],
  ["get", "/api/v1/workspace-groups/{group}/app-services/{service}/draft", "getAppServiceDraft"],
  ["post", "/api/v1/workspace-groups/{group}/app-services/{service}/actions/change-image", "changeImageAppService"],
  ["post", "/api/v1/release-orders", "createReleaseOrder"],
  ["get", "/api/v1/release-orders/{id}/events", "listReleaseOrderEvents"],
  ["post", "/api/v1/release-orders/{id}/actions/{verb}", "actOnReleaseOrder"],
  ["post", "/api/v1/release-orders/{id}/tasks/{task}/actions/{verb}", "actOnReleaseOrderTask"],
  ["get", "/api/v1/categories/{name}", "getCategory"],
  ["get", "/api/v1/access/{name}", "getAccess"],
  ["get", "/api/v1/dashboard", "getDashboard"],
  ["post", "/api/v1/things/{name}/submit", "doThingSubmit"],
  ["get", "/healthz", "getHealthz"],
])("%s %s is %s", (method, path, name) => {
  expect(operationId(method, path)).toBe(name);
});
