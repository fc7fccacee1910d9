import Type from "typebox";
import { deleteAppService, getAppService, listAppServices, putAppService } from "../../db/repositories/app-services.ts";
import { AppServiceName, WorkspaceGroupName } from "../../domain/catalogue/names.ts";
import { AppService, AppServiceBody } from "../../domain/catalogue/types.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { answerDelete, mutate, send } from "../mutation.ts";
import { responses } from "../plugins/openapi.ts";
import { Problem } from "../problem.ts";
import { expectedVersion } from "../request.ts";
import { ConditionalHeaders, declareNamed, NoContent } from "./named.ts";

export function appServiceRoutes(app: App, { database: { db } }: AppDependencies): void {
  declareNamed(app, db, {
    path: "app-services",
    noun: "app service",
    tag: "applications",
    permissions: { read: "app-services.read", write: "app-services.write" },
    name: AppServiceName,
    body: AppServiceBody,
    item: AppService,
    get: getAppService,
    list: listAppServices,
    put: putAppService,
  });

  app.delete(
    "/workspace-groups/:group/app-services/:name",
    {
      config: { permission: "app-services.write" },
      schema: {
        summary: "Delete an app service with its draft and revisions; nothing of it may run",
        description:
          "Refused while an order that has not ended names the service, and while it runs in any cell: undeploy it first. " +
          "A service that was never released, or was rolled back to nothing, can be deleted at once. The records of orders " +
          "stay, and a new service of the same name counts its revisions on.",
        tags: ["applications"],
        params: Type.Object({ group: WorkspaceGroupName, name: AppServiceName }),
        querystring: Type.Object(
          { confirm: Type.String({ maxLength: 64, description: "the name of the app service, typed once more" }) },
          { additionalProperties: false },
        ),
        headers: ConditionalHeaders,
        response: responses("bodiless", { 204: NoContent }, 404, 412),
      },
    },
    async (request, reply) => {
      const { group, name } = request.params;
      if (request.query.confirm !== name) {
        const message = `must be the name of what is deleted, "${name}"`;
        throw new Problem("malformed-request", `query:confirm ${message}.`, {
          errors: [{ field: "query:confirm", message }],
        });
      }
      const expected = expectedVersion(request);
      const answer = await mutate(db, request, async (tx) =>
        answerDelete(await deleteAppService(tx, group, name, expected)),
      );
      return send(reply, answer);
    },
  );
}
