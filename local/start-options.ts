export const startUsage = `Usage: npm start [-- options]
  --no-example      only serve: do not apply and release examples/shop
  --example         apply and release it also where KUBECONFIG names a cluster of yours
  --real-node[=N]   the shop's cells are real nodes instead of simulated ones: containers under a kubelet.
                    N = 1: only cell-a is. Linux, as root; Debian packages that are missing are installed`;

/** What `npm start` was asked for. */
export interface StartOptions {
  /** Undefined: as the cluster suggests. */
  example: boolean | undefined;
  /** Cells on real nodes. */
  realCells: readonly string[];
}

const cells = ["cell-a", "cell-b"];

/**
 * Reads the command line; undefined when it asks for help.
 * @throws when there is an unknown option
 */
export function readStartOptions(args: readonly string[]): StartOptions | undefined {
  const options: StartOptions = { example: undefined, realCells: [] };
  for (const arg of args) {
    const real = /^--real-node(?:=([12]))?$/.exec(arg);
    if (arg === "--help") return undefined;
    if (arg === "--example") options.example = true;
    else if (arg === "--no-example") options.example = false;
    else if (real !== null) options.realCells = cells.slice(0, Number(real[1] ?? cells.length));
    else throw new Error(`Unknown option ${arg}\n${startUsage}`);
  }
  return options;
}
