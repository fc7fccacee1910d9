/** A file, or a symbolic link, in a tar archive. */
export interface TarEntry {
  /** With slashes; at most 100 bytes. */
  name: string;
  content: Buffer;
  /** Permission bits. */
  mode?: number;
}

const block = 512;

/**
 * A tar archive (POSIX ustar) whose bytes depend on the entries only: no times, no owners.
 * @throws when a name is too long for the format's short form.
 */
export function writeTar(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap(({ name, content, mode = 0o644 }) => {
    const isDirectory = name.endsWith("/");
    const padding = Buffer.alloc((block - (content.length % block)) % block);
    return [header(name, content.length, mode, isDirectory ? "5" : "0"), content, padding];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function header(name: string, size: number, mode: number, type: string): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`The name ${name} is too long for a tar archive.`);
  const bytes = Buffer.alloc(block);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;
  bytes.write(name, 0);
  bytes.write(octal(mode, 8), 100);
  bytes.write(octal(0, 8), 108);
  bytes.write(octal(0, 8), 116);
  bytes.write(octal(size, 12), 124);
  bytes.write(octal(0, 12), 136);
  // While the sum is taken, its own field counts as blanks.
  bytes.write(" ".repeat(8), 148);
  bytes.write(type, 156);
  bytes.write("ustar\u000000", 257);
  bytes.write(
    `${octal(
      bytes.reduce((sum, byte) => sum + byte, 0),
      7,
    )} `,
    148,
  );
  return bytes;
}
