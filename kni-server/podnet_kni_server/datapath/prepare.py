"""The part of an attach that needs no kernel: indices and messages. attach.py sends them."""

import dataclasses
import random
from collections.abc import Sequence

from podnet_kni_server.datapath import inet, links, spoof, usual
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Link


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


def prepare(todo: list[Link], indices: Sequence[usual.Indices] = ()) -> Prepared:
    """Pack messages, and choose indices where there are none. Pure but for the choice."""
    indices = list(indices or usual.draw(len(todo)))
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
    return usual.FIRST_INDEX + random.getrandbits(usual.INDEX_BITS)
