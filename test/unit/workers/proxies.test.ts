import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { readApiConfig } from "../../../workers/config.ts";

const env = (proxies: string): NodeJS.ProcessEnv => ({
  DATABASE_URL: "postgres://user:password@db/cellwright",
  TEMPORAL_ADDRESS: "temporal:7233",
  CELLWRIGHT_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  CELLWRIGHT_ISSUER: "https://issuer.test",
  CELLWRIGHT_AUDIENCE: "cellwright",
  CELLWRIGHT_JWKS_FILE: "/keys.json",
  CELLWRIGHT_TRUST_PROXY: proxies,
});

test("addresses and blocks of proxies are taken", () => {
  expect(readApiConfig(env("")).trustProxy).toEqual([]);
  expect(readApiConfig(env("10.0.0.0/8, fd00::1")).trustProxy).toEqual(["10.0.0.0/8", "fd00::1"]);
});

test.each(["true", "10.0.0.0/33", "fd00::/129", "10.0.0.0/8/8", "proxy.test"])("%s is refused", (proxies) => {
  expect(() => readApiConfig(env(proxies))).toThrow(/CELLWRIGHT_TRUST_PROXY has .* are needed/);
});
