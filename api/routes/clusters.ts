import Type from "typebox";
import { LineCounter, parseDocument } from "yaml";
import {
  deleteCluster,
  getCluster,
  listClusters,
  putCluster,
  type ClusterRegistration,
} from "../../db/repositories/clusters.ts";
import { checkKubeconfig } from "../../domain/catalogue/kubeconfig.ts";
import { ClusterName } from "../../domain/catalogue/names.ts";
import { Cluster, ClusterBody } from "../../domain/catalogue/types.ts";
import { accessOf } from "../access/authorise.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { listAnswer, listOf, ListQuery, pageRequest } from "../lists.ts";
import { answerDelete, answerPut, mutate, send } from "../mutation.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, refused } from "../problem.ts";
import { entityTag, expectedVersion, pathOf } from "../request.ts";
import { ConditionalHeaders, NoContent } from "./named.ts";

const tags: Tag[] = ["clusters"];
const params = Type.Object({ name: ClusterName });

export function clusterRoutes(app: App, { database: { db }, encryptionKey }: AppDependencies): void {
  app.get(
    "/clusters",
    {
      config: { permission: "clusters.read" },
      schema: {
        summary: "List clusters, by name: those on which cells of one's groups lie",
        tags,
        querystring: ListQuery,
        response: responses("read", { 200: listOf(Cluster) }),
      },
    },
    async (request) => {
      const list = pathOf(request);
      const page = await listClusters(db, pageRequest(list, "name", request.query), accessOf(request).groups);
      return listAnswer(list, page, (each) => each.name);
    },
  );

  app.get(
    "/clusters/:name",
    {
      config: { permission: "clusters.read" },
      schema: {
        summary: "Read how a cluster is reached; its kubeconfig is never answered",
        tags,
        params,
        response: responses("read", { 200: Cluster }, 404),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const found = await getCluster(db, name, accessOf(request).groups);
      if (found === undefined) throw refused({ kind: "not-found", what: `cluster "${name}"` });
      return reply.header("ETag", entityTag(found.version)).send(found);
    },
  );

  app.put(
    "/clusters/:name",
    {
      config: { permission: "clusters.write" },
      schema: {
        summary: "Register a cluster, or replace its kubeconfig, which is kept encrypted",
        tags,
        params,
        headers: ConditionalHeaders,
        body: ClusterBody,
        response: responses("body", { 200: Cluster, 201: Cluster }, 412),
      },
    },
    async (request, reply) => {
      const { access, kubeconfig } = request.body;
      const registration: ClusterRegistration = { access, kubeconfig, server: serverOf(kubeconfig) };
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerPut(await putCluster(tx, encryptionKey, request.params.name, registration, expected)),
      );
      return send(reply, answer);
    },
  );

  app.delete(
    "/clusters/:name",
    {
      config: { permission: "clusters.write" },
      schema: {
        summary: "Forget a cluster that no cell uses; nothing in it is touched",
        tags,
        params,
        headers: ConditionalHeaders,
        response: responses("bodiless", { 204: NoContent }, 404, 412),
      },
    },
    async (request, reply) => {
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerDelete(await deleteCluster(tx, request.params.name, expected)),
      );
      return send(reply, answer);
    },
  );
}

/** The address of the API server that a kubeconfig names. @throws Problem when it cannot be taken. */
function serverOf(kubeconfig: string): string {
  const field = "/kubeconfig";
  const lines = new LineCounter();
  // The library's own messages quote the text, which is secret: only the place is told.
  const document = parseDocument(kubeconfig, { prettyErrors: false, logLevel: "error", lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    throw invalid([{ field, message: `is not one YAML document: ${error.code} at line ${line}, column ${col}` }]);
  }
  const parsed = plain(() => document.toJS({ maxAliasCount: 20 }));
  const check = checkKubeconfig(parsed);
  if (!check.ok) throw invalid(check.faults.map((fault) => ({ field, message: fault })));
  return check.server;
}

/** Content that cannot be made plain, such as aliases that multiply, counts as no content. */
function plain(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}
