"""A NetworkAttachmentDefinition -> PodNetwork and NetworkConfig, or an error that names what is in the way.

Pure. ``mirror``, ``pod`` and ``cli`` call ``translate``. Native are the plugin types of ``datapath.MAKERS`` and what
may stand behind them in a chain (``chained``), where a NetworkConfig can say every key: ``ipam`` has those of their
addresses. What it cannot say and any other plugin goes to the CNI plugins of the nodes (``plugins``), and the object
says why. Every key is translated, handed on, refused, or warned of; none vanishes.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import structs
from podnet_api import kni, multinetwork, pools
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import ObjectMeta, ParametersRef

from podnet_compat import chained, datapath, elsewhere, ipam, jsontext, names, plugins, pooled, ranges
from podnet_compat.legacy import Nad, NadSpec
from podnet_compat.reader import Notes, Reader

PATH = "spec.config"
_LEAST_MTU6 = 1280
_LABEL_KEY = re.compile(r"([a-z0-9][-a-z0-9.]{0,251}[a-z0-9]/|[a-z0-9]/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_OWN = (names.ATTACH_WITH, names.STICKY, names.IN_USE)
_READ = (*_OWN, names.NODE_SELECTOR, names.RESOURCE_NAME, *elsewhere.ANNOTATIONS)
"""Annotations of a NAD that are read here."""


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

    @functools.cached_property
    def pool(self) -> pools.Pool | None:
        """What addresses it gives; None: none."""
        return pools.pool_of(self.config)


def translate(nad: Nad) -> Native:
    """The native objects of ``nad``. Raises InvalidError with every fault."""
    if not nad.metadata.name:
        raise InvalidError(nad.subject, [Fault("metadata.name", FaultType.REQUIRED, "a NAD needs a name")])
    read = ((key, nad.metadata.annotations[key]) for key in _READ if key in nad.metadata.annotations)
    return _translated(*nad.key, jsontext.clean((nad.spec.config if nad.spec else None) or ""), tuple(read))


@functools.lru_cache(maxsize=4096)
def _translated(namespace: str, name: str, text: str, annotations: tuple[tuple[str, str], ...]) -> Native:
    """The same of all that is read of a NAD. Kept, because every Pod that names the NAD asks again."""
    meta = ObjectMeta(name=name, namespace=namespace, annotations=dict(annotations))
    nad = Nad(metadata=meta, spec=NadSpec(config=text))
    if (foreign := elsewhere.of_annotations(meta.annotations)) is not None:
        raise InvalidError(nad.subject, [foreign])
    if not text.strip():
        own = f"{PATH}: is empty: the CNI plugins of the nodes' own configuration {nad.metadata.name!r} attach it"
        return _by_plugins(nad, plugins.of_file(nad), [own])
    value = _object(nad, text)
    if (foreign := elsewhere.of_config(value, PATH)) is not None:
        raise InvalidError(nad.subject, [foreign])
    notes = Notes()
    if nad.metadata.annotations.get(names.ATTACH_WITH, names.NATIVE) != names.NATIVE:
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
        notes.unsupported(at, told, f"must be {names.PLUGINS!r} or {names.NATIVE!r}")
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
    chain = _chain(reader, notes) if reader.has("plugins") else [reader]
    plugin = _typed(chain[0], notes) if chain else None
    if plugin is None:
        return None
    rest = [other for other in chain[1:] if chained.covered(other)]
    if len(rest) < len(chain) - 1:
        return None
    made, addressing = _spec(nad, plugin, notes)
    for other in rest:
        made = chained.add(other, made)
    capabilities = frozenset[str]().union(*(_common(each) for each in chain))
    for each in chain:
        each.finish(refuse=True)
    _validate(made, notes)
    return None if notes.faults else _native(nad, made, addressing, capabilities, notes)


def _by_plugins(nad: Nad, chain: plugins.Chain, why: list[str], notes: Notes | None = None) -> Native:
    notes = notes or Notes()
    selector = _node_selector(nad, notes)
    if notes.faults:
        raise InvalidError(nad.subject, notes.faults)
    made = kni.Cni(config=chain.config, resource=_devices(nad, chain, notes))
    warnings = [*why, *notes.warnings]
    told = kni.Dns(resolv_conf=False)
    spec = kni.NetworkConfigSpec(cni=made, node_selector=selector, anti_spoof=False, dns=told)
    name = names.network(*nad.key)
    config = kni.NetworkConfig(metadata=_meta(nad, name, warnings), spec=spec)
    return Native(network(nad, name, name), config, ipam.Addressing(), chain.capabilities, tuple(warnings), chain.types)


def _devices(nad: Nad, chain: plugins.Chain, notes: Notes) -> str:
    """The resource whose devices the plugins are told, where one of them may have a use for a device."""
    resource = nad.metadata.annotations.get(names.RESOURCE_NAME, "").strip()
    if not resource or not chain.types or not plugins.WITHOUT_DEVICES.issuperset(chain.types):
        return resource
    message = f"hands {', '.join(chain.types)} no device, as it takes none; containers may ask for the resource"
    notes.warn(f"metadata.annotations[{names.RESOURCE_NAME}]", message)
    return ""


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


def _chain(reader: Reader, notes: Notes) -> list[Reader]:
    """The plugins of a list."""
    _identity(reader)
    reader.ignore("disableCheck", "disableGC", "loadOnlyInlinedPlugins", why="the CNI operations are not used")
    listed = reader.children("plugins")
    for key in reader.written():
        if key.lower() not in {known.lower() for known in plugins.LIST_KEYS}:
            notes.warn(reader.at(key), "has no effect beside 'plugins'; it belongs into a plugin")
    at = reader.at("plugins")
    if not listed and not notes.faulty(at):
        notes.fault(at, "must hold one plugin at least")
    return listed


def _typed(plugin: Reader, notes: Notes) -> Reader | None:
    """``plugin`` itself if its type is covered; its other keys mean nothing without."""
    kind = plugin.string("type")
    if kind in datapath.MAKERS:
        return plugin
    at = plugin.at("type")
    if not kind and not notes.faulty(at):
        notes.fault(at, "the configuration must name the type of a plugin")
    elif kind:
        why = datapath.NOT_NATIVE.get(kind, f"only {', '.join(datapath.MAKERS)} have a native datapath")
        notes.unsupported(at, kind, why)
    return None


def _spec(nad: Nad, plugin: Reader, notes: Notes) -> tuple[kni.NetworkConfigSpec, ipam.Addressing]:
    path = datapath.MAKERS[plugin.string("type")](plugin)
    addressing = ipam.translate(plugin.child("ipam"), leaves_node=path.leaves_node, gateway=path.gateway)
    reported = ipam.dns(plugin.child("dns"))
    spec = structs.replace(
        path.spec,
        bridge=datapath.without_pool(plugin, path.spec.bridge) if addressing.pool is None else path.spec.bridge,
        sriov=_of_resource(nad, path.spec.sriov, notes),
        mtu=plugin.integer("mtu", 68, 65535) or None,
        ipam=pooled.pool(nad.metadata.annotations, addressing.pool, notes),
        routes=list(addressing.routes),
        dns=reported or addressing.dns,
        node_selector=_node_selector(nad, notes),
    )
    if not path.resource:
        _resource(nad, plugin.string("type"), notes)
    return spec, dataclasses.replace(addressing, pool=spec.ipam)


def _of_resource(nad: Nad, sriov: kni.Sriov | None, notes: Notes) -> kni.Sriov | None:
    """A virtual function of the resource that the NAD names."""
    if sriov is None:
        return None
    resource = nad.metadata.annotations.get(names.RESOURCE_NAME, "").strip()
    if not resource:
        message = "is absent: which virtual function is meant only a plugin could know"
        notes.unsupported(f"metadata.annotations[{names.RESOURCE_NAME}]", message=message)
    return structs.replace(sriov, resource=resource)


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


def _resource(nad: Nad, kind: str, notes: Notes) -> None:
    """Beside a datapath that takes no device: a plugin that has no use for one either loses nothing."""
    text, at = nad.metadata.annotations.get(names.RESOURCE_NAME, ""), f"metadata.annotations[{names.RESOURCE_NAME}]"
    if text and kind in plugins.WITHOUT_DEVICES:
        notes.warn(at, f"hands {kind} no device, as it takes none; containers may ask for the resource")
    elif text:
        notes.unsupported(
            at, text, "names devices, of which a plugin is told the id (deviceID): this datapath takes none"
        )


def _node_selector(nad: Nad, notes: Notes) -> kni.NodeSelector | None:
    annotations = nad.metadata.annotations
    text = annotations.get(names.NODE_SELECTOR, "")
    if not text:
        return None
    key, _, value = (part.strip() for part in text.partition("="))
    if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
        notes.fault(f"metadata.annotations[{names.NODE_SELECTOR}]", "must be one label: key=value", text)
        return None
    return kni.NodeSelector(match_labels={key: value})


def _validate(spec: kni.NetworkConfigSpec, notes: Notes) -> None:
    """The bounds and rules of the native type, behind which the API server would refuse it."""
    if spec.ipam and spec.ipam.dhcp and (spec.anti_spoof or spec.routed):
        message = "no server of the network gives addresses on a routed link, or to Pods held to the one they have"
        notes.unsupported(f"{PATH}.ipam.type", ipam.DHCP, message)
    families = {ranges.version(item) for item in spec.ipam.ranges} if spec.ipam else set()
    if 6 in families and spec.mtu is not None and spec.mtu < _LEAST_MTU6:
        notes.fault(f"{PATH}.mtu", f"IPv6 needs an MTU of at least {_LEAST_MTU6} (RFC 8200)", spec.mtu)
    try:
        msgspec.convert(msgspec.to_builtins(spec), kni.NetworkConfigSpec)
    except msgspec.ValidationError as error:
        notes.unsupported(PATH, message=f"cannot be said by a NetworkConfig: {error}")
