import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import type { LightMyRequestResponse } from "fastify";
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT, type JWTPayload } from "jose";
import { pino } from "pino";
import { buildApp } from "../../api/app.ts";
import type { App, AppDependencies } from "../../api/dependencies.ts";
import { createTokenVerifier } from "../../api/access/tokens.ts";
import { createDatabase, type DatabaseHandle } from "../../db/client.ts";
import { readEncryptionKey, type EncryptionKey } from "../../db/encryption.ts";
import { createTestDatabase } from "./database.ts";

export const ISSUER = "https://issuer.test";
export const AUDIENCE = "cellwright-test";

export interface TestApi {
  readonly app: App;
  readonly database: DatabaseHandle;
  readonly databaseUrl: string;
  readonly encryptionKey: EncryptionKey;
  /** Everything logged so far, as text. */
  logs(): string;
  /** A token of the given roles for `<first role>-user`; claims replace those of a good token. */
  token(roles: readonly string[], claims?: JWTPayload): Promise<string>;
  /** Makes a request, as an administrator unless the options carry an `authorization` header (null: none). */
  call(
    method: string,
    url: string,
    body?: unknown,
    headers?: Readonly<Record<string, string | null>>,
  ): Promise<LightMyRequestResponse>;
  close(): Promise<void>;
}

/**
 * The API on a database of its own, with its own token issuer; nothing of it is mocked.
 * @param prepare sees the app before any route is declared
 */
export async function createTestApi(
  more: Partial<AppDependencies> = {},
  prepare: (app: App) => void = () => {},
): Promise<TestApi> {
  const testDatabase = await createTestDatabase();
  const database = createDatabase(testDatabase.url);
  const encryptionKey = readEncryptionKey(randomBytes(32).toString("base64"));
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "test", alg: "ES256" };
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const app = buildApp({
    database,
    tenant: "test",
    encryptionKey,
    verifyToken: createTokenVerifier([
      {
        issuer: ISSUER,
        audience: AUDIENCE,
        keys: createLocalJWKSet({ keys: [jwk] }),
        prefix: "",
        groupsClaim: "groups",
        givesRoles: true,
      },
    ]),
    logger: pino({ level: "trace" }, sink),
    ...more,
  });
  prepare(app);
  await app.ready();

  const token = (roles: readonly string[], claims: JWTPayload = {}): Promise<string> => {
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      sub: `${roles[0] ?? "nobody"}-user`,
      iss: ISSUER,
      aud: AUDIENCE,
      exp: now + 600,
      roles,
      ...claims,
    };
    return new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "test" }).sign(privateKey);
  };
  const admin = `Bearer ${await token(["admin"])}`;
  return {
    app,
    database,
    databaseUrl: testDatabase.url,
    encryptionKey,
    logs: () => lines.join(""),
    token,
    call: (method, url, body, headers = {}) => {
      const all: Record<string, string | null> = { authorization: admin, ...headers };
      const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null);
      return app.inject({
        method,
        url,
        headers: Object.fromEntries(given),
        ...(body === undefined ? {} : { payload: body as object }),
      });
    },
    close: async () => {
      await app.close();
      await database.close();
      await testDatabase.drop();
    },
  };
}
