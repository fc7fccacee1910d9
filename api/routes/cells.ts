import { deleteCell, getCell, listCells, putCell } from "../../db/repositories/cells.ts";
import { CellName } from "../../domain/catalogue/names.ts";
import { Cell, CellBody } from "../../domain/catalogue/types.ts";
import { labelSyntaxFaults } from "../../domain/catalogue/validate.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { declareNamed } from "./named.ts";

export function cellRoutes(app: App, { database }: AppDependencies): void {
  declareNamed(app, database.db, {
    path: "cells",
    noun: "cell",
    tag: "workspace groups",
    permissions: { read: "topology.read", write: "topology.write" },
    name: CellName,
    body: CellBody,
    item: Cell,
    check: (body) => labelSyntaxFaults(body.nodeSelector ?? {}, "/nodeSelector"),
    get: getCell,
    list: listCells,
    put: putCell,
    remove: deleteCell,
  });
}
