import { deleteCell, getCell, listCells, putCell } from "../../db/repositories/cells.ts";
import { getCluster } from "../../db/repositories/clusters.ts";
import type { Fault } from "../../domain/catalogue/faults.ts";
import { CellName } from "../../domain/catalogue/names.ts";
import { Cell, CellBody } from "../../domain/catalogue/types.ts";
import { labelSyntaxFaults } from "../../domain/catalogue/validate.ts";
import { accessOf } from "../access/authorise.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { declareNamed } from "./named.ts";

export function cellRoutes(app: App, { database: { db } }: AppDependencies): void {
  declareNamed(app, db, {
    path: "cells",
    noun: "cell",
    tag: "workspace groups",
    permissions: { read: "topology.read", write: "topology.write" },
    name: CellName,
    body: CellBody,
    item: Cell,
    check: async (body, request) => {
      const labels = labelSyntaxFaults(body.nodeSelector ?? {}, "/nodeSelector");
      const { groups } = accessOf(request);
      // Clusters belong to the installation: its administrators let a group onto one by giving it a first cell there.
      if (groups === "all" || (await getCluster(db, body.cluster, groups)) !== undefined) return labels;
      const fault: Fault = {
        field: "/cluster",
        message:
          "names no cluster on which your workspace groups have a cell; ask an administrator of the installation to " +
          "put the first one there",
      };
      return [fault, ...labels];
    },
    get: getCell,
    list: listCells,
    put: putCell,
    remove: deleteCell,
  });
}
