import { readTemporalConfiguration } from "../temporal.ts";
import { type ToolName, toolNames } from "./names.ts";
import { type Release, releaseOf } from "./releases.ts";

/** What every local stack needs; a kubelet, which there is for Linux only, just for real nodes. */
export const stackTools = toolNames.filter((name) => name !== "kubelet");

/** What a local cluster needs, and kubectl to look at it. */
export const kubernetesTools = stackTools.filter((name) => name !== "temporal");

/** A program that the local stack runs. */
export interface Tool {
  name: ToolName;
  /** The version that its output must name; undefined accepts any. */
  version: string | undefined;
  versionArgs: readonly string[];
  /** Its first group is the version in that output. */
  versionPattern: RegExp;
  build: GoBuild;
  /** The official download for this machine; undefined where there is none. */
  release: Release | undefined;
}

/** How it is built from Go modules. */
type GoBuild =
  /** `go install` of one package of a published module. */
  | { kind: "install"; package: string; flags: string }
  /** `go build` inside a module of ours that pins the dependencies. */
  | { kind: "module"; directory: URL; package: string; flags: string };

const kubernetesVersion = "1.34.4";
const kubernetesModule = new URL("./kubernetes/", import.meta.url);
// Without a version in it, kubectl cannot read what the server says about itself.
const kubernetesFlags = `-s -w -X k8s.io/component-base/version.gitVersion=v${kubernetesVersion}`;

function kubernetes(name: ToolName): Tool {
  return {
    name,
    version: kubernetesVersion,
    versionArgs: ["--version"],
    versionPattern: /^Kubernetes v(\S+)/m,
    build: {
      kind: "module",
      directory: kubernetesModule,
      package: `k8s.io/kubernetes/cmd/${name}`,
      flags: kubernetesFlags,
    },
    release: releaseOf(name, kubernetesVersion),
  };
}

/** All tools, each with its pinned version. */
export function toolCatalogue(): Record<ToolName, Tool> {
  const { cli, server } = readTemporalConfiguration();
  return {
    temporal: {
      name: "temporal",
      // The server is what counts; the command line tool's own version is missing from builds out of Go modules.
      version: server,
      versionArgs: ["--version"],
      versionPattern: /Server (\d[^,) ]*)/,
      build: {
        kind: "install",
        package: `github.com/temporalio/cli/cmd/temporal@v${cli}`,
        flags: `-s -w -X github.com/temporalio/cli/temporalcli.Version=${cli}`,
      },
      release: releaseOf("temporal", cli),
    },
    etcd: {
      name: "etcd",
      version: "3.6.4",
      versionArgs: ["--version"],
      versionPattern: /^etcd Version: (\S+)/m,
      build: { kind: "module", directory: kubernetesModule, package: "go.etcd.io/etcd/server/v3", flags: "-s -w" },
      release: releaseOf("etcd", "3.6.4"),
    },
    "kube-apiserver": kubernetes("kube-apiserver"),
    "kube-controller-manager": kubernetes("kube-controller-manager"),
    "kube-scheduler": kubernetes("kube-scheduler"),
    kubelet: kubernetes("kubelet"),
    kwok: {
      name: "kwok",
      version: "0.7.0",
      versionArgs: ["--version"],
      versionPattern: /^kwok version v(\S+)/m,
      build: { kind: "install", package: "sigs.k8s.io/kwok/cmd/kwok@v0.7.0", flags: "-s -w" },
      release: releaseOf("kwok", "0.7.0"),
    },
    kubectl: {
      ...kubernetes("kubectl"),
      // Only people use it here: theirs will do.
      version: undefined,
      versionArgs: ["version", "--client"],
      versionPattern: /^Client Version: v(\S+)/m,
    },
  };
}
