/** The images of the example shop: one server whose behaviour a tag decides. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../paths.ts";
import type { Supervisor } from "../processes.ts";
import { requireGo } from "../tools/go-build.ts";
import { type ImageDescription, writeDockerArchive } from "./docker-archive.ts";

/** Services that there are images for, as `shop/<service>:<tag>`. */
const services = ["catalog", "payment", "cart", "web", "pay"];

/** Tags that there are images for; what a tag means is said by its first word. */
const good = ["1.0.0", "1.1.0", "1.2.0", "1", "2", "3", "4", "5"];
const odd = [
  "slow-2",
  "slow-1.1.0",
  "bad-1",
  "bad-2",
  "bad-1.1.0",
  "bad-unready-2",
  "stubborn-1",
  "stubborn-2",
  "errors-2",
];
export const tags = [...good, ...odd];

/** Tags of the same content as another tag. */
const twins: Readonly<Record<string, string>> = { "1.1.0-again": "1.1.0", "2-again": "2" };

/** What a pod's sandbox runs. */
export const pauseImage = "docker.io/shop/pause:1";

/**
 * How the server of a tag behaves, as its environment. On kwok's simulated nodes the same names mean the same, as far as
 * those can show it: `bad…` never becomes ready, `slow…` takes five seconds.
 */
export function behaviourOf(tag: string): Record<string, string> {
  const version = { SHOP_VERSION: tag };
  if (tag.startsWith("bad-unready")) return { ...version, SHOP_NEVER_READY: "1" };
  if (tag.startsWith("bad")) return { ...version, SHOP_CRASH: "1" };
  if (tag.startsWith("slow")) return { ...version, SHOP_START_SECONDS: "5" };
  if (tag.startsWith("stubborn")) return { ...version, SHOP_STOP_SECONDS: "60" };
  if (tag.startsWith("errors")) return { ...version, SHOP_ERROR_RATE: "0.5" };
  return version;
}

function shopImages(): ImageDescription[] {
  const again = (tag: string): string[] => Object.keys(twins).filter((twin) => twins[twin] === tag);
  return [
    { references: [pauseImage], args: ["pause"], environment: {} },
    ...services.flatMap((service) =>
      tags.map((tag) => ({
        references: [tag, ...again(tag)].map((each) => `docker.io/shop/${service}:${each}`),
        args: [],
        environment: { SHOP_SERVICE: service, ...behaviourOf(tag) },
      })),
    ),
  ];
}

/**
 * Builds the server with Go and writes the archive of all images, once for the same sources; answers with its path.
 * @throws when there is no Go that could build it.
 */
export async function ensureShopImages(supervisor: Supervisor, directory: string): Promise<string> {
  const sources = join(projectRoot, "examples", "shop", "server");
  const hash = createHash("sha256").update(JSON.stringify([shopImages(), process.arch]));
  for (const file of readdirSync(sources).toSorted()) hash.update(file).update(readFileSync(join(sources, file)));
  const archive = join(directory, `shop-${hash.digest("hex").slice(0, 16)}.tar`);
  if (existsSync(archive)) return archive;

  await requireGo("build the example shop's server", "");
  mkdirSync(directory, { recursive: true });
  const program = join(directory, `server.${process.pid}`);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  await supervisor.run({
    name: "shop-server-build",
    command: "go",
    args: ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, "."],
    cwd: sources,
    env: { CGO_ENABLED: "0", GOOS: "linux", GOARCH: architecture, GOFLAGS: "-mod=readonly", GOWORK: "off" },
  });
  const bytes = writeDockerArchive({ program: readFileSync(program), architecture, images: shopImages() });
  rmSync(program);
  // There is either the whole archive or none.
  const draft = `${archive}.${process.pid}`;
  writeFileSync(draft, bytes);
  renameSync(draft, archive);
  return archive;
}
