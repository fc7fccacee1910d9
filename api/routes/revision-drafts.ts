/** The draft of an app service's next revision. */
import Type from "typebox";
import { getAppService } from "../../db/repositories/app-services.ts";
import { deleteDraft, getDraft, putDraft, submitDraft } from "../../db/repositories/revision-drafts.ts";
import { getRevision } from "../../db/repositories/revisions.ts";
import { fillDefaults, RevisionBody } from "../../domain/catalogue/revision.ts";
import { revisionFaults } from "../../domain/catalogue/validate.ts";
import { documentFaults, RevisionDocument, specOf, toDocument } from "../../domain/revision/document.ts";
import { RevisionDraft, RevisionView } from "../../domain/revision/types.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { answerDelete, answerPut, caller, mutate, send } from "../mutation.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, refused } from "../problem.ts";
import { entityTag, expectedVersion } from "../request.ts";
import { ConditionalHeaders, missing, NoContent } from "./named.ts";
import { IdempotentHeaders, itemParams, NoBody, serviceParams } from "./revisions.ts";

const tags: Tag[] = ["applications"];
const service = "/workspace-groups/:group/app-services/:service";
const path = `${service}/draft`;
const headers = Type.Object({ ...ConditionalHeaders.properties, ...IdempotentHeaders.properties });
const prefills =
  "Only pre-fills the draft: nothing else changes. Where there is a draft already, it is replaced only if If-Match names " +
  "its entity tag.";

export function revisionDraftRoutes(app: App, { database: { db } }: AppDependencies): void {
  app.get(
    path,
    {
      config: { permission: "revisions.read" },
      schema: {
        summary: "Read the draft of an app service's next revision",
        tags,
        params: serviceParams,
        response: responses("read", { 200: RevisionDraft }, 404),
      },
    },
    async (request, reply) => {
      const { group, service: name } = request.params;
      const found = await getDraft(db, group, name);
      if (found === undefined) {
        const exists = (await getAppService(db, group, name)) !== undefined;
        throw missing(exists ? "draft of app service" : "app service", group, name);
      }
      return reply.header("ETag", entityTag(found.version)).send(found);
    },
  );

  app.put(
    path,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary: "Create or replace the draft of an app service's next revision",
        description:
          "A draft is checked like a revision, except for what can still change until it is submitted: whether its cells " +
          "exist, and whether its containers keep their names.",
        tags,
        params: serviceParams,
        headers: ConditionalHeaders,
        body: RevisionBody,
        response: responses("body", { 200: RevisionDraft, 201: RevisionDraft }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, service: name } = request.params;
      const faults = revisionFaults(name, request.body);
      if (faults.length > 0) throw invalid(faults);
      const content = { group, service: name, spec: fillDefaults(request.body), by: caller(request).subject };
      const expected = expectedVersion(request);
      return send(reply, await mutate(db, request, async (tx) => answerPut(await putDraft(tx, content, expected))));
    },
  );

  app.delete(
    path,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary: "Throw the draft away",
        tags,
        params: serviceParams,
        headers: ConditionalHeaders,
        response: responses("bodiless", { 204: NoContent }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, service: name } = request.params;
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerDelete(await deleteDraft(tx, group, name, expected)),
      );
      return send(reply, answer);
    },
  );

  app.post(
    `${path}/actions/submit`,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary: "Make the next revision of the draft, which is gone then",
        tags,
        params: serviceParams,
        headers,
        body: NoBody,
        response: responses("body", { 201: RevisionView }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, service: name } = request.params;
      const by = caller(request).subject;
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) => {
        const outcome = await submitDraft(tx, group, name, by, expected);
        if (outcome.kind !== "created") throw refused(outcome);
        return { status: 201, body: outcome.value };
      });
      return send(reply, answer);
    },
  );

  app.post(
    `${path}/actions/import`,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary: "Fill the draft from an exported revision",
        description: `${prefills} The document may come from another service, workspace group or installation.`,
        tags,
        params: serviceParams,
        headers,
        body: RevisionDocument,
        response: responses("body", { 200: RevisionDraft, 201: RevisionDraft }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, service: name } = request.params;
      const faults = documentFaults(name, request.body);
      if (faults.length > 0) throw invalid(faults);
      const content = { group, service: name, spec: fillDefaults(request.body.spec), by: caller(request).subject };
      const expected = expectedVersion(request);
      return send(
        reply,
        await mutate(db, request, async (tx) => answerPut(await putDraft(tx, content, expected, true))),
      );
    },
  );

  app.post(
    `${service}/revisions/:number/actions/copy-to-draft`,
    {
      config: { permission: "revisions.write" },
      schema: {
        summary: "Fill the draft from a revision",
        description: prefills,
        tags,
        params: itemParams,
        headers,
        body: NoBody,
        response: responses("body", { 200: RevisionDraft, 201: RevisionDraft }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, service: name, number } = request.params;
      const by = caller(request).subject;
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) => {
        const from = await getRevision(tx, group, name, Number(number));
        if (from === undefined) throw missing(`revision ${number} of app service`, group, name);
        const content = { group, service: name, spec: specOf(from), base: from.number, by };
        return answerPut(await putDraft(tx, content, expected, true));
      });
      return send(reply, answer);
    },
  );

  app.get(
    `${service}/revisions/:number/export`,
    {
      config: { permission: "revisions.read" },
      schema: {
        summary: "Export a revision as a document that can be imported into a draft",
        description: "Holds the whole revision, values of environment variables included.",
        tags,
        params: itemParams,
        response: responses("read", { 200: RevisionDocument }, 404),
      },
    },
    async (request, reply) => {
      const { group, service: name, number } = request.params;
      const found = await getRevision(db, group, name, Number(number));
      if (found === undefined) throw missing(`revision ${number} of app service`, group, name);
      return (
        reply
          .header("Content-Disposition", `attachment; filename="${name}-${number}.json"`)
          // It holds values of variables: what is stored by a browser or a proxy outlives the right to read it.
          .header("Cache-Control", "no-store")
          .send(toDocument(group, found))
      );
    },
  );
}
