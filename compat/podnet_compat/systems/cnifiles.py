"""Plain CNI configuration files (.conf, .conflist), alone or in a ConfigMap, as NetworkConfigs. Pure.

A file is read as the configuration of a NAD is: native where a NetworkConfig says every key, else datapath ``cni``,
which runs the plugins with the text as it is. So set-ups without any meta-plugin can be carried over:

overlay   flannel with VXLAN. With the ConfigMap of flannel (cni-conf.json and net-conf.json) its network is known and
          becomes datapath vxlan; the file alone becomes ``cni``, because flannel's daemon holds the rest.
routed    ptp, and flannel's host-gw: datapath routed
underlay  macvlan, ipvlan, vlan, bridge, host-device, sriov: the datapath of the same name
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from podnet_api import kni
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault
from podnet_api.meta import ObjectMeta

from podnet_compat import addresses, jsontext, ranges
from podnet_compat import nad as nads
from podnet_compat.legacy import Nad, NadSpec
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.registry import Kind, System

GROUP, KIND = "cni.dev", "NetworkConfiguration"
"""How a file stands among objects; nobody serves such a kind."""
FLANNEL, NET = "cni-conf.json", "net-conf.json"
ENDINGS = (".conf", ".conflist")
_PREFIX = "spec.config"
_BACKENDS = ("vxlan", "host-gw")
"""Of flannel, those that a NetworkConfig says."""
_VXLAN_PORT = 8472
"""The Linux kernel's own, which flannel leaves as it is."""


