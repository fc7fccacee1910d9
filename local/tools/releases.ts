/**
 * Official release downloads, pinned by the SHA-256 of what is downloaded. The checksums of Kubernetes are those that kops
 * pins (kubelet and kubectl for Linux were compared with kubespray's), of etcd those that kubespray pins, of Temporal those
 * that several projects pin alike. kwok is missing: no record of its checksums was at hand, and none is made up.
 */
import type { ToolName } from "./names.ts";

/** A file to download. */
export interface Release {
  url: string;
  sha256: string;
  /** Path of the program in it, when it is a gzipped tar archive; otherwise it is the program. */
  member?: string;
}

/** As in `${process.platform}-${process.arch}`. */
export type Platform = string;

/** Name and version → platform → file. A tool of another version than these has no download. */
const releases: Record<string, Record<Platform, Release>> = {
  "temporal 1.5.1": {
    "linux-x64": temporal("linux_amd64", "ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d"),
    "linux-arm64": temporal("linux_arm64", "bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5"),
    "darwin-x64": temporal("darwin_amd64", "bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9"),
    "darwin-arm64": temporal("darwin_arm64", "cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415"),
  },
  "etcd 3.6.4": {
    "linux-x64": etcd("linux-amd64", "4d5f3101daa534e45ccaf3eec8d21c19b7222db377bcfd5e5a9144155238c105"),
    "linux-arm64": etcd("linux-arm64", "323421fa279f4f3d7da4c7f2dfa17d9e49529cb2b4cdf40899a7416bccdde42d"),
  },
  "kube-apiserver 1.34.4": kubernetes("kube-apiserver", {
    "linux-x64": "9da2739e1cb9981986e181e9104be1863ef1d54c497e3c0232b41e1171582180",
    "linux-arm64": "6920f4b3e83521bc0fa591eb266f462c3c95b2a681f39aa6fea3daf6141882fe",
  }),
  "kube-controller-manager 1.34.4": kubernetes("kube-controller-manager", {
    "linux-x64": "089a7b944b1cd46f5e61d12dfe27ff769ebb6c11a1d671cfaae140a4174c039d",
    "linux-arm64": "9c44a983b516eb5741aa1cf9d5c38a0180893fb17bd464bf2f03c84ce000a29d",
  }),
  "kube-scheduler 1.34.4": kubernetes("kube-scheduler", {
    "linux-x64": "c21cc43d0d83ae406747587e7f1724f3d4a4f59e6b8095cb443d204a2affc848",
    "linux-arm64": "92d517a8f6e4bb7fc2cb2db790ca78efea34820617ee3b8120f93d9e034aac9a",
  }),
  "kubelet 1.34.4": kubernetes("kubelet", {
    "linux-x64": "03b8fea715a7ef82eeaf518dee34c72670c57cc7bc40dc1320c04fbf4f15172f",
    "linux-arm64": "c78845473c434ee85a2444eeab87f8b20f524e3ab6854a078f79468f44aad8f5",
  }),
  "kubectl 1.34.4": kubernetes("kubectl", {
    "linux-x64": "d50c359d95e0841eaad08ddc27c7be37cba8fdccfba5c8e2ded65e121ff112db",
    "linux-arm64": "5b982c0644ab1e27780246b9085a5886651b4a7ed86243acbb2bacc1bea01dda",
    "darwin-x64": "9861e775578651d903a779f840ff8e4c0013ae29a1ffc67f05d967262fcf734c",
    "darwin-arm64": "d9b239414a5fdf624835bfb62eef28a0885f1645d579f98056a9ab3293f51f87",
  }),
};

function temporal(platform: string, sha256: string): Release {
  const file = `temporal_cli_1.5.1_${platform}.tar.gz`;
  return { url: `https://github.com/temporalio/cli/releases/download/v1.5.1/${file}`, sha256, member: "temporal" };
}

function etcd(platform: string, sha256: string): Release {
  const name = `etcd-v3.6.4-${platform}`;
  const url = `https://github.com/etcd-io/etcd/releases/download/v3.6.4/${name}.tar.gz`;
  return { url, sha256, member: `${name}/etcd` };
}

function kubernetes(name: string, checksums: Record<Platform, string>): Record<Platform, Release> {
  return Object.fromEntries(
    Object.entries(checksums).map(([platform, sha256]) => {
      const path = platform.replace("-", "/").replace("x64", "amd64");
      return [platform, { url: `https://dl.k8s.io/release/v1.34.4/bin/${path}/${name}`, sha256 }];
    }),
  );
}

/** The official release of a tool in this version for a platform; undefined where there is none, or no known checksum. */
export function releaseOf(
  name: ToolName,
  version: string,
  platform: Platform = `${process.platform}-${process.arch}`,
): Release | undefined {
  return releases[`${name} ${version}`]?.[platform];
}
