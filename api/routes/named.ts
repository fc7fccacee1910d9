import type { FastifyRequest } from "fastify";
import Type, { type Static, type TSchema, type TString } from "typebox";
import type { Database, Tx } from "../../db/client.ts";
import { getGroup } from "../../db/repositories/groups.ts";
import type { Page, PageRequest } from "../../db/repositories/rows.ts";
import type { Permission } from "../../domain/access/permissions.ts";
import type { Fault } from "../../domain/catalogue/faults.ts";
import { WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import type { DeleteOutcome, ExpectedVersion, PutOutcome } from "../../domain/catalogue/refusal.ts";
import type { App } from "../dependencies.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { answerDelete, answerPut, mutate, send } from "../mutation.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, refused } from "../problem.ts";
import { entityTag, expectedVersion, pathOf } from "../request.ts";

export const ConditionalHeaders = Type.Object({
  "if-match": Type.Optional(Type.String({ description: "Entity tag that the resource must still have, or *" })),
});

export const NoContent = Type.Null({ description: "Done" });

interface Named {
  readonly name: string;
  readonly version: number;
}

/** A kind of resource that has a name within its workspace group. */
interface NamedResource<Body extends TSchema, Item extends Named> {
  /** Plural, as in the path. */
  readonly path: string;
  /** Singular, for people. */
  readonly noun: string;
  readonly tag: Tag;
  /** What reading one, and changing one, needs. */
  readonly permissions: { readonly read: Permission; readonly write: Permission };
  readonly name: TString;
  readonly body: Body;
  readonly item: TSchema;
  /** Rules for a body that its schema cannot express. */
  readonly check?: (body: Static<Body>, request: FastifyRequest) => readonly Fault[] | Promise<readonly Fault[]>;
  readonly get: (tx: Tx, group: string, name: string) => Promise<Item | undefined>;
  readonly list: (tx: Tx, group: string, request: PageRequest<string>) => Promise<Page<Item>>;
  readonly put: (
    tx: Tx,
    group: string,
    name: string,
    body: Static<Body>,
    expected: ExpectedVersion,
  ) => Promise<PutOutcome<Item>>;
  /** Left out where deleting takes more than a name; the resource then declares it itself. */
  readonly remove?: (tx: Tx, group: string, name: string, expected: ExpectedVersion) => Promise<DeleteOutcome>;
}

/** Declares the list, and PUT, GET and DELETE of the items, of one kind of resource. */
export function declareNamed<Body extends TSchema, Item extends Named>(
  app: App,
  db: Database,
  resource: NamedResource<Body, Item>,
): void {
  const { noun, path, item } = resource;
  const tags = [resource.tag];
  const listPath = `/workspace-groups/:group/${path}`;
  const itemPath = `${listPath}/:name`;
  const groupParams = Type.Object({ group: WorkspaceGroupName });
  const params = Type.Object({ group: WorkspaceGroupName, name: resource.name });

  app.get(
    listPath,
    {
      config: { permission: resource.permissions.read },
      schema: {
        summary: `List ${path}, by name`,
        tags,
        params: groupParams,
        querystring: ListQuery,
        response: responses("read", { 200: listOf(item) }, 404),
      },
    },
    async (request) => {
      const { group } = request.params;
      const list = pathOf(request);
      const page = await resource.list(db, group, pageRequest(list, "name", request.query));
      if (page.items.length === 0) await assertGroup(db, group);
      return listAnswer(list, page, (each) => each.name);
    },
  );

  app.get(
    itemPath,
    {
      config: { permission: resource.permissions.read },
      schema: { summary: `Read ${article(noun)}`, tags, params, response: responses("read", { 200: item }, 404) },
    },
    async (request, reply) => {
      const { group, name } = namesIn(request.params);
      const found = await resource.get(db, group, name);
      if (found === undefined) throw missing(noun, group, name);
      return reply.header("ETag", entityTag(found.version)).send(found);
    },
  );

  app.put(
    itemPath,
    {
      config: { permission: resource.permissions.write },
      schema: {
        summary: `Create or replace ${article(noun)}`,
        tags,
        params,
        headers: ConditionalHeaders,
        body: resource.body,
        response: responses("body", { 200: item, 201: item }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, name } = namesIn(request.params);
      const body = request.body as Static<Body>;
      const faults = (await resource.check?.(body, request)) ?? [];
      if (faults.length > 0) throw invalid(faults);
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerPut(await resource.put(tx, group, name, body, expected)),
      );
      return send(reply, answer);
    },
  );

  const { remove } = resource;
  if (remove === undefined) return;
  app.delete(
    itemPath,
    {
      config: { permission: resource.permissions.write },
      schema: {
        summary: `Delete ${article(noun)} on which nothing depends`,
        tags,
        params,
        headers: ConditionalHeaders,
        response: responses("bodiless", { 204: NoContent }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, name } = namesIn(request.params);
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) => answerDelete(await remove(tx, group, name, expected)));
      return send(reply, answer);
    },
  );
}

/** @throws Problem when the group does not exist */
async function assertGroup(tx: Tx, group: string): Promise<void> {
  if ((await getGroup(tx, group)) === undefined) {
    throw refused({ kind: "not-found", what: `workspace group "${group}"` });
  }
}

export function missing(noun: string, group: string, name: string) {
  return refused({ kind: "not-found", what: `${noun} "${name}" in workspace group "${group}"` });
}

/** The parameters have been validated; their type is lost because the name's schema is not known here. */
function namesIn(params: unknown): { readonly group: string; readonly name: string } {
  return params as { group: string; name: string };
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}
