import { createHash } from "node:crypto";
import { type TarEntry, writeTar } from "./tar.ts";

/** An image of one program, and nothing else. */
export interface ImageDescription {
  /** Full references, registry and tag included; several name the same image. */
  references: readonly string[];
  /** Arguments of the program. */
  args: readonly string[];
  environment: Readonly<Record<string, string>>;
}

/**
 * The archive that `docker save` would write of these images, all of which have the program as their only layer.
 * Equal input gives equal bytes: an image's id depends only on the program, its arguments and its environment.
 */
export function writeDockerArchive(options: {
  program: Buffer;
  /** As in GOARCH. */
  architecture: string;
  images: readonly ImageDescription[];
}): Buffer {
  const layer = writeTar([
    { name: "program", content: options.program, mode: 0o755 },
    { name: "tmp/", content: Buffer.alloc(0), mode: 0o1777 },
  ]);
  const layerName = `${digest(layer)}.tar`;
  const configs = new Map<string, TarEntry>();
  const manifest = options.images.map(({ references, args, environment }) => {
    const config = Buffer.from(
      JSON.stringify({
        architecture: options.architecture,
        os: "linux",
        config: {
          Entrypoint: ["/program"],
          Cmd: args,
          Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
          WorkingDir: "/",
        },
        rootfs: { type: "layers", diff_ids: [`sha256:${digest(layer)}`] },
      }),
    );
    const name = `${digest(config)}.json`;
    configs.set(name, { name, content: config });
    return { Config: name, RepoTags: references, Layers: [layerName] };
  });
  return writeTar([
    { name: "manifest.json", content: Buffer.from(JSON.stringify(manifest)) },
    ...configs.values(),
    { name: layerName, content: layer },
  ]);
}

function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
