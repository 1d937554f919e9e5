"""What tests need and a machine may lack: the words of the marker ``needs``, and which skips are acceptable.

root        the user is root
cluster     a local cluster answers, or can be made
apiserver   kube-apiserver and etcd are there, or can be built
go          the Go toolchain
ip, nft     programs
a link kind of Linux, e.g. vlan: the kernel can make one (bridge-vlan: a bridge that filters VLANs)
sctp        the kernel has the protocol SCTP
vm          the VM of `make vm`, e.g. for its network cards with virtual functions

What the kernel lacks is no loss: `make vm` runs the tests that need it in a VM that has everything.
"""

import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Callable

from podnet_hack import packages, paths
from podnet_hack.localcluster import components, engine
from podnet_hack.vm import runner

KERNEL_LACKS = "kernel lacks "
"""How the reason of a skip begins that even root cannot help."""
ONLY_VM = "runs in the VM: make vm"
LINK_KINDS = frozenset(
    (
        *("bond", "bridge", "bridge-vlan", "dummy", "geneve", "gre", "ifb", "ipvlan", "ipvtap"),
        *("macvlan", "macvtap", "veth", "vlan", "vrf", "vxlan", "wireguard"),
    )
)
PROGRAMS = frozenset(("go", "ip", "nft"))


@functools.cache
def missing(what: str) -> str:
    """Why a test that needs ``what`` cannot run here; empty when it can."""
    if what in PROGRAMS:
        return "" if shutil.which(what) else f"needs the program {what}"
    if what in LINK_KINDS:
        return "" if _kernel_makes(what) else f"{KERNEL_LACKS}{what}"
    return _CHECKS[what]()


def skip_fault(reason: str, *, ci: bool) -> str:
    """What is wrong with a skip for ``reason``; empty when it is acceptable."""
    if not reason or reason == "unconditional skip":
        return "a skip must say what is missing"
    if inside_vm():
        return "the VM has everything"
    if ci and not is_left_to_vm(reason):
        return "with CI=true everything runs that root on Linux can run"
    return ""


def is_left_to_vm(reason: str) -> bool:
    """Whether a test that is skipped here for this reason runs in the VM."""
    return reason.startswith(KERNEL_LACKS) or reason == ONLY_VM


def inside_vm() -> bool:
    """Whether this is the VM."""
    return runner.INSIDE in os.environ


def _vm() -> str:
    return "" if inside_vm() else ONLY_VM


def _sctp() -> str:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return f"{KERNEL_LACKS}sctp"
    return ""


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _cluster() -> str:
    if os.environ.get("PODNET_CLUSTER") or engine.find_existing() or _can_build():
        return ""
    return "needs a cluster: neither Docker nor Podman answers, and there is no root on Debian with Go to make one"


def _apiserver() -> str:
    built = all((paths.cache() / one.key).is_dir() for one in (components.KUBERNETES, components.ETCD))
    return "" if built or shutil.which("go") else "needs kube-apiserver and etcd, or Go to build them"


def _can_build() -> bool:
    return packages.can_install() and shutil.which("go") is not None


def _kernel_makes(kind: str) -> bool:
    """Whether a link of this kind can be made, tried in a namespace that ends with the try."""
    script = f"ip link add up0 type veth peer name up1 && ip link add {_arguments(kind)}"
    tried = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, check=False)
    return tried.returncode == 0


def _arguments(kind: str) -> str:
    over = {"ipvlan", "ipvtap", "macvlan", "macvtap", "vlan"}
    extra = {
        "bridge-vlan": "vlan_filtering 1",
        "geneve": "id 1 remote 192.0.2.1",
        "gre": "remote 192.0.2.1",
        "vlan": "id 1",
        "vrf": "table 10",
        "vxlan": "id 1 dstport 4789",
    }
    link = "link up0 " if kind in over else ""
    return f"{link}name probe type {kind.partition('-')[0]} {extra.get(kind, '')}"


_CHECKS: dict[str, Callable[[], str]] = {
    "root": _root,
    "cluster": _cluster,
    "apiserver": _apiserver,
    "sctp": _sctp,
    "vm": _vm,
}
