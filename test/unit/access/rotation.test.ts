import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tokenVerifier } from "../../../api/access/issuers.ts";
import { audience, ensureIdentity, issuer, rotateIdentity, writeTokens } from "../../../local/identity.ts";

/** Longer than the product takes to see that the file with keys has changed. Milliseconds. */
const SEEN = 1_100;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cellwright-identity-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test(
  "the local signing key is exchanged while the product runs; old tokens end at their bound",
  { timeout: 20_000 },
  async () => {
    const first = await ensureIdentity(directory);
    const old = await first.issueToken("me", ["admin"]);
    const verify = tokenVerifier({
      local: { issuer, audience, jwksFile: first.jwksFile },
      administrators: { subjects: [], groups: [] },
    });
    const kind = async (token: string) => (await verify(token)).kind;
    expect(await kind(old)).toBe("accepted");

    const end = await rotateIdentity(directory, 3);
    expect(end.getTime() - Date.now()).toBeLessThanOrEqual(4_000);
    const second = await ensureIdentity(directory);
    const next = await second.issueToken("me", ["admin"]);
    await sleep(SEEN);
    expect([await kind(old), await kind(next)]).toEqual(["accepted", "accepted"]);
    // Starting again does not lengthen it.
    await ensureIdentity(directory);
    await sleep(end.getTime() - Date.now() + 50);
    expect([await kind(old), await kind(next)]).toEqual(["rejected", "accepted"]);
    // And the next start forgets it.
    await ensureIdentity(directory);
    expect(JSON.parse(readFileSync(first.jwksFile, "utf8")).keys).toHaveLength(1);

    await rotateIdentity(directory, 0);
    await sleep(SEEN);
    expect([await kind(old), await kind(next)]).toEqual(["rejected", "rejected"]);
  },
);

test("no key but the present one is published for good, and no secret ever", async () => {
  const { jwksFile, encryptionKey } = await ensureIdentity(directory);
  await rotateIdentity(directory, 60);
  await rotateIdentity(directory, 60);
  const { keys } = JSON.parse(readFileSync(jwksFile, "utf8")) as { keys: { d?: string; exp?: number }[] };
  expect(keys.map((key) => key.exp === undefined)).toEqual([true, false, false]);
  expect(keys.some((key) => "d" in key)).toBe(false);
  expect(statSync(join(directory, "signing-key.json")).mode & 0o777).toBe(0o600);
  const again = await ensureIdentity(directory);
  expect(again.encryptionKey).toBe(encryptionKey);
  await writeTokens(directory, again);
  expect(existsSync(join(directory, "viewer-token"))).toBe(true);
  expect(statSync(join(directory, "token")).mode & 0o777).toBe(0o600);
});
