"""A NetworkAttachmentDefinition -> PodNetwork and NetworkConfig, or an error that names what is in the way.

Pure. ``mirror``, ``pod`` and ``cli`` call ``translate``. Covered are the plugin types bridge and macvlan;
``datapath`` has their keys, ``ipam`` those of their addresses. Every key is translated, refused, or warned
of; none vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from podnet_api import kni, multinetwork
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta, ParametersRef

from podnet_compat import datapath, ipam, jsontext, names
from podnet_compat.legacy import Nad
from podnet_compat.reader import Notes, Reader

PATH = "spec.config"
_VERSIONS = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
_LIST_KEYS = ("cniVersion", "cniVersions", "name", "plugins", "disableCheck", "disableGC", "loadOnlyInlinedPlugins")


@dataclass(frozen=True)
class Native:
    """What a NAD becomes, and what ``pod`` needs to know of it."""

    network: multinetwork.PodNetwork
    config: kni.NetworkConfig
    addressing: ipam.Addressing
    capabilities: frozenset[str]
    warnings: tuple[str, ...]


def translate(nad: Nad) -> Native:
    """The native objects of ``nad``. Raises InvalidError with every fault."""
    notes = Notes()
    plugin = _plugin(nad, notes)
    if plugin is None:
        raise InvalidError(nad.subject, notes.faults)
    made, addressing = _spec(nad, plugin, notes)
    capabilities = _common(plugin)
    plugin.finish(refuse=True)
    _validate(made, notes)
    if notes.faults:
        raise InvalidError(nad.subject, notes.faults)
    return _native(nad, made, addressing, capabilities, notes)


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


def _plugin(nad: Nad, notes: Notes) -> Reader | None:
    """The one plugin of the configuration; None with a fault when there is not exactly one."""
    text = nad.spec.config if nad.spec else None
    if not text or not text.strip():
        message = "is empty and so means a configuration file on the nodes: compat does not cover files yet"
        notes.unsupported(PATH, message=message)
        return None
    try:
        value = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        notes.fault(PATH, str(error))
        return None
    if not isinstance(value, dict):
        notes.fault(PATH, "must be a JSON object", value)
        return None
    reader = Reader(value, PATH, notes)
    return _chain(reader, notes) if reader.has("plugins") else _typed(reader, notes)


def _chain(reader: Reader, notes: Notes) -> Reader | None:
    _identity(reader)
    reader.ignore("disableCheck", "disableGC", "loadOnlyInlinedPlugins", why="the CNI operations are not used")
    plugins = reader.children("plugins")
    for key in reader.written():
        if key.lower() not in {known.lower() for known in _LIST_KEYS}:
            notes.warn(reader.at(key), "has no effect beside 'plugins'; it belongs into a plugin")
    if len(plugins) == 1:
        return _typed(plugins[0], notes)
    types = ", ".join(plugin.string("type") or "(no type)" for plugin in plugins)
    message = f"a chain of several plugins ({types}): compat does not cover chains yet"
    notes.unsupported(reader.at("plugins"), message=message if plugins else "must hold one plugin")
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
        notes.unsupported(at, kind, f"compat covers {', '.join(datapath.MAKERS)}, and no other plugin yet")
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
    if version and version not in _VERSIONS:
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
    """The bounds of the native type, which the API server would refuse later."""
    try:
        msgspec.convert(msgspec.to_builtins(spec), kni.NetworkConfigSpec)
    except msgspec.ValidationError as error:
        notes.fault(PATH, f"cannot be said by a NetworkConfig: {error}")
