/** What this adapter logs to; a pino logger fits. Fields first, then a sentence. Never secrets, never bodies. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};
