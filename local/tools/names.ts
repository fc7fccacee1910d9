/** Programs that the local stack may run. */
export const toolNames = [
  "temporal",
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kwok",
  "kubectl",
  "kubelet",
] as const;
export type ToolName = (typeof toolNames)[number];
