"""Kube-OVN: NADs of type kube-ovn, Subnet, Vpc, Vlan, ProviderNetwork, IPPool, and the keys of each NIC. Pure.

Its logical switches are its own controller's: no NetworkConfig says them. But it attaches secondary networks by a CNI
plugin that any runtime can call, as long as the Pod's annotations stay, from which its controller learns what to
prepare. So a NAD becomes datapath ``cni`` with its own configuration, the kinds behind it stay as they are, and of the
keys of a NIC its address and MAC address are told to podnet as well. ``keys`` reads keys, ``objects`` the kinds,
``pods`` lists.
"""

from podnet_compat.systems.kubeovn import objects, pods
from podnet_compat.systems.registry import Kind, System

SYSTEM = System(
    "kube-ovn",
    adds=True,
    kinds=tuple(
        Kind(objects.GROUP, kind, objects.translate, namespaced=False, plural=plural, stays=True, followed=False)
        for kind, plural in objects.PLURALS.items()
    ),
    pods=pods.translate,
    claims=pods.claims,
    stays=True,
    reads=pods.is_ours,
)

__all__ = ["SYSTEM"]
