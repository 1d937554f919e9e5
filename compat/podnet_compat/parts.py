"""Interfaces of a Pod on which another of its interfaces stands: they must come first in its list. Pure.

A bond is made of links, a VRF of members, and a plugin with ``linkInContainer`` stands on its master: a VLAN over a tap
or a virtual function of the same Pod. Multus attaches in the order of the list and fails at the node; here the Pod is
refused at once. ``pod`` calls ``check``, and so do the systems that ride on the NPWG annotation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from podnet_api import kni
from podnet_api import names as api_names
from podnet_api.faults import FaultType

from podnet_compat.reader import Notes, Reader


@dataclass(frozen=True)
class Part:
    """One entry: where it is written, its interface, and the interfaces that it stands on."""

    path: str
    interface: str
    needs: tuple[str, ...] = ()


def of(path: str, interface: str, spec: kni.NetworkConfigSpec) -> Part:
    """The entry at ``path``, attached by ``spec``."""
    if spec.cni is not None:
        return Part(path, interface, tuple(_of_plugins(spec.cni.config)))
    found = spec.bond.links if spec.bond else spec.vrf.members if spec.vrf else []
    return Part(path, interface, tuple(found))


def check(parts: Iterable[Part], notes: Notes) -> None:
    """Every interface is there before what stands on it; eth0 is there from the beginning."""
    listed = list(parts)
    there, every = {api_names.DEFAULT_INTERFACE}, {one.interface for one in listed}
    for one in listed:
        for name in [name for name in one.needs if name not in there]:
            known = name in every and name != one.interface
            where = "comes behind it: list it before" if known else "no entry of the list attaches"
            message = f"interface {one.interface} is made of {name}, which {where}"
            notes.fault(one.path, message, name, FaultType.INVALID if known else FaultType.NOT_FOUND)
        there.add(one.interface)


def _of_plugins(text: str) -> list[str]:
    try:
        found: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return []
    reader = Reader(found if isinstance(found, dict) else {}, "", Notes())
    plugins = reader.children("plugins") if reader.has("plugins") else [reader]
    return [name for plugin in plugins for name in _of_plugin(plugin)]


def _of_plugin(plugin: Reader) -> list[str]:
    if plugin.string("type") == "bond" and plugin.boolean("linksInContainer"):
        return [name for link in plugin.children("links") if (name := link.string("name"))]
    master = plugin.string("master") if plugin.boolean("linkInContainer") else ""
    return [master] if master else []
