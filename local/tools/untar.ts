import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { Readable } from "node:stream";

const block = 512;

/**
 * Writes one regular file of a tar archive (ustar, names up to 255 bytes) to `target`. The rest is not looked at.
 * @throws when the archive does not hold it, or ends before it does
 */
export async function extractMember(archive: Readable, name: string, target: string): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  /** Bytes of the present entry that are still to come, and of the padding behind them. */
  let content = 0;
  let padding = 0;
  let output: ReturnType<typeof createWriteStream> | undefined;
  for await (const chunk of archive as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (content > 0) {
        const piece = rest.subarray(0, content);
        if (piece.length === 0) break;
        if (output !== undefined && !output.write(piece)) await once(output, "drain");
        content -= piece.length;
        rest = rest.subarray(piece.length);
        if (content > 0) break;
      }
      if (output !== undefined) {
        output.end();
        await finished(output);
        archive.destroy();
        return;
      }
      if (rest.length < padding + block) break;
      rest = rest.subarray(padding);
      const entry = readHeader(rest.subarray(0, block));
      rest = rest.subarray(block);
      content = entry.size;
      padding = (block - (entry.size % block)) % block;
      if (entry.regular && entry.name.replace(/^\.\//, "") === name) output = createWriteStream(target);
    }
  }
  output?.destroy();
  throw new Error(output === undefined ? `The archive holds no ${name}.` : `The archive ends within ${name}.`);
}

function readHeader(header: Buffer): { name: string; size: number; regular: boolean } {
  const text = (from: number, length: number): string =>
    header.toString("utf8", from, from + length).replace(/\0.*$/s, "");
  const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
  const size = Number.parseInt(text(124, 12).trim() || "0", 8);
  if (!Number.isSafeInteger(size) || size < 0) throw new Error("The archive is not a tar archive.");
  const type = text(156, 1);
  return {
    name: prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    size,
    regular: type === "" || type === "0",
  };
}