def adopt(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The object for a file that is a CNI configuration."""
    if not isinstance(document.get("name"), str) or not ("plugins" in document or "type" in document):
        return []
    name = str(document["name"])
    meta = {"name": name}
    return [{"apiVersion": f"{GROUP}/v1", "kind": KIND, "metadata": meta, "config": dict(document)}]


def file(origin: Source, _: Objects) -> Made:
    """A file. Raises InvalidError."""
    body = origin.body.get("config")
    return _translated(origin, body if isinstance(body, dict) else {}, "config")


def config_map(origin: Source, _: Objects) -> Made:
    """Every configuration in a ConfigMap. Raises InvalidError."""
    notes = Notes()
    data = origin.part("data", notes)
    if data.has(FLANNEL) and data.has(NET):
        made = _flannel(origin, data, notes)
        base.check(origin, notes)
        return made
    parts = []
    for key in sorted(data.written()):
        if _is_file(key, data.raw(key)):
            body = _json(data, key, notes)
            parts += [] if notes.faults else [_translated(origin, body, f"data[{key}]")]
        else:
            notes.warn(f"data[{key}]", "is not translated: it is no CNI configuration")
    base.check(origin, notes)
    return base.merge(*parts, Made(warnings=tuple(notes.warnings)))


def has_files(origin: Source, _: Objects) -> bool:
    """Whether a ConfigMap holds configurations."""
    data = origin.body.get("data")
    return isinstance(data, dict) and any(_is_file(str(key), text) for key, text in data.items())


def _is_file(key: str, text: object) -> bool:
    """By its name and its first character: agents have files of the same ending that are no JSON."""
    return key.endswith((FLANNEL, *ENDINGS)) and isinstance(text, str) and text.lstrip().startswith("{")


def _json(data: Reader, key: str, notes: Notes) -> dict[str, Any]:
    path = f"data[{key}]"
    try:
        found = jsontext.load(data.string(key))
    except jsontext.BrokenJsonError as error:
        notes.fault(path, str(error))
        return {}
    if not isinstance(found, dict):
        notes.fault(path, "must be a JSON object", found)
    return found if isinstance(found, dict) else {}


def _translated(origin: Source, body: Mapping[str, Any], path: str) -> Made:
    """``body`` as a NAD would be translated, with its own name and with paths that begin with ``path``."""
    notes = Notes()
    named = body.get("name")
    name = _name(named if isinstance(named, str) else "", f"{path}.name", notes)
    base.check(origin, notes)
    text = json.dumps(dict(body), sort_keys=True, default=str)
    nad = Nad(metadata=ObjectMeta(name=str(named), namespace="default"), spec=NadSpec(config=text))
    try:
        found = nads.translate(nad)
    except InvalidError as error:
        faults = [Fault(_path(one.path, path), one.type, one.message, one.value) for one in error.faults]
        raise InvalidError(origin.subject, faults) from error
    notes.warnings += [_path(line, path) for line in found.warnings]
    return base.native(origin, name, found.config.spec, notes)


def _path(text: str, path: str) -> str:
    return path + text.removeprefix(_PREFIX) if text.startswith(_PREFIX) else text


def _name(name: str, path: str, notes: Notes) -> str:
    """CNI allows dots, underscores and capitals in a name."""
    return base.network_name("cni", path, name, "", notes)


def _flannel(origin: Source, data: Reader, notes: Notes) -> Made:
    """flannel's own network, which it reads from ``net-conf.json``."""
    conf, net = _json(data, FLANNEL, notes), _json(data, NET, notes)
    plugins = conf.get("plugins", [conf])
    kinds = [one.get("type") for one in plugins if isinstance(one, dict)] if isinstance(plugins, list) else []
    if "flannel" not in kinds:
        return _translated(origin, conf, f"data[{FLANNEL}]")
    reader = Reader(net, f"data[{NET}]", notes)
    base.check(origin, notes)
    if reader.child("Backend").string("Type") not in _BACKENDS:
        said = f"data[{NET}]: is not translated: flannel's plugin and daemon go on attaching"
        return base.merge(_translated(origin, conf, f"data[{FLANNEL}]"), Made(warnings=(said, *_others(data))))
    spec = _backend(reader.child("Backend"), _pool(reader))
    reader.finish(refuse=True)
    notes.warn(f"data[{FLANNEL}]", "is not translated: the plugins call flannel, in whose place the NetworkConfig is")
    notes.warnings += _others(data)
    name = _name(str(conf.get("name") or "flannel"), f"data[{FLANNEL}].name", notes)
    return base.native(origin, name, spec, notes)


def _others(data: Reader) -> list[str]:
    keys = sorted(set(data.written()) - {FLANNEL, NET})
    return [f"data[{key}]: is not translated: it is no CNI configuration" for key in keys]


def _pool(reader: Reader) -> kni.Ipam | None:
    """The ranges; each node claims parts of the length that flannel gives a node."""
    four, six = (ranges.read(reader, key, addresses.subnet) for key in ("Network", "IPv6Network"))
    lengths = [reader.integer("SubnetLen", 8, 32), reader.integer("IPv6SubnetLen", 16, 128)]
    for key, wanted in (("EnableIPv4", four), ("EnableIPv6", six)):
        if reader.has(key) and reader.boolean(key) != (wanted is not None):
            reader.notes.fault(reader.at(key), "does not agree with the networks that are said", reader.boolean(key))
        elif reader.has(key):
            reader.notes.warn(reader.at(key), "the ranges say it")
    why = "nodes claim blocks by themselves, anywhere in the network"
    reader.ignore("SubnetMin", "SubnetMax", "IPv6SubnetMin", "IPv6SubnetMax", why=why)
    sets = [[kni.Range(cidr=str(one))] for one in (four, six) if one is not None]
    made = ranges.pool(reader, sets, "cluster")
    if made is None:
        reader.notes.fault(reader.at("Network"), "names no network")
        return None
    return kni.Ipam(
        ranges=made.ranges,
        block_prefix4=(lengths[0] or 24) if four is not None else None,
        block_prefix6=(lengths[1] or 64) if six is not None else None,
    )


def _backend(backend: Reader, pool: kni.Ipam | None) -> kni.NetworkConfigSpec:
    """How nodes reach each other."""
    at = backend.at("Type")
    if backend.string("Type") == "host-gw":
        message = "datapath routed gives Pods of other nodes no route: an uplink with proxy: true would, or routes"
        backend.notes.warn(at, message)
        backend.finish(refuse=True)
        return kni.NetworkConfigSpec(routed=kni.Routed(), ipam=pool, anti_spoof=False)
    backend.refuse("DirectRouting", "GBP", why="datapath vxlan sends everything by VXLAN, without policies")
    backend.ignore("Learning", "MacPrefix", "VtepMAC", why="podnet keeps its own forwarding entries")
    vni, port = backend.integer("VNI", 1, 16777215) or 1, backend.integer("Port", 1, 65535) or _VXLAN_PORT
    backend.notes.warn(at, f"the VXLAN {vni} is flannel's as long as that runs: not both at once on one node")
    mtu = backend.integer("MTU", 68, 65535) or None
    backend.finish(refuse=True)
    return kni.NetworkConfigSpec(vxlan=kni.Vxlan(vni=vni, port=port), ipam=pool, mtu=mtu, anti_spoof=False)


SYSTEM = System(
    "cni-files",
    adds=True,
    kinds=(
        Kind(GROUP, KIND, file, namespaced=False),
        Kind("", "ConfigMap", config_map, applies=has_files, stays=True),
    ),
    claims=lambda _pod, _objects: False,
    adopt=adopt,
)
