"""The part of an attach that needs no kernel: indices and messages. attach.py sends them."""

import dataclasses
import random

from podnet_kni_server.datapath import inet, links, spoof
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Link

_FIRST_INDEX, _INDEX_BITS = 1 << 20, 30
"""Indices that we choose; the kernel's own count up from 1."""


@dataclasses.dataclass(slots=True)
class Prepared:
    """Everything about an attach that needs no kernel."""

    todo: list[Link]
    indices: list[tuple[int, int]]
    """Of the host end (or a macvlan's uplink) and of the link in the Pod, in the order of `todo`."""
    guarded: list[Link]
    guard: list[Request]
    """The nftables transaction."""
    settings: list[Request]
    """First part of the batch inside the namespace: up, addresses, routes."""
    reads: list[Request]
    """Last part: reading each link, then all addresses."""


def prepare(todo: list[Link]) -> Prepared:
    """Choose indices and pack messages. Pure but for the choice."""
    indices = [(draw(), draw()) for _ in todo]
    guarded = [link for link in todo if link.anti_spoof and link.kind == "veth"]
    settings: list[Request] = []
    for link, (_, index) in zip(todo, indices, strict=True):
        name, addresses = link.name, link.addresses
        settings.append(links.set_up(index, name))
        settings += [inet.add_address(index, name, address) for address in addresses]
        settings += [inet.add_route(index, name, route, addresses) for route in link.routes]
    reads = [links.get(index, link.name) for link, (_, index) in zip(todo, indices, strict=True)]
    reads.append(inet.get_addresses())
    return Prepared(todo, indices, guarded, spoof.guard(guarded) if guarded else [], settings, reads)


def draw() -> int:
    """An index for a new link."""
    return _FIRST_INDEX + random.getrandbits(_INDEX_BITS)
