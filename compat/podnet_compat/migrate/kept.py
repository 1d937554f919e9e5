"""Addresses that the members of StatefulSets had from Multus, for when they come back. Pure.

``work`` writes them into the ConfigMap ``podnet-migration`` of a namespace that is moved, one key for each Pod, and the
webhook asks for them when such a Pod is made anew. Only members of StatefulSets come back under their name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import msgspec
from podnet_api import names as api_names
from podnet_api.meta import Model, ObjectMeta, Resource

from podnet_compat import addresses
from podnet_compat.annotation import Selection
from podnet_compat.pod import Wanted

NAME = "podnet-migration"


class Records(Model, frozen=True, kw_only=True):
    """The ConfigMap: Pod -> its addresses, as JSON."""

    resource: ClassVar[Resource] = Resource("ConfigMap", "configmaps", "", "v1", True)

    metadata: ObjectMeta
    data: dict[str, str] = {}


class Had(Model, frozen=True, kw_only=True):
    """What one interface of a Pod had."""

    network: str = ""
    """``namespace/name`` of the NAD."""
    interface: str = ""
    ips: list[str] = []


def of_status(annotations: Mapping[str, str]) -> tuple[Had, ...]:
    """What the network-status in ``annotations`` says of the NADs of a Pod; nothing where it says nothing readable."""
    found = read(annotations.get(api_names.NPWG_STATUS_ANNOTATION, "[]"), "name")
    return tuple(had for had in found if "/" in had.network and had.ips)


def read(text: str, key: str = "network") -> tuple[Had, ...]:
    """The entries in ``text``, without those that cannot be read; ``key`` names the network in them."""
    try:
        items = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return ()
    listed = items if isinstance(items, list) else []
    return tuple(_had(item, key) for item in listed if isinstance(item, dict))


def _had(item: dict[str, Any], key: str) -> Had:
    network, interface, ips = item.get(key), item.get("interface"), item.get("ips")
    listed = [ip for ip in ips if isinstance(ip, str)] if isinstance(ips, list) else []
    return Had(
        network=network if isinstance(network, str) else "",
        interface=interface if isinstance(interface, str) else "",
        ips=listed,
    )


def written(found: Iterable[Had]) -> str:
    """``found`` as the ConfigMap has it."""
    return msgspec.json.encode(list(found), order="deterministic").decode()


def asked_for(wanted: Wanted, found: Iterable[Had]) -> Wanted:
    """``wanted``, in which each selection without addresses of its own asks for those that its interface had."""
    had = {(one.network, one.interface): one.ips for one in found}
    made = tuple(
        _with(selection, had.get((f"{selection.namespace}/{selection.name}", selection.interface or f"net{place}")))
        for place, selection in enumerate(wanted.selections, start=1)
    )
    return replace(wanted, selections=made)


def _with(selection: Selection, ips: list[str] | None) -> Selection:
    if not ips or selection.ips:
        return selection
    try:
        return replace(selection, ips=tuple(addresses.address(ip.partition("/")[0]) for ip in ips))
    except ValueError:
        return selection
