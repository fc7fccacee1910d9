import { and, eq } from "drizzle-orm";
import type { Application, ApplicationBody } from "../../domain/catalogue/types.ts";
import { applications, appServices } from "../schema/catalogue.ts";
import { groupedRows } from "./grouped.ts";
import { describeRows } from "./named.ts";
import { present, stamps } from "./rows.ts";

const rows = groupedRows({
  table: applications,
  noun: "application",
  show: (row): Application => ({
    name: row.name,
    owner: row.owner,
    ...present({ description: row.description }),
    ...stamps(row),
  }),
  values: (body: ApplicationBody) => ({ owner: body.owner, description: body.description ?? null }),
  dependants: ({ tx, group, name }) => {
    const below = and(eq(appServices.workspaceGroup, group), eq(appServices.application, name));
    return describeRows(tx, appServices, "app service", below);
  },
});

export const getApplication = rows.get;
export const listApplications = rows.list;
export const putApplication = rows.put;
export const deleteApplication = rows.remove;
