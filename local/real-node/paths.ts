import { createHash } from "node:crypto";
import { join } from "node:path";

/** Where everything of one real node is. All of it follows from the directory, so that a later start finds it again. */
export interface NodePaths {
  /** Also the node's name in the cluster. */
  name: string;
  /** Files; nothing in it outlives a start of the node. */
  directory: string;
  /** Sockets and mounts: a path short enough for sockets. */
  state: string;
  /** Containerd's socket. */
  socket: string;
  /** Where runc keeps its containers. */
  runc: string;
  /** The bridge that the pods are at; also the name of their network. */
  bridge: string;
  /** Written when bridge and network are there: the node's address and the configuration of the pods' network. */
  network: string;
}

/** Paths of the node of this number (from 1) that is kept in `directory`. */
export function nodePaths(directory: string, number: number): NodePaths {
  const name = `real-${number}`;
  const own = join(directory, name);
  const id = createHash("sha256").update(own).digest("hex").slice(0, 10);
  const state = `/run/cellwright/${id}`;
  return {
    name,
    directory: own,
    state,
    socket: `${state}/containerd.sock`,
    runc: `${state}/runc`,
    // Names of network interfaces end at 15 characters.
    bridge: `cw-${id}`,
    network: join(own, "network.json"),
  };
}

/** What `network` holds. */
export interface NodeNetwork {
  /** The node's own address, which is the bridge's. */
  address: string;
}
