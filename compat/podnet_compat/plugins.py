"""A NAD that nothing native makes -> datapath ``cni``: the nodes run its CNI plugins. Pure; called by ``nad``.

The configuration reaches the plugins as it was written, with the NAD's name where it has none of its own:
host-local's store, whereabouts' network and others hang on that name. Without a configuration it is the node's
file of that name. What the plugins would refuse whatever the Pod is refused here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from podnet_compat.legacy import Nad
from podnet_compat.reader import Notes, Reader

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""Of the CNI specification."""
LIST_KEYS = ("cniVersion", "cniVersions", "name", "plugins", "disableCheck", "disableGC", "loadOnlyInlinedPlugins")
"""Keys that mean something beside ``plugins`` (CNI 1.1.0, section 1)."""
WITHOUT_DEVICES = frozenset(
    (
        *("bridge", "cnv-bridge", "macvlan", "ipvlan", "ptp", "vlan", "tap", "dummy", "vrf", "bond", "loopback"),
        *("tuning", "cnv-tuning", "bandwidth", "firewall", "portmap", "sbr", "istio-cni", "route-override"),
    )
)
"""Plugins that have no use for a device: a resource beside them is a mark, or the containers' own affair."""
CHAINED = frozenset(("vrf", "tuning", "cnv-tuning", "bandwidth", "portmap", "sbr", "firewall"))
"""Plugins that change the interface of an earlier one, and fail where there is none (bandwidth 1.9.1 by a panic)."""
LIMIT = 65536
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")


@dataclass(frozen=True)
class Chain:
    """What the plugins read. ``types`` is empty where a file of the nodes says them."""

    config: str
    types: tuple[str, ...] = ()
    capabilities: frozenset[str] = frozenset()


def of_file(nad: Nad) -> Chain:
    """The configuration file of the nodes with the name of ``nad``."""
    return Chain(json.dumps({"name": nad.metadata.name}))


def of_config(nad: Nad, text: str, value: dict[str, Any], path: str, notes: Notes) -> Chain:
    """The configuration ``value``, written as ``text``; what no plugin could use goes into ``notes``."""
    reader = Reader(value, path, notes)
    plugins = reader.children("plugins") if reader.has("plugins") else [reader]
    types = tuple(_type(plugin) for plugin in plugins)
    if types[:1] and types[0] in CHAINED:
        notes.fault(plugins[0].at("type"), "must stand behind another plugin, whose interface it changes", types[0])
    declared = [key for plugin in plugins for key in _capabilities(plugin)]
    _check_version(reader)
    _check_list(reader)
    config = _named(nad, text, value, reader)
    if len(config.encode()) > LIMIT:
        notes.fault(path, f"must have at most {LIMIT} bytes")
    return Chain(config, types, frozenset(declared))


def _type(plugin: Reader) -> str:
    kind, at = plugin.string("type"), plugin.at("type")
    if not plugin.notes.faulty(at) and (not kind or "/" in kind or kind in {".", ".."}):
        plugin.notes.fault(at, "must be the name of a plugin", kind)
    return kind


def _capabilities(plugin: Reader) -> list[str]:
    declared = plugin.child("capabilities")
    return [key for key in declared.written() if declared.boolean(key)]


def _check_version(reader: Reader) -> None:
    offered = [text for text in (reader.string("cniVersion"), *reader.strings("cniVersions")) if text]
    if offered and not set(offered) & set(VERSIONS):
        message = f"is no version of the CNI specification; those are {', '.join(VERSIONS)}"
        reader.notes.fault(reader.at("cniVersion"), message, ", ".join(offered))


def _check_list(reader: Reader) -> None:
    """Keys beside ``plugins`` are a common mistake."""
    known = {key.lower() for key in LIST_KEYS}
    for key in reader.written() if reader.has("plugins") else ():
        if key.lower() not in known:
            reader.notes.warn(reader.at(key), "has no effect beside 'plugins'; it belongs into a plugin")


def _named(nad: Nad, text: str, value: dict[str, Any], reader: Reader) -> str:
    name = reader.string("name")
    if not name:
        rest = {key: item for key, item in value.items() if key.lower() != "name"}
        return json.dumps({"name": nad.metadata.name, **rest}, ensure_ascii=False)
    if not _NAME.fullmatch(name):
        message = "must be letters, digits, _ . - and begin with a letter or digit (CNI 1.1.0, section 1)"
        reader.notes.fault(reader.at("name"), message, name)
    return text
