/**
 * Calls `stop` once when this process is asked to end: by a signal, or because the process that started it has died.
 * A second signal, a few seconds later, means that the person will not wait: then this process ends at once, and the
 * guards of its children end those.
 */
export function onStopRequest(stop: (reason: string) => void): void {
  let asked = 0;
  const request = (reason: string): void => {
    const now = Date.now();
    // One Ctrl-C arrives several times: from the terminal, from npm, from the bootstrap script.
    const impatience = 2_000;
    if (asked === 0) {
      asked = now;
      stop(reason);
    } else if (now - asked > impatience) {
      process.exit(130);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => request(signal));
  process.once("disconnect", () => request("its starter has ended"));
  process.channel?.unref();
}
