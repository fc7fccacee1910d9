import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import fp from "fastify-plugin";
import { isDatabaseUnavailable } from "../../db/errors.ts";
import { pathOf } from "../request.ts";
import { Problem } from "../problem.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The problem that this request is answered with. */
    problem: Problem | null;
  }
}

/** The one place where failures become answers: RFC 9457 problems, for errors, unknown routes and bad requests alike. */
export const problems = fp(
  (app, _options, done) => {
    app.decorateRequest("problem", null);
    app.addHook("onRequest", (request, reply, next) => {
      reply.header("X-Request-Id", request.id);
      next();
    });
    app.setErrorHandler((error: unknown, request, reply) => {
      const problem = asProblem(error);
      if (problem.status >= 500) request.log.error({ err: error }, problem.message);
      return sendProblem(request, reply, problem);
    });
    app.setNotFoundHandler((request, reply) =>
      sendProblem(
        request,
        reply,
        new Problem(
          "not-found",
          `There is no ${request.method} ${pathOf(request)}; see /openapi.json for what there is.`,
        ),
      ),
    );
    done();
  },
  { name: "problems", fastify: "5.x" },
);

function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  request.problem = problem;
  return reply
    .code(problem.status)
    .headers(problem.options.headers ?? {})
    .type("application/problem+json")
    .serializer(JSON.stringify)
    .send(problem.document(pathOf(request), request.id));
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isDatabaseUnavailable(error)) {
    return new Problem(
      "unavailable",
      "The database is away or busy. Try again in a few seconds; with the same Idempotency-Key nothing is done twice.",
      { headers: { "Retry-After": "2" } },
    );
  }
  const { code, statusCode } = error as Partial<FastifyError>;
  switch (statusCode) {
    case 400:
      return new Problem("malformed-request", malformed(code));
    case 413:
      return new Problem("payload-too-large", "The body is larger than 1 MiB; send less.");
    case 414:
    case 431:
      return new Problem("malformed-request", "The address or a header is too long.");
    case 415:
      return new Problem("unsupported-media-type", 'Send the body as JSON, with "Content-Type: application/json".');
    default:
      return new Problem(
        "internal",
        "The platform made a mistake; whether something has changed is unknown. Its log says more under the request id.",
      );
  }
}

function malformed(code: string | undefined): string {
  switch (code) {
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return "The body is empty although its content type says JSON; send a JSON object, or no content type.";
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return "The length of the body is not what Content-Length says.";
    default:
      return "The body is not valid JSON; check it with a JSON parser.";
  }
}
