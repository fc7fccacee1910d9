import { deleteAppService, getAppService, listAppServices, putAppService } from "../../db/repositories/app-services.ts";
import { AppServiceName } from "../../domain/catalogue/names.ts";
import { AppService, AppServiceBody } from "../../domain/catalogue/types.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { declareNamed } from "./named.ts";

export function appServiceRoutes(app: App, { database }: AppDependencies): void {
  declareNamed(app, database.db, {
    path: "app-services",
    noun: "app service",
    tag: "applications",
    name: AppServiceName,
    body: AppServiceBody,
    item: AppService,
    get: getAppService,
    list: listAppServices,
    permissions: { read: "app-services.read", write: "app-services.write" },
    put: putAppService,
    remove: deleteAppService,
  });
}
