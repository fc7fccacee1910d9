import { createHash, randomBytes } from "node:crypto";
import { chmodSync, createReadStream, createWriteStream, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { createGunzip } from "node:zlib";
import type { Release } from "./releases.ts";
import { extractMember } from "./untar.ts";

/** A download that did not succeed; the message is a clause that says why. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
  /** Nobody answered: other files there are not worth waiting for either. */
  readonly unreachable: boolean;

  constructor(message: string, options: { unreachable?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.unreachable = options.unreachable ?? false;
  }
}

/** Times in milliseconds, sizes in bytes. */
export interface DownloadLimits {
  /** Until the answer begins, redirects included. */
  answerWithin: number;
  /** Without a byte. */
  idle: number;
  /** For the whole file. */
  within: number;
  size: number;
}

export const downloadLimits: DownloadLimits = {
  answerWithin: 5_000,
  idle: 20_000,
  within: 15 * 60_000,
  size: 400 * 1024 * 1024,
};

/**
 * Downloads a release, verifies its checksum, and puts the program under `name` into `directory`: the whole program, or
 * nothing. Several processes may do so at once.
 * @throws DownloadError
 */
export async function downloadRelease(
  release: Release,
  options: {
    name: string;
    directory: string;
    /** Put in the place of `https://`, for tests and mirrors: `http://mirror` leads to `http://mirror/<host>/<path>`. */
    mirror?: string | undefined;
    limits?: DownloadLimits;
    /** Told of every piece, in bytes. */
    onBytes?: (count: number) => void;
    /** Looks at the unpacked program before it is put in its place; false refuses it. */
    accept?: (path: string) => Promise<boolean>;
  },
): Promise<string> {
  const { name, directory, mirror, limits = downloadLimits } = options;
  const url = mirror === undefined ? release.url : `${mirror}/${release.url.replace(/^https:\/\//, "")}`;
  mkdirSync(directory, { recursive: true });
  removeAbandoned(directory);
  const workshop = join(directory, `.download-${process.pid}-${randomBytes(4).toString("hex")}`);
  mkdirSync(workshop);
  try {
    const file = join(workshop, basename(release.url));
    const sha256 = await fetchFile(url, file, limits, options.onBytes ?? (() => {}));
    if (sha256 !== release.sha256) {
      throw new DownloadError(
        `${url} has the SHA-256 ${sha256}, not ${release.sha256} as it should: it was thrown away`,
      );
    }
    const program = release.member === undefined ? file : join(workshop, "program");
    if (release.member !== undefined) {
      await extractMember(createReadStream(file).pipe(createGunzip()), release.member, program).catch(
        (error: Error) => {
          throw new DownloadError(`${url} could not be unpacked: ${error.message}`, { cause: error });
        },
      );
    }
    chmodSync(program, 0o755);
    // Under its own name: programs may go by it.
    const unpacked = join(workshop, name);
    renameSync(program, unpacked);
    if (options.accept !== undefined && !(await options.accept(unpacked))) {
      throw new DownloadError(`${url} does not run on this machine`);
    }
    const path = join(directory, name);
    renameSync(unpacked, path);
    return path;
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

/** Writes what is at the URL to a file and answers with its SHA-256 (hexadecimal). */
async function fetchFile(
  url: string,
  file: string,
  limits: DownloadLimits,
  onBytes: (count: number) => void,
): Promise<string> {
  const stop = new AbortController();
  const expire = (why: string, unreachable = false): void => stop.abort(new DownloadError(why, { unreachable }));
  const whole = setTimeout(() => expire(`${url} took longer than ${limits.within / 1000} s`), limits.within);
  let waiting = setTimeout(() => {
    expire(`${new URL(url).host} did not answer within ${limits.answerWithin / 1000} s`, true);
  }, limits.answerWithin);
  try {
    const response = await fetch(url, { signal: stop.signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new DownloadError(`${url} answered ${response.status}`);
    }
    const hash = createHash("sha256");
    let size = 0;
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        clearTimeout(waiting);
        waiting = setTimeout(() => expire(`${url} stopped sending for ${limits.idle / 1000} s`), limits.idle);
        size += chunk.length;
        if (size > limits.size) {
          done(new DownloadError(`${url} is larger than ${limits.size} bytes`));
          return;
        }
        hash.update(chunk);
        onBytes(chunk.length);
        done(null, chunk);
      },
    });
    await pipeline(response.body as ReadableStream<Uint8Array>, measure, createWriteStream(file), {
      signal: stop.signal,
    });
    return hash.digest("hex");
  } catch (error) {
    if (stop.signal.reason instanceof DownloadError) throw stop.signal.reason;
    if (error instanceof DownloadError) throw error;
    const cause = (error as { cause?: { code?: string } }).cause;
    const why = cause?.code ?? (error as Error).message;
    const noAnswer = [
      "ENOTFOUND",
      "EAI_AGAIN",
      "ECONNREFUSED",
      "ENETUNREACH",
      "EHOSTUNREACH",
      "UND_ERR_CONNECT_TIMEOUT",
    ];
    const unreachable = noAnswer.includes(cause?.code ?? "");
    const what = unreachable ? `${new URL(url).host} cannot be reached` : `${url} could not be read to its end`;
    throw new DownloadError(`${what} (${why})`, { unreachable, cause: error });
  } finally {
    clearTimeout(whole);
    clearTimeout(waiting);
  }
}

/** Removes what downloads have left whose process was killed. */
function removeAbandoned(directory: string): void {
  for (const entry of readdirSync(directory)) {
    const pid = Number(/^\.download-(\d+)-/.exec(entry)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || isRunning(pid)) continue;
    rmSync(join(directory, entry), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
