/** Where progress goes: a terminal gets one live line, anything else a line now and then. */
export interface ProgressOutput {
  write(text: string): unknown;
  isTTY?: boolean | undefined;
  columns?: number | undefined;
}

/** Shows work that takes a while. */
export interface Progress {
  /** A line that stays. */
  log(line: string): void;
  /**
   * Runs `work` and shows `label` with the elapsed seconds meanwhile, and once more at the end.
   * `detail` is asked again and again for what to show behind the label.
   */
  during<T>(label: string, work: () => Promise<T>, detail?: () => string): Promise<T>;
}

const liveInterval = 500;
const lineInterval = 10_000;

export function createProgress(output: ProgressOutput = process.stdout): Progress {
  const clear = output.isTTY === true ? "\r\u001B[K" : "";
  return {
    log: (line) => void output.write(`${clear}${line}\n`),
    async during(label, work, detail) {
      const begin = Date.now();
      const text = (): string => {
        const more = detail?.() ?? "";
        return `${label}${more === "" ? "" : ` · ${more}`} · ${elapsed(begin)}`;
      };
      const show = (): void => {
        if (output.isTTY === true) output.write(clear + text().slice(0, (output.columns ?? 80) - 1));
        else output.write(`${text()}\n`);
      };
      const timer = setInterval(show, output.isTTY === true ? liveInterval : lineInterval);
      if (output.isTTY === true) show();
      try {
        const result = await work();
        output.write(`${clear}✔ ${label} · ${elapsed(begin)}\n`);
        return result;
      } catch (error) {
        output.write(`${clear}✘ ${label} · ${elapsed(begin)}\n`);
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

/** Seconds since `begin` (milliseconds since 1970), for people: `4.2 s`, `3 min 05 s`. */
export function elapsed(begin: number, now: number = Date.now()): string {
  const seconds = (now - begin) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}
