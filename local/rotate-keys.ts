/** `npm run rotate-keys [-- --grace SECONDS]`: exchanges the key that signs the local stack's tokens, while it runs. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureIdentity, rotateIdentity, writeSecret, writeTokens } from "./identity.ts";
import { localDirectory } from "./paths.ts";

const usage = `Usage: npm run rotate-keys [-- --grace SECONDS]
  --grace  how long tokens of the old key are still good, 0 to 2592000 (30 days); 3600 unless told`;

const [option, value = "", ...more] = process.argv.slice(2);
const grace = option === undefined ? 3600 : Number(value);
const isKnown = option === undefined || (option === "--grace" && /^\d+$/.test(value));
if (!isKnown || more.length > 0 || grace > 30 * 24 * 3600) {
  console.error(usage);
  process.exit(2);
}

const directory = join(localDirectory, "identity");
if (!existsSync(directory)) {
  console.error("There is no local stack here yet, so it has no key: npm start makes both.");
  process.exit(1);
}
const end = await rotateIdentity(directory, grace);
const token = await writeTokens(localDirectory, await ensureIdentity(directory));
const environmentFile = join(localDirectory, "env");
if (existsSync(environmentFile)) {
  // A token has no quotes, so it needs no quoting.
  const line = `export CELLWRIGHT_TOKEN='${token}'`;
  writeSecret(environmentFile, readFileSync(environmentFile, "utf8").replace(/^export CELLWRIGHT_TOKEN=.*$/m, line));
}
console.log(`The signing key is a new one. Tokens of the old one end at ${end.toISOString()}.
New tokens: .local/token (admin), .local/viewer-token (may only read). Source .local/env again.`);
