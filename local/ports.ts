import { createServer } from "node:net";

/** Whether a server could listen on this port of the loopback address now. */
export async function isPortFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Ports handed out by this process: free ones stay free only until their server listens, so none is given twice. */
const given = new Set<number>();

/**
 * A free port: `preferred` if it is free, otherwise a random one below the range that the system gives to outgoing
 * connections, which could take it before the server listens.
 */
export async function choosePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && !given.has(preferred) && (await isPortFree(preferred))) {
    given.add(preferred);
    return preferred;
  }
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (given.has(port) || !(await isPortFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error("No free port between 15000 and 32000 on 127.0.0.1.");
}

/**
 * One free port for each name: the preferred one where it is free.
 * `moved` names those that had to take another.
 */
export async function choosePorts<Name extends string>(
  preferred: Readonly<Record<Name, number | undefined>>,
): Promise<{ ports: Record<Name, number>; moved: { name: Name; from: number; to: number }[] }> {
  const ports = {} as Record<Name, number>;
  const moved: { name: Name; from: number; to: number }[] = [];
  for (const name of Object.keys(preferred) as Name[]) {
    const from = preferred[name];
    const to = await choosePort(from);
    ports[name] = to;
    if (from !== undefined && from !== to) moved.push({ name, from, to });
  }
  return { ports, moved };
}
