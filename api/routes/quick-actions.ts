import Type, { type Static, type TSchema } from "typebox";
import { AppServiceName, CELL_NAME_RULE, ContainerName, DNS_LABEL_PATTERN } from "../../domain/catalogue/names.ts";
import type { OrderEngine } from "../../domain/pipeline/engine.ts";
import { changeImage, scale, withoutCells } from "../../domain/revision/edit.ts";
import type { RevisionSpec } from "../../domain/catalogue/revision.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { send } from "../mutation.ts";
import { ReleaseOrder } from "../order-view.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { invalid, refused } from "../problem.ts";
import { quickRelease, type QuickAction, type QuickOptions } from "../quick-release.ts";
import { IdempotentHeaders, serviceParams } from "./revisions.ts";

const tags: Tag[] = ["orders"];
const closed = { additionalProperties: false } as const;

const options = {
  baseRevision: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 2_147_483_647,
      description: "the number of the revision to edit; the one that runs unless told, or else the newest",
    }),
  ),
  title: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: "\\S",
      description: "a text of 1 to 100 characters, not blank: the order's title",
    }),
  ),
  start: Type.Optional(
    Type.Boolean({
      default: false,
      description: "true to start the order at once, without a look at its preview, or false",
    }),
  ),
};
export const ChangeImageBody = Type.Object(
  {
    container: Type.Optional(ContainerName),
    image: Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'an image reference such as "registry.example.com/shop/cart:1.0.0"',
    }),
    ...options,
  },
  closed,
);
const ScaleBody = Type.Object(
  {
    cells: Type.Record(
      Type.String({ pattern: DNS_LABEL_PATTERN }),
      Type.Integer({ minimum: 0, maximum: 1000, description: "a whole number of pods from 0 to 1000" }),
      {
        ...closed,
        minProperties: 1,
        maxProperties: 100,
        description: "an object of 1 to 100 cells with their numbers of pods",
        "x-keys": CELL_NAME_RULE,
      },
    ),
    ...options,
  },
  closed,
);
const UndeployBody = Type.Object({ confirm: AppServiceName, title: options.title, start: options.start }, closed);

const makes =
  "Makes a submitted revision and a release order of it, both or none, and answers with the order and its preview. " +
  "A repeated Idempotency-Key makes neither twice. With `start` the order is started too; where that is not possible the " +
  "answer is a problem that names the order, which exists then.";

/** A quick action as a route: what it says of itself, and what it makes of its body. */
type Route<Body extends TSchema> = {
  verb: string;
  summary: string;
  /** What it leaves as it is. */
  keeps: string;
  body: Body;
  /** @throws Problem for a body that makes no sense for this service */
  action: (service: string, body: Static<Body>) => Pick<QuickAction, "title" | "edit" | "fieldOf">;
};

export function quickActionRoutes(engine: OrderEngine): (app: App, deps: AppDependencies) => void {
  return (app, { database: { db } }) => {
    const deps = { db, engine, log: app.log };

    declare({
      verb: "change-image",
      summary: "Release an app service with another image",
      keeps: "Cells that override the container's image keep their own.",
      body: ChangeImageBody,
      action: (service, { container, image }) => ({
        title: `${service}${container === undefined ? "" : `: ${container}`} → ${image}`,
        edit: (base) => changeImage(somewhere(service, base), { container, image }),
        fieldOf: (field) => (/^\/template\/containers\/\d+\/image$/.test(field) ? "/image" : undefined),
      }),
    });

    declare({
      verb: "scale",
      summary: "Release an app service with other numbers of pods in some of its cells",
      keeps: "Cells that are not named keep their numbers.",
      body: ScaleBody,
      action: (service, { cells }) => {
        const wanted = Object.entries(cells).map(([cell, count]) => `${cell} ${count}`);
        return {
          title: `${service}: scale ${wanted.join(", ")}`,
          edit: (base) => scale(somewhere(service, base), cells),
        };
      },
    });

    declare({
      verb: "undeploy",
      summary: "Take an app service out of all its cells: its pods, workloads and Services go, its claims stay",
      keeps: "The revision has no cells; releasing an earlier one brings the service back.",
      body: UndeployBody,
      action: (service, { confirm }) => {
        if (confirm !== service) {
          const message = `must be the name of what is taken away, "${service}"`;
          throw invalid([{ field: "/confirm", message }]);
        }
        return {
          title: `${service}: undeploy`,
          edit: (base, live) => {
            if (live.kind === "nothing") throw nowhere(service);
            if (live.kind === "revision" && Object.keys(base.cells).length === 0) throw nowhere(service);
            return { ok: true, value: withoutCells(base) };
          },
        };
      },
    });

    function declare<Body extends TSchema>({ verb, summary, keeps, action, ...route }: Route<Body>): void {
      app.post(
        `/workspace-groups/:group/app-services/:service/actions/${verb}`,
        {
          config: { permission: "orders.create" },
          schema: {
            summary,
            description: `${makes} ${keeps}`,
            tags,
            params: serviceParams,
            headers: IdempotentHeaders,
            body: route.body,
            response: responses("body", { 201: ReleaseOrder }, 404),
          },
        },
        async (request, reply) => {
          const { service } = request.params;
          const body = request.body as Static<Body>;
          // Options are members of every body.
          const what = { ...request.params, options: body as QuickOptions, ...action(service, body) };
          return send(reply, await quickRelease(deps, request, what));
        },
      );
    }
  };
}

/** @throws Problem for a revision without cells: releasing another one like it would still run nowhere */
function somewhere(service: string, base: RevisionSpec): RevisionSpec {
  if (Object.keys(base.cells).length > 0) return base;
  const why = `app service "${service}" runs nowhere: its revision has no cells. Name a baseRevision that has some`;
  throw refused({ kind: "conflict", why });
}

function nowhere(service: string) {
  return refused({ kind: "conflict", why: `app service "${service}" runs nowhere, by the records: it can be deleted` });
}
