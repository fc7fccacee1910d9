/** What the API is built from, and what its routes are declared on. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { DatabaseHandle } from "../db/client.ts";
import type { EncryptionKey } from "../db/encryption.ts";
import type { VerifyToken } from "./identity.ts";

/** Something that the API needs. */
export interface ReadinessCheck {
  readonly name: string;
  /** Fails while the thing does not answer. */
  readonly check: () => Promise<unknown>;
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Declares some routes below `/api/v1`. */
type Routes = (app: App, deps: AppDependencies) => void;

/** Everything the API works with; made and closed by whoever builds it. */
export interface AppDependencies {
  readonly database: DatabaseHandle;
  /** Whose installation this is: a part of what pods are told. */
  readonly tenant: string;
  /** Seals kubeconfigs. */
  readonly encryptionKey: EncryptionKey;
  readonly verifyToken: VerifyToken;
  readonly logger: FastifyBaseLogger;
  /** What has to answer, besides the database, before the API calls itself ready. */
  readonly readiness?: readonly ReadinessCheck[];
  /** Routes besides those of the catalogue. */
  readonly routes?: readonly Routes[];
  /** Addresses of proxies whose `X-Forwarded-For` is believed; none unless told. */
  readonly trustProxy?: readonly string[];
}
