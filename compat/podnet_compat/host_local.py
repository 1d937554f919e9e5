"""The ranges of IPAM type ``host-local``. Pure; called by ``ipam``.

A subnet without a gateway has one all the same: its first address, which host-local never gives away.
"""

from __future__ import annotations

from podnet_api import kni

from podnet_compat import addresses, ranges
from podnet_compat.reader import Reader

_SMALLEST = 2
"""host-local refuses a subnet with fewer than this many bits for hosts."""


def sets(reader: Reader) -> list[list[kni.Range]]:
    """The sets of ranges; the one written without ``ranges`` comes first."""
    plain = [_range(reader)] if reader.string("subnet") else []
    reader.accept("rangeStart", "rangeEnd", "gateway")
    if not reader.has("subnet") and reader.has("ranges"):
        reader.refuse("rangeStart", "rangeEnd", "gateway", why="needs a subnet beside it")
    listed = [[_listed(item) for item in items] for items in reader.sets("ranges")]
    reader.ignore("dataDir", why="podnet keeps its own record of addresses")
    reader.ignore("resolvConf", why="files of the nodes are not read; give the addresses under 'dns'")
    reader.ignore("name", why="each NAD has a pool of its own")
    if not reader.has("subnet") and not reader.has("ranges"):
        reader.notes.fault(reader.path, "host-local needs a subnet or ranges")
    found = [[item for item in items if item is not None] for items in [plain, *listed]]
    return [_one_family(reader, items) for items in found]


def _listed(reader: Reader) -> kni.Range | None:
    made = _range(reader)
    reader.finish(refuse=True)
    return made


def _range(reader: Reader) -> kni.Range | None:
    if not reader.has("subnet"):
        reader.notes.fault(reader.at("subnet"), "a range needs a subnet")
    network = ranges.read(reader, "subnet", addresses.subnet)
    if network is None:
        reader.accept("rangeStart", "rangeEnd", "gateway")
        return None
    if network.max_prefixlen - network.prefixlen < _SMALLEST:
        reader.notes.fault(reader.at("subnet"), "is too small to give addresses from", str(network))
        return None
    return kni.Range(
        cidr=str(network),
        start=ranges.text(ranges.inside(reader, "rangeStart", network)),
        end=ranges.text(ranges.inside(reader, "rangeEnd", network)),
        gateway=str(ranges.inside(reader, "gateway", network) or network[1]),
    )


def _one_family(reader: Reader, items: list[kni.Range]) -> list[kni.Range]:
    if len({ranges.version(item) for item in items}) > 1:
        reader.notes.fault(
            reader.at("ranges"), "one set of ranges must be of one family; put the other in a set of its own"
        )
    return items
