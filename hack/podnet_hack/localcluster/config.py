"""Renders the configuration of kind, and through it kubeadm's, the kubelet's, containerd's and the scheduler's."""

import pathlib

from podnet_hack import paths

SCHEDULER = pathlib.Path(__file__).parent / "scheduler.yaml"
SCHEDULER_IN_NODE = "/kind/scheduler.yaml"
WORKERS = 3
MAX_PODS = 250
NODE_CIDR_BITS = 23  # a /24 would have no address to spare for 250 Pods that come and go
CAP_SYS_RESOURCE = 1 << 24

TEMPLATE = """kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
- |-
  version = 2
{oom}  [plugins."io.containerd.nri.v1.nri"]
    disable = false
  # A Pod that requires podnet's plugin is refused where the plugin is not connected.
  [plugins."io.containerd.nri.v1.nri".default_validator]
    enable = true
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  apiVersion: kubelet.config.k8s.io/v1beta1
  maxPods: {max_pods}
{cgroup}{cluster}nodes:
- role: control-plane
  extraMounts:
  - hostPath: {scheduler}
    containerPath: {scheduler_in_node}
    readOnly: true
{workers}"""

# Once for each version of kubeadm's API: kind ignores the one that does not match its own.
CLUSTER = """- |
  kind: ClusterConfiguration
  apiVersion: kubeadm.k8s.io/{version}
  controllerManager:
    extraArgs:
{manager}
  scheduler:
    extraArgs:
{arguments}
    extraVolumes:
    - name: podnet
      hostPath: {scheduler_in_node}
      mountPath: {scheduler_in_node}
      readOnly: true
      pathType: File
"""


def render(scheduler: pathlib.Path) -> str:
    """kind's configuration for this machine; `scheduler` is the file that the control plane's node mounts."""
    return TEMPLATE.format(
        oom=_restricted_oom(),
        max_pods=MAX_PODS,
        cgroup="" if _cgroup_v2() else "  failCgroupV1: false\n",
        cluster=_cluster("v1beta4") + _cluster("v1beta3"),
        scheduler=scheduler,
        scheduler_in_node=SCHEDULER_IN_NODE,
        workers="- role: worker\n" * WORKERS,
    )


def scheduler_file(cluster: str) -> pathlib.Path:
    """A copy for one cluster to mount, so that its nodes can restart when the checkout has gone."""
    target = paths.cache() / "clusters" / cluster / "scheduler.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(SCHEDULER.read_text())
    return target


def _cluster(version: str) -> str:
    return CLUSTER.format(
        version=version,
        # A patch replaces a list as a whole, so kind's own argument stands here again.
        manager=_arguments(
            version, {"enable-hostpath-provisioner": "true", "node-cidr-mask-size": str(NODE_CIDR_BITS)}
        ),
        arguments=_arguments(version, {"config": SCHEDULER_IN_NODE}),
        scheduler_in_node=SCHEDULER_IN_NODE,
    )


def _arguments(version: str, values: dict[str, str]) -> str:
    """v1beta4 has a list where v1beta3 had a map."""
    if version == "v1beta3":
        return "\n".join(f'      {name}: "{value}"' for name, value in values.items())
    return "\n".join(f'    - name: {name}\n      value: "{value}"' for name, value in values.items())


def _restricted_oom() -> str:
    """Without CAP_SYS_RESOURCE runc cannot lower a container's OOM score and would refuse to start it."""
    if _capabilities() & CAP_SYS_RESOURCE:
        return ""
    return '  [plugins."io.containerd.grpc.v1.cri"]\n    restrict_oom_score_adj = true\n'


def _capabilities() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))


def _cgroup_v2() -> bool:
    return pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
