import { fileURLToPath } from "node:url";

/** The project's root directory. */
export const projectRoot = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Everything that the local stack and the tests keep, outside of version control. */
export const localDirectory = `${projectRoot}/.local`;
