import { DrizzleQueryError } from "drizzle-orm";
import { DatabaseError } from "pg";

/** SQLSTATE, or the system's code for a network error, of whatever a query or a connection failed with. */
function errorCode(error: unknown): string | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    const code = (current as { code?: unknown }).code;
    if (typeof code === "string") return code;
  }
  return undefined;
}

const CONNECTION_MESSAGES =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/;
const NETWORK_CODES = new Set(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "EPIPE"]);
// Shutdown, crash, start-up; the database closed to connections or missing; statement or lock timeout; deadlock and
// serialisation failure, of which one side is always told to try again.
const SERVER_CODES = new Set(["57P01", "57P02", "57P03", "55000", "3D000", "57014", "55P03", "40P01", "40001"]);

/** Whether a failure means that the database is away or too busy for now, so that trying later may help. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== undefined)
    return NETWORK_CODES.has(code) || SERVER_CODES.has(code) || code.startsWith("08") || code.startsWith("53");
  for (let current = error, depth = 0; current instanceof Error && depth < 5; current = current.cause, depth++) {
    if (CONNECTION_MESSAGES.test(current.message)) return true;
  }
  return false;
}

/** The table that still refers to what a statement wanted to remove; undefined for any other failure. */
export function referringTable(error: unknown): string | undefined {
  if (errorCode(error) !== "23503") return undefined;
  const cause = error instanceof DrizzleQueryError ? error.cause : error;
  return (cause instanceof DatabaseError ? cause.table : undefined) ?? "another table";
}

/**
 * An error as it may be logged. Errors of the database library carry every parameter of the statement, which may be
 * somebody's secret: only code, constraint and statement text are kept of them.
 */
export function loggableError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const cause = error instanceof DrizzleQueryError ? error.cause : error;
  const server = cause instanceof DatabaseError ? cause : undefined;
  if (error instanceof DrizzleQueryError || server !== undefined) {
    return {
      type: "DatabaseError",
      message: "a statement failed",
      code: errorCode(error),
      constraint: server?.constraint,
      table: server?.table,
      ...(error instanceof DrizzleQueryError ? { statement: error.query } : {}),
    };
  }
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: loggableError(error.cause) }),
  };
}
