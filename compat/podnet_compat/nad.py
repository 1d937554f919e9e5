"""A NetworkAttachmentDefinition -> PodNetwork and NetworkConfig, or an error that names what is in the way.

Pure. ``mirror``, ``pod`` and ``cli`` call ``translate``. Native are the plugin types bridge and macvlan where a
NetworkConfig can say every key: ``datapath`` has their keys, ``ipam`` those of their addresses. What it cannot say,
any other plugin and any chain goes to the CNI plugins of the nodes (``plugins``), and the object says why. Every key
is translated, handed on, refused, or warned of; none vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from podnet_api import kni, multinetwork
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType
from podnet_api.meta import ObjectMeta, ParametersRef

from podnet_compat import datapath, ipam, jsontext, names, plugins
from podnet_compat.legacy import Nad
from podnet_compat.reader import Notes, Reader

PATH = "spec.config"


@dataclass(frozen=True)
class Native:
    """What a NAD becomes, and what ``pod`` needs to know of it."""

    network: multinetwork.PodNetwork
    config: kni.NetworkConfig
    addressing: ipam.Addressing
    capabilities: frozenset[str]
    warnings: tuple[str, ...]
    types: tuple[str, ...] = ()
    """Datapath cni: the plugins, where the NAD says them."""


def translate(nad: Nad) -> Native:
    """The native objects of ``nad``. Raises InvalidError with every fault."""
    text = (nad.spec.config if nad.spec else None) or ""
    if not text.strip():
        own = f"{PATH}: is empty: the CNI plugins of the nodes' own configuration {nad.metadata.name!r} attach it"
        return _by_plugins(nad, plugins.of_file(nad), [own])
    value = _object(nad, text)
    notes = Notes()
    if names.ATTACH_WITH in nad.metadata.annotations:
        return _as_told(nad, plugins.of_config(nad, text, value, PATH, notes), notes)
    found = _natively(nad, value, notes)
    if found is not None:
        return found
    if any(fault.type != FaultType.NOT_SUPPORTED for fault in notes.faults):
        raise InvalidError(nad.subject, notes.faults)
    why = [f"{fault.path}: the CNI plugins of the nodes attach it: {fault.message}" for fault in notes.faults]
    handed = Notes()
    return _by_plugins(nad, plugins.of_config(nad, text, value, PATH, handed), why, handed)


def _as_told(nad: Nad, chain: plugins.Chain, notes: Notes) -> Native:
    """By plugins because an annotation says so: beside Multus, so that one program keeps all addresses (DESIGN.md)."""
    at, told = f"metadata.annotations[{names.ATTACH_WITH}]", nad.metadata.annotations[names.ATTACH_WITH]
    if told != names.PLUGINS:
        notes.unsupported(at, told, f"must be {names.PLUGINS!r}, or absent")
    return _by_plugins(nad, chain, [f"{at}: the CNI plugins of the nodes attach it"], notes)


def _object(nad: Nad, text: str) -> dict[str, Any]:
    notes = Notes()
    try:
        value = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(PATH, str(error))
    else:
        if isinstance(value, dict):
            return value
        notes.fault(PATH, "must be a JSON object", value)
    raise InvalidError(nad.subject, notes.faults)


def _natively(nad: Nad, value: dict[str, Any], notes: Notes) -> Native | None:
    """``value`` without plugins; None with faults where that cannot be."""
    reader = Reader(value, PATH, notes)
    plugin = _chain(reader, notes) if reader.has("plugins") else _typed(reader, notes)
    if plugin is None:
        return None
    made, addressing = _spec(nad, plugin, notes)
    capabilities = _common(plugin)
    plugin.finish(refuse=True)
    _validate(made, notes)
    return None if notes.faults else _native(nad, made, addressing, capabilities, notes)


def _by_plugins(nad: Nad, chain: plugins.Chain, why: list[str], notes: Notes | None = None) -> Native:
    notes = notes or Notes()
    selector = _node_selector(nad, notes)
    if notes.faults:
        raise InvalidError(nad.subject, notes.faults)
    warnings = [*why, *notes.warnings]
    spec = kni.NetworkConfigSpec(cni=kni.Cni(config=chain.config), node_selector=selector, anti_spoof=False)
    name = names.network(*nad.key)
    config = kni.NetworkConfig(metadata=_meta(nad, name, warnings), spec=spec)
    return Native(network(nad, name, name), config, ipam.Addressing(), chain.capabilities, tuple(warnings), chain.types)


def network(nad: Nad, name: str, config: str) -> multinetwork.PodNetwork:
    """A PodNetwork ``name`` on NetworkConfig ``config``, made from ``nad``."""
    ref = ParametersRef(group=api_names.KNI_GROUP, kind="NetworkConfig", name=config)
    spec = multinetwork.PodNetworkSpec(provider=api_names.PROVIDER, parameters_refs=[ref])
    return multinetwork.PodNetwork(metadata=_meta(nad, name), spec=spec)


def _native(
    nad: Nad, spec: kni.NetworkConfigSpec, addressing: ipam.Addressing, capabilities: frozenset[str], notes: Notes
) -> Native:
    name = names.network(*nad.key)
    config = kni.NetworkConfig(metadata=_meta(nad, name, notes.warnings), spec=spec)
    return Native(network(nad, name, name), config, addressing, capabilities, tuple(notes.warnings))


def _meta(nad: Nad, name: str, warnings: list[str] | None = None) -> ObjectMeta:
    annotations = {api_names.SOURCE_ANNOTATION: names.source(*nad.key)}
    if warnings:
        annotations[names.NOTES] = "\n".join(warnings)
    return ObjectMeta(name=name, labels=names.LABELS, annotations=annotations)


def _chain(reader: Reader, notes: Notes) -> Reader | None:
    _identity(reader)
    reader.ignore("disableCheck", "disableGC", "loadOnlyInlinedPlugins", why="the CNI operations are not used")
    listed = reader.children("plugins")
    for key in reader.written():
        if key.lower() not in {known.lower() for known in plugins.LIST_KEYS}:
            notes.warn(reader.at(key), "has no effect beside 'plugins'; it belongs into a plugin")
    if len(listed) == 1:
        return _typed(listed[0], notes)
    at = reader.at("plugins")
    if not listed and not notes.faulty(at):
        notes.fault(at, "must hold one plugin at least")
    elif listed:
        types = ", ".join(plugin.string("type") or "(no type)" for plugin in listed)
        notes.unsupported(at, message=f"a chain of several plugins ({types}) has no native datapath")
    return None


def _typed(plugin: Reader, notes: Notes) -> Reader | None:
    """``plugin`` itself if its type is covered; its other keys mean nothing without."""
    kind = plugin.string("type")
    if kind in datapath.MAKERS:
        return plugin
    at = plugin.at("type")
    if not kind and not notes.faulty(at):
        notes.fault(at, "the configuration must name the type of a plugin")
    elif kind:
        notes.unsupported(at, kind, f"only {', '.join(datapath.MAKERS)} have a native datapath")
    return None


def _spec(nad: Nad, plugin: Reader, notes: Notes) -> tuple[kni.NetworkConfigSpec, ipam.Addressing]:
    path = datapath.MAKERS[plugin.string("type")](plugin)
    addressing = ipam.translate(
        plugin.child("ipam"), leaves_node=path.leaves_node, gateway=bool(path.bridge and path.bridge.gateway)
    )
    reported = ipam.dns(plugin.child("dns"))
    spec = kni.NetworkConfigSpec(
        bridge=datapath.without_pool(plugin, path.bridge) if addressing.pool is None else path.bridge,
        macvlan=path.macvlan,
        uplink=path.uplink,
        mtu=plugin.integer("mtu", 68, 65535) or None,
        ipam=addressing.pool,
        routes=list(addressing.routes),
        dns=reported or addressing.dns,
        anti_spoof=path.anti_spoof,
        node_selector=_node_selector(nad, notes),
    )
    return spec, addressing


def _common(plugin: Reader) -> frozenset[str]:
    """Keys that every plugin has; the capabilities that are declared."""
    _identity(plugin)
    plugin.refuse("args")
    plugin.ignore("prevResult", "runtimeConfig", why="it is the runtime's to give")
    plugin.ignore("disableCheck", "disableGC", why="the CNI operations are not used")
    capabilities = plugin.child("capabilities")
    return frozenset(key for key in capabilities.written() if capabilities.boolean(key))


def _identity(reader: Reader) -> None:
    """The name of the configuration: each NAD is a network of its own, whatever its configuration's name."""
    reader.string("name")
    reader.accept("cniVersions")
    version = reader.string("cniVersion")
    if version and version not in plugins.VERSIONS:
        reader.notes.warn(
            reader.at("cniVersion"), f"{version!r} is no version of the CNI specification; no plugin reads it"
        )


def _node_selector(nad: Nad, notes: Notes) -> kni.NodeSelector | None:
    annotations = nad.metadata.annotations
    if names.RESOURCE_NAME in annotations:
        message = "has no effect: compat does not request resources of device plugins for Pods yet"
        notes.warn(f"metadata.annotations[{names.RESOURCE_NAME}]", message)
    text = annotations.get(names.NODE_SELECTOR, "")
    if not text:
        return None
    key, _, value = (part.strip() for part in text.partition("="))
    if not key or "," in text or "=" in value:
        notes.fault(f"metadata.annotations[{names.NODE_SELECTOR}]", "must be one label: key=value", text)
        return None
    return kni.NodeSelector(match_labels={key: value})


def _validate(spec: kni.NetworkConfigSpec, notes: Notes) -> None:
    """The bounds of the native type, behind which the API server would refuse it."""
    try:
        msgspec.convert(msgspec.to_builtins(spec), kni.NetworkConfigSpec)
    except msgspec.ValidationError as error:
        notes.unsupported(PATH, message=f"cannot be said by a NetworkConfig: {error}")
