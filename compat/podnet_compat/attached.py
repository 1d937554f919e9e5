"""Addresses of Pods that podnet did not attach, by what their network-status says. Pure; ``reservations_live`` asks.

host-local notes what it has given in files of each node, which nobody reads from afar. Multus writes the same addresses
on the Pod, where they stand as long as it lives: so what host-local has given of a NAD is what the Pods that carry its
name say. Pods that podnet attaches have its list, and are counted by the nodes themselves.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network

from podnet_api import core
from podnet_api import names as api_names

from podnet_compat.addresses import Address, Network
from podnet_compat.migrate import kept
from podnet_compat.reservations import Reservation

Key = tuple[str, str]
"""Namespace and name of a NAD."""
MOST = 48
"""So many subnets at most say what is in use: a range takes 64 exclusions, those of the NAD itself included."""


def of(pods: Iterable[core.Pod]) -> dict[Key, list[Reservation]]:
    """What Pods have of the NADs that their status names."""
    found: defaultdict[Key, list[Reservation]] = defaultdict(list)
    for pod in pods:
        for key, one in _of_pod(pod):
            found[key].append(one)
    return found


def _of_pod(pod: core.Pod) -> Iterator[tuple[Key, Reservation]]:
    annotations = pod.metadata.annotations
    if pod.finished or pod.spec.host_network or api_names.NETWORKS_ANNOTATION in annotations:
        return
    who = f"{pod.metadata.namespace}/{pod.metadata.name}"
    for had in kept.of_status(annotations):
        namespace, _, name = had.network.partition("/")
        for text in had.ips:
            try:
                address = ipaddress.ip_interface(text).ip
            except ValueError:
                continue
            yield (namespace, name), Reservation(address, who, had.interface, f"Pod {who}")


def covering(found: Iterable[Address]) -> list[Network]:
    """Few subnets that hold all of ``found``: of each address alone where these are not too many."""
    listed = set(found)
    return [net for version in (4, 6) for net in _covering([one for one in listed if one.version == version])]


def _covering(found: list[Address]) -> list[Network]:
    """Of one family."""
    length: int = found[0].max_prefixlen if found else 0
    while len(made := _collapsed(found, length)) > MOST:
        length -= 1
    return made


def _collapsed(found: list[Address], length: int) -> list[Network]:
    """The subnets of ``length`` that hold ``found``, joined where they fill a larger one."""
    wide = {ipaddress.ip_network((one, length), strict=False) for one in found}
    return [
        *ipaddress.collapse_addresses(one for one in wide if isinstance(one, IPv4Network)),
        *ipaddress.collapse_addresses(one for one in wide if isinstance(one, IPv6Network)),
    ]


def text(found: Iterable[Address]) -> str:
    """What the annotation ``in-use`` of a NAD says of ``found``."""
    return ",".join(str(one) for one in covering(found))
