import {
  deleteRoleBinding,
  getRoleBinding,
  listRoleBindings,
  putRoleBinding,
} from "../../db/repositories/role-bindings.ts";
import { RoleBinding, RoleBindingBody, roleBindingFaults, RoleBindingName } from "../../domain/access/roles.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { declareNamed } from "./named.ts";

export function roleBindingRoutes(app: App, { database }: AppDependencies): void {
  declareNamed(app, database.db, {
    path: "role-bindings",
    noun: "role binding",
    tag: "access",
    permissions: { read: "role-bindings.read", write: "role-bindings.write" },
    name: RoleBindingName,
    body: RoleBindingBody,
    item: RoleBinding,
    check: roleBindingFaults,
    get: getRoleBinding,
    list: listRoleBindings,
    put: putRoleBinding,
    remove: deleteRoleBinding,
  });
}
