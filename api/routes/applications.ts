import {
  deleteApplication,
  getApplication,
  listApplications,
  putApplication,
} from "../../db/repositories/applications.ts";
import { ApplicationName } from "../../domain/catalogue/names.ts";
import { Application, ApplicationBody } from "../../domain/catalogue/types.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { declareNamed } from "./named.ts";

export function applicationRoutes(app: App, { database }: AppDependencies): void {
  declareNamed(app, database.db, {
    path: "applications",
    noun: "application",
    tag: "applications",
    permissions: { read: "applications.read", write: "applications.write" },
    name: ApplicationName,
    body: ApplicationBody,
    item: Application,
    get: getApplication,
    list: listApplications,
    put: putApplication,
    remove: deleteApplication,
  });
}
