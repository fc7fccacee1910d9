import { stringify } from "yaml";
import { pauseImage } from "../image/shop.ts";
import type { NodePaths } from "./paths.ts";

/** Containerd's configuration (TOML). */
export function containerdConfiguration(paths: NodePaths, plugins: string): string {
  const text = JSON.stringify;
  return `version = 2
root = ${text(`${paths.directory}/containerd`)}
state = ${text(`${paths.state}/containerd`)}

[grpc]
  address = ${text(paths.socket)}

# A second node's would be in the way.
[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.internal.v1.opt"]
  path = ${text(`${paths.state}/opt`)}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(pauseImage)}
  # Without CAP_SYS_RESOURCE nobody can lower the score at which the kernel ends a process, and no container would start.
  restrict_oom_score_adj = true
  # So that all mounts of the node are below one directory.
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".containerd]
  # The images are small, and it needs no support of the file system below.
  snapshotter = "native"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = ${text(paths.runc)}

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = ${text(plugins)}
  conf_dir = ${text(`${paths.directory}/cni`)}
`;
}

/** Configuration of the pods' network: a bridge that the machine itself is at, and no way out. */
export function networkConfiguration(paths: NodePaths, address: string): string {
  const subnet = address.replace(/\d+$/, "0/24");
  const ipam = {
    type: "host-local",
    dataDir: `${paths.state}/addresses`,
    ranges: [[{ subnet, gateway: address }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const bridge = { type: "bridge", bridge: paths.bridge, isGateway: false, ipMasq: false, ipam };
  return JSON.stringify({ cniVersion: "0.4.0", name: paths.bridge, plugins: [bridge] });
}

/** The kubelet's configuration (YAML). */
export function kubeletConfiguration(
  paths: NodePaths,
  options: { address: string; port: number; clientCertificate: string },
): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: options.address,
    port: options.port,
    healthzPort: 0,
    readOnlyPort: 0,
    // Whoever reaches the kubelet may run programs on this machine: only the API server may.
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: options.clientCertificate },
    },
    authorization: { mode: "AlwaysAllow" },
    // There is no name service; but without an address for one, the kubelet complains of every pod in an event.
    clusterDNS: ["10.96.0.10"],
    clusterDomain: "cluster.local",
    containerRuntimeEndpoint: `unix://${paths.socket}`,
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    // Kubelets side by side would clean up each other's groups.
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    maxPods: 200,
    volumePluginDir: `${paths.directory}/volume-plugins`,
    podLogsDir: `${paths.directory}/logs`,
    resolvConf: "",
    serializeImagePulls: false,
    // The images are in no registry: what is thrown away to make room cannot be pulled again.
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
  });
}
