"""What annotations of ours on a NAD say of the addresses that it gives. Pure; called by ``nad``.

``sticky``: they are kept one by one, and for members of StatefulSets. ``in-use``: some are those of Pods that podnet
did not attach (``attached``), and are excluded where each node gives the whole range by itself: no block holds them.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs
from podnet_api import kni

from podnet_compat import addresses, names
from podnet_compat.addresses import Network
from podnet_compat.reader import Notes


def pool(annotations: Mapping[str, str], given: kni.Ipam | None, notes: Notes) -> kni.Ipam | None:
    """``given`` as ``annotations`` have it."""
    return _without(annotations, _sticky(annotations, given, notes), notes)


def _sticky(annotations: Mapping[str, str], given: kni.Ipam | None, notes: Notes) -> kni.Ipam | None:
    """Members of StatefulSets keep their addresses where the NAD's annotation says so."""
    text, at = annotations.get(names.STICKY, ""), f"metadata.annotations[{names.STICKY}]"
    if text not in {"", "true", "false"}:
        notes.fault(at, "must be true or false", text)
    if text != "true" or given is None:
        return given
    if given.scope != "cluster" or given.dhcp is not None:
        notes.warn(at, "has no effect: only addresses that are counted once in the cluster are kept for a Pod")
        return given
    return structs.replace(given, sticky=True)


def _without(annotations: Mapping[str, str], given: kni.Ipam | None, notes: Notes) -> kni.Ipam | None:
    """Addresses that are in use are not given."""
    held = list(in_use(annotations.get(names.IN_USE, ""), notes))
    if given is None or not held:
        return given
    return structs.replace(given, ranges=[_excluding(item, held) for item in given.ranges])


def in_use(text: str, notes: Notes) -> list[Network]:
    """The subnets that ``text`` lists."""
    found = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            found.append(addresses.interface(part).network)
        except ValueError as error:
            notes.fault(f"metadata.annotations[{names.IN_USE}]", str(error), part)
    return found


def _excluding(item: kni.Range, held: list[Network]) -> kni.Range:
    whole = addresses.subnet(item.cidr)
    inside = [str(one) for one in held if one.version == whole.version and one.subnet_of(whole)]  # type: ignore[arg-type]
    return structs.replace(item, exclude=list(dict.fromkeys([*item.exclude, *inside])))
