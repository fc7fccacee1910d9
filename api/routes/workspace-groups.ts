import Type from "typebox";
import { deleteGroup, getGroup, listGroups, putGroup } from "../../db/repositories/groups.ts";
import { WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import { WorkspaceGroup, WorkspaceGroupBody } from "../../domain/catalogue/types.ts";
import { accessOf } from "../access/authorise.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { answerDelete, answerPut, mutate, send } from "../mutation.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { refused } from "../problem.ts";
import { entityTag, expectedVersion, pathOf } from "../request.ts";
import { ConditionalHeaders, NoContent } from "./named.ts";

const tags: Tag[] = ["workspace groups"];
const params = Type.Object({ group: WorkspaceGroupName });

export function workspaceGroupRoutes(app: App, { database: { db } }: AppDependencies): void {
  app.get(
    "/workspace-groups",
    {
      config: { permission: "groups.read" },
      schema: {
        summary: "List the workspace groups that one may read, by name",
        tags,
        querystring: ListQuery,
        response: responses("read", { 200: listOf(WorkspaceGroup) }),
      },
    },
    async (request) => {
      const list = pathOf(request);
      const page = await listGroups(db, pageRequest(list, "name", request.query), accessOf(request).groups);
      return listAnswer(list, page, (each) => each.name);
    },
  );

  app.get(
    "/workspace-groups/:group",
    {
      config: { permission: "groups.read" },
      schema: {
        summary: "Read a workspace group",
        tags,
        params,
        response: responses("read", { 200: WorkspaceGroup }, 404),
      },
    },
    async (request, reply) => {
      const { group } = request.params;
      const found = await getGroup(db, group);
      if (found === undefined) throw refused({ kind: "not-found", what: `workspace group "${group}"` });
      return reply.header("ETag", entityTag(found.version)).send(found);
    },
  );

  app.put(
    "/workspace-groups/:group",
    {
      config: { permission: "groups.write" },
      schema: {
        summary: "Create or replace a workspace group",
        tags,
        params,
        headers: ConditionalHeaders,
        body: WorkspaceGroupBody,
        response: responses("body", { 200: WorkspaceGroup, 201: WorkspaceGroup }, 412),
      },
    },
    async (request, reply) => {
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerPut(await putGroup(tx, request.params.group, request.body, expected)),
      );
      return send(reply, answer);
    },
  );

  app.delete(
    "/workspace-groups/:group",
    {
      config: { permission: "groups.write" },
      schema: {
        summary: "Delete a workspace group that holds nothing",
        tags,
        params,
        headers: ConditionalHeaders,
        response: responses("bodiless", { 204: NoContent }, 404, 412),
      },
    },
    async (request, reply) => {
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerDelete(await deleteGroup(tx, request.params.group, expected)),
      );
      return send(reply, answer);
    },
  );
}
