/** What the clusters say about the pods of an order. The API reaches no cluster: its workers read, and answer by the database. */
import { randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";
import { findOrder } from "../../db/repositories/orders.ts";
import { askPodReport, findPlannedPod, takePodReport } from "../../db/repositories/pod-reports.ts";
import {
  LOG_BYTES,
  LOG_LINES,
  type PodAnswer,
  type PodQuestion,
  type PodReports,
} from "../../domain/workload/pod-report.ts";
import type { App, AppDependencies } from "../dependencies.ts";
import { responses, type Tag } from "../plugins/openapi.ts";
import { caller } from "../mutation.ts";
import { invalid, Problem } from "../problem.ts";
import { createAdmission } from "./pod-questions.ts";

const tags: Tag[] = ["orders"];
const KIND = "release";

const ofPod = Type.Object({
  id: Type.String({ pattern: "^[a-z0-9]{1,40}$", description: "an order's id" }),
  pod: Type.String({
    pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
    description: "a pod's name, as the order shows it",
  }),
});

const PodEvents = Type.Object({
  pod: Type.String(),
  cell: Type.String(),
  cluster: Type.String(),
  namespace: Type.String(),
  exists: Type.Boolean({ description: "Whether there is such a pod now" }),
  events: Type.Array(
    Type.Object({
      type: Type.String({ description: "Normal or Warning" }),
      reason: Type.String(),
      message: Type.String(),
      count: Type.Integer({ description: "How often it was noted" }),
      firstAt: Type.Optional(Type.String({ format: "date-time" })),
      lastAt: Type.Optional(Type.String({ format: "date-time" })),
      source: Type.Optional(Type.String({ description: "Which component noted it" })),
      about: Type.Enum(["pod", "workload"], {
        description: "What it is about: the pod, or the workload that makes it",
      }),
    }),
    { description: "Oldest first. Clusters forget events after a while, usually an hour." },
  ),
});

const LogQuery = Type.Object(
  {
    container: Type.Optional(
      Type.String({
        pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description: "a container's name; the pod's usual one unless told",
      }),
    ),
    previous: Type.Optional(
      Type.Boolean({ default: false, description: "true, for the container's last run that has ended, or false" }),
    ),
    tailLines: Type.Optional(
      Type.Integer({ minimum: 1, maximum: LOG_LINES, default: 200, description: `a number from 1 to ${LOG_LINES}` }),
    ),
    sinceSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 604_800, description: "a number from 1 to 604800 (a week)" }),
    ),
  },
  { additionalProperties: false },
);

const PodLog = Type.Object({
  pod: Type.String(),
  cell: Type.String(),
  cluster: Type.String(),
  namespace: Type.String(),
  container: Type.String(),
  containers: Type.Array(Type.String(), { description: "All containers of the pod; init containers last" }),
  text: Type.String({ description: `The end of the log, at most ${LOG_BYTES / 1024} KiB` }),
  truncated: Type.Boolean({ description: "Whether its beginning was left out because of its size" }),
});

export function podRoutes(reports: PodReports): (app: App, deps: AppDependencies) => void {
  return (app, { database: { db } }) => {
    const questions = createAdmission();
    app.get(
      "/release-orders/:id/pods/:pod/events",
      {
        config: { permission: "orders.read" },
        schema: {
          summary: "Read what the cluster's components noted about a pod of an order",
          tags,
          params: ofPod,
          response: responses("read", { 200: PodEvents }, 404),
        },
      },
      async (request, reply) => {
        const { pod } = request.params;
        const { where, answer } = await ask(request, pod, { kind: "events" }, reply);
        if (answer.kind !== "events") throw refusal(pod, answer);
        const { exists, events } = answer;
        return { pod, ...where, exists, events };
      },
    );

    app.get(
      "/release-orders/:id/pods/:pod/logs",
      {
        // A log may hold what its readers have to answer for.
        config: { permission: "orders.read", audited: true },
        schema: {
          summary: "Read the end of the log of a container of an order's pod",
          tags,
          params: ofPod,
          querystring: LogQuery,
          response: responses("read", { 200: PodLog }, 404, 409, 422),
        },
      },
      async (request, reply) => {
        const { pod } = request.params;
        const { container, previous = false, tailLines = 200, sinceSeconds } = request.query;
        const { where, answer } = await ask(
          request,
          pod,
          {
            kind: "logs",
            previous,
            tailLines,
            ...(container !== undefined && { container }),
            ...(sinceSeconds !== undefined && { sinceSeconds }),
          },
          reply,
        );
        if (answer.kind !== "logs") throw refusal(pod, answer);
        // What is stored by a browser or a proxy outlives the right to read it.
        reply.header("Cache-Control", "no-store");
        const { container: read, containers, text, truncated } = answer;
        return { pod, ...where, container: read, containers, text, truncated };
      },
    );

    async function ask(request: FastifyRequest, pod: string, question: PodQuestion, reply: FastifyReply) {
      const { id: orderId } = request.params as { id: string };
      const order = await findOrder(db, orderId);
      if (order?.kind !== KIND)
        throw new Problem("not-found", `There is no release order ${orderId}; list the orders for their ids.`);
      const place = await findPlannedPod(db, orderId, pod);
      if (!place)
        throw new Problem("not-found", `Order ${orderId} has no pod ${pod} in its plan; read the order for its pods.`);
      const { namespace, cell, cluster } = place;
      const done = questions.admit(caller(request).subject);
      try {
        return {
          where: { cell, cluster, namespace },
          answer: await answerOf({ orderId, pod, ...place }, question, reply),
        };
      } finally {
        done();
      }
    }

    async function answerOf(
      at: { orderId: string; pod: string; namespace: string; cluster: string },
      question: PodQuestion,
      reply: FastifyReply,
    ): Promise<PodAnswer> {
      const { orderId, pod, namespace, cluster } = at;
      const id = randomUUID();
      await askPodReport(db, { id, orderId, namespace, pod, question });
      // Nobody may be there any more to read the answer.
      const left = new AbortController();
      const leave = (): void => left.abort();
      reply.raw.once("close", leave);
      let answer: PodAnswer | undefined;
      let carried;
      try {
        const title = `${question.kind} of ${pod} for order ${orderId}`;
        carried = await reports.answer({ id, cluster, title }, left.signal);
      } finally {
        reply.raw.off("close", leave);
        answer = await takePodReport(db, id);
      }
      if (answer !== undefined) return answer;
      const why =
        carried.kind === "failed"
          ? `Cluster ${cluster} could not be asked about ${pod}: ${carried.reason}.`
          : `Cluster ${cluster} has not answered about ${pod} in time. Look whether a worker of that cluster runs, then try again.`;
      throw new Problem("unavailable", why, { headers: { "Retry-After": "5" } });
    }
  };
}

function refusal(pod: string, answer: PodAnswer): Problem {
  switch (answer.kind) {
    case "gone": {
      const since = answer.since === undefined ? "" : `; the last that was noted about it is of ${answer.since}`;
      return new Problem("not-found", `There is no pod ${pod} now${since}. Its events may say why.`);
    }
    case "unknown-container":
      return invalid([
        { field: "query:container", message: `is not a container of ${pod}; it has ${answer.containers.join(", ")}` },
      ]);
    case "no-log":
      return new Problem("conflict", `There is no such log of container ${answer.container} of ${pod}: ${answer.why}.`);
    default:
      throw new Error(`A question about pod ${pod} got the answer to another one`);
  }
}
