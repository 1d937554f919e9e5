"""Addresses that whereabouts has given already -> IPBlocks that keep them out of our pools. Pure.

``reserved`` reads the objects and calls ``of`` and ``holds``. whereabouts keeps an IPPool for each range, named after
the network_name, the node (with node slices) and the range; an allocation's key is the distance from the range's first
address. An OverlappingRangeIPReservation is named after its address. (whereabouts 0.9, pkg/storage/kubernetes.)

An address is held by claiming the block of it, under the name by which a node would: the API server lets one of them
win. Where the pool is sticky a block is one address, and that of a member of a StatefulSet is held for that member,
who gets it again from podnet.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from podnet_api import core, kni, names, pools
from podnet_api.meta import Model, ObjectMeta, Resource

from podnet_compat import names as own_names
from podnet_compat.addresses import Address

GROUP = "whereabouts.cni.cncf.io"
NOBODY = GROUP
"""``nodeName`` of a block that no node leases from; no node is called like this."""


class Allocation(Model, frozen=True, kw_only=True):
    """Whose an address is; ``podref`` is namespace/name."""

    podref: str = ""
    ifname: str = ""


class IPPoolSpec(Model, frozen=True, kw_only=True):
    """A range, and what is given of it by the distance from its first address."""

    range: str = ""
    allocations: dict[str, Allocation] = {}


class IPPool(Model, frozen=True, kw_only=True):
    """What whereabouts has given of one range."""

    resource: ClassVar[Resource] = Resource("IPPool", "ippools", GROUP, "v1alpha1", True)
    metadata: ObjectMeta
    spec: IPPoolSpec = IPPoolSpec()


class OverlappingRangeIPReservation(Model, frozen=True, kw_only=True):
    """An address that whereabouts has given, whatever the range."""

    resource: ClassVar[Resource] = Resource(
        "OverlappingRangeIPReservation", "overlappingrangeipreservations", GROUP, "v1alpha1", True
    )
    metadata: ObjectMeta
    spec: Allocation = Allocation()


class Slice(Model, frozen=True, kw_only=True):
    """A part of a range that one node gives."""

    node_name: str = ""
    slice_range: str = ""


class Slices(Model, frozen=True, kw_only=True):
    """All of them."""

    allocations: list[Slice] = []


class NodeSlicePool(Model, frozen=True, kw_only=True):
    """Which node gives which part of a range."""

    resource: ClassVar[Resource] = Resource("NodeSlicePool", "nodeslicepools", GROUP, "v1alpha1", True)
    metadata: ObjectMeta
    status: Slices = Slices()


_NUMBER = re.compile(r"[0-9]{1,39}")


@dataclass(frozen=True)
class Reservation:
    """An address and the Pod (namespace/name) that has it by ``interface``. ``source``: the object that says so."""

    address: Address
    pod: str
    interface: str
    source: str


def of(
    network: str,
    ippools: Iterable[IPPool],
    overlapping: Iterable[OverlappingRangeIPReservation],
    slices: Iterable[NodeSlicePool],
) -> list[Reservation]:
    """What whereabouts has given in the network of that network_name ("": without one), each address once."""
    parts = {(part.node_name, part.slice_range) for item in slices for part in item.status.allocations}
    found = [given for pool in ippools if _is_of(network, pool, parts) for given in _given(pool)]
    found += [given for item in overlapping if (given := _overlapping(network, item)) is not None]
    each = {one.address: one for one in reversed(found)}
    return [each[address] for address in sorted(each, key=lambda one: (one.version, int(one)))]


def _is_of(network: str, pool: IPPool, parts: set[tuple[str, str]]) -> bool:
    base, name = _normal(pool.spec.range), pool.metadata.name
    nodes = {node for node, part in parts if node and part == pool.spec.range}
    head = f"{network}-" if network else ""
    return name in {f"{head}{base}", *(f"{head}{node}-{base}" for node in nodes)}


def _normal(text: str) -> str:
    """A range or address as whereabouts puts it into names."""
    return (f"{text}0" if text.endswith(":") else text).replace(":", "-").replace("/", "-")


def _given(pool: IPPool) -> Iterator[Reservation]:
    try:
        first = ipaddress.ip_interface(pool.spec.range).ip
    except ValueError:
        return
    source = f"IPPool {pool.metadata.namespace}/{pool.metadata.name}"
    room = 2**first.max_prefixlen - int(first)
    for offset, given in pool.spec.allocations.items():
        if _NUMBER.fullmatch(offset) and int(offset) < room:
            yield Reservation(first + int(offset), given.podref, given.ifname, source)


def _overlapping(network: str, item: OverlappingRangeIPReservation) -> Reservation | None:
    """The name's dashes are those of IPv6 where it is no IPv4 address."""
    head, name = f"{network}-" if network else "", item.metadata.name
    if not name.startswith(head):
        return None
    text = name.removeprefix(head)
    try:
        address = ipaddress.ip_address(text if "." in text else text.replace("-", ":"))
    except ValueError:
        return None
    source = f"OverlappingRangeIPReservation {item.metadata.namespace}/{name}"
    return Reservation(address, item.spec.podref, item.spec.ifname, source)


def within(pool: pools.Pool, found: Iterable[Reservation]) -> list[Reservation]:
    """Those of ``found`` that our ``pool`` could give as well."""
    return [one for one in found if pool.claim_of(one.address) is not None]


def holds(pool: pools.Pool, found: Iterable[Reservation], pods: Mapping[str, core.Pod]) -> list[kni.IPBlock]:
    """The blocks that keep ``found`` out of ``pool``; ``pods`` by namespace/name tell who is a member."""
    blocks: defaultdict[pools.Network, list[Reservation]] = defaultdict(list)
    for one in found:
        block = pool.claim_of(one.address)
        if block is not None:
            blocks[block].append(one)
    return [_hold(pool, block, given, pods) for block, given in blocks.items()]


def _hold(
    pool: pools.Pool, block: pools.Network, given: list[Reservation], pods: Mapping[str, core.Pod]
) -> kni.IPBlock:
    member = _member(given[0], pods) if pool.sticky and block.num_addresses == 1 else None
    pod = pods.get(given[0].pod)
    annotations = {names.SOURCE_ANNOTATION: given[0].source, own_names.HELD_FOR: " ".join(one.pod for one in given)}
    meta = ObjectMeta(name=pools.block_name(pool.config, block), labels=own_names.LABELS, annotations=annotations)
    node = pod.spec.node_name if member and pod and pod.spec.node_name else NOBODY
    spec = kni.IPBlockSpec(network_config=pool.config, cidr=str(block), node_name=node, holder=member)
    return kni.IPBlock(metadata=meta, spec=spec)


def _member(given: Reservation, pods: Mapping[str, core.Pod]) -> kni.Member | None:
    """The member of a StatefulSet that has the address."""
    pod = pods.get(given.pod)
    owners = pod.metadata.owner_references if pod else []
    owner = next((one for one in owners if one.kind == "StatefulSet" and one.controller), None)
    if pod is None or owner is None or not given.interface:
        return None
    return kni.Member(
        namespace=pod.metadata.namespace,
        stateful_set=owner.name,
        pod=pod.metadata.name,
        interface=given.interface,
    )


def alive(given: Reservation, pods: Mapping[str, core.Pod]) -> bool:
    """Whether the Pod that has the address by whereabouts is there: it is, and its status does not say otherwise."""
    pod = pods.get(given.pod)
    if pod is None or pod.finished:
        return False
    status = pod.metadata.annotations.get(names.NPWG_STATUS_ANNOTATION, "")
    return not status or f'"{given.address}"' in status
