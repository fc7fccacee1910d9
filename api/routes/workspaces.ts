import { deleteWorkspace, getWorkspace, listWorkspaces, putWorkspace } from "../../db/repositories/workspaces.ts";
import { WorkspaceName } from "../../domain/catalogue/names.ts";
import { Workspace, WorkspaceBody } from "../../domain/catalogue/types.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { declareNamed } from "./named.ts";

export function workspaceRoutes(app: App, { database }: AppDependencies): void {
  declareNamed(app, database.db, {
    path: "workspaces",
    noun: "workspace",
    tag: "workspace groups",
    permissions: { read: "topology.read", write: "topology.write" },
    name: WorkspaceName,
    body: WorkspaceBody,
    item: Workspace,
    get: getWorkspace,
    list: listWorkspaces,
    put: putWorkspace,
    remove: deleteWorkspace,
  });
}
