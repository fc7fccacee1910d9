/** Which cluster registrations are being served: starts and stops serving as they come, change and go. */
import type { Registration } from "../db/repositories/clusters.ts";
import type { Logger } from "pino";

/** One registration being served. `ended` settles, without an error, when it ended by itself; `stop` then cleans up. */
export type Serving = { ended: Promise<void>; stop: () => Promise<void> };

type Entry = { fingerprint: string; serving: Serving };

export function createServings(options: {
  serve: (registration: Registration) => Promise<Serving>;
  log: Pick<Logger, "info" | "error">;
}) {
  const { serve, log } = options;
  const served = new Map<string, Entry>();
  // By cluster: as long as an entry is here, something of a former registration may still be at work.
  const stopping = new Map<string, Promise<void>>();

  /** In the background: a cluster that ends slowly must not keep others from being served. */
  function stop(name: string, { serving }: Entry): void {
    served.delete(name);
    const stopped = serving
      .stop()
      .catch((error: unknown) => log.error({ err: error, cluster: name }, "a cluster was not left in order"))
      .finally(() => stopping.delete(name));
    stopping.set(name, stopped);
  }

  return {
    /** Makes what is served what is wanted. A cluster whose former registration is still ending waits for a later call. */
    async adjust(wanted: readonly Registration[]): Promise<void> {
      for (const [name, entry] of served) {
        const now = wanted.find((registration) => registration.name === name);
        if (now?.fingerprint === entry.fingerprint) continue;
        // Unregistered, or registered anew with another kubeconfig.
        log.info({ cluster: name }, "no longer serving this registration");
        stop(name, entry);
      }
      for (const registration of wanted) {
        const { name, fingerprint } = registration;
        if (served.has(name) || stopping.has(name)) continue;
        try {
          const entry = { fingerprint, serving: await serve(registration) };
          served.set(name, entry);
          void entry.serving.ended.then(() => {
            if (served.get(name) === entry) stop(name, entry);
          });
        } catch (error) {
          log.error({ err: error, cluster: name }, "a cluster cannot be served; trying again");
        }
      }
    },
    /** Stops everything; resolves when nothing is at work any more. */
    async end(): Promise<void> {
      for (const [name, entry] of served) stop(name, entry);
      await Promise.all(stopping.values());
    },
  };
}
