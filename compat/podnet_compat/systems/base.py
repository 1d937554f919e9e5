"""What every translator of another system is given and gives back. Pure.

A translator is a function of one ``Source`` and of the ``Objects`` around it, and returns ``Made``: native objects,
for a Pod its list, and warnings with the path of each field that is not carried over. It raises InvalidError with
every fault. ``registry`` says which translator is for what.

Names (field notes, "Mapping rules"): a cluster-scoped network keeps its name, a namespaced one becomes
``<namespace>.<name>``, in lower case and with ``-`` for ``_``. ``default`` is the cluster's own network, so a foreign
network of that name becomes ``<system>-default``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from podnet_api import kni, multinetwork, networks
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import Fault, FaultType
from podnet_api.meta import ObjectMeta, ParametersRef
from podnet_api.networks import Network

from podnet_compat import attachment, jsontext, legacy, names
from podnet_compat.reader import Notes, Reader

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Source:
    """One object as the API or a file has it; ``body`` is the whole of it, without keys that are null. Of a workload
    it is the Pod in its template, with the workload's kind and name."""

    group: str
    kind: str
    namespace: str
    name: str
    body: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """How messages name it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def part(self, key: str, notes: Notes) -> Reader:
        """A reader of the object at the top-level key ``key``, usually spec; an empty one when absent."""
        value = self.body.get(key, {})
        if not isinstance(value, dict):
            notes.fault(key, "must be a JSON object", value)
        return Reader(value if isinstance(value, dict) else {}, key, notes)

    def check_top(self, notes: Notes, *known: str) -> None:
        """Warn of keys beside ``known`` and what every object has."""
        for key in sorted(set(self.body) - {"apiVersion", "kind", "metadata", "status", *known}):
            notes.warn(key, "unknown key, it has no effect")


class Objects:
    """The objects of a cluster or of a directory, by kind, namespace and name. Never depends on their order."""

    def __init__(self, sources: Iterable[Source] = (), settings: Mapping[str, str] | None = None) -> None:
        self.settings = dict(settings or {})
        """What no object says, e.g. how a plugin was configured on the nodes; each system names its own."""
        self._sources = {(s.group, s.kind, s.namespace, s.name): s for s in sources}
        self._by_kind: dict[tuple[str, str], list[Source]] | None = None

    def get(self, group: str, kind: str, name: str, namespace: str = "") -> Source | None:
        """One object, or None."""
        return self._sources.get((group, kind, namespace, name))

    def all(self, group: str, kind: str) -> tuple[Source, ...]:
        """Every object of a kind, by namespace and name."""
        if self._by_kind is None:
            self._by_kind = {}
            for key in sorted(self._sources):
                self._by_kind.setdefault(key[:2], []).append(self._sources[key])
        return tuple(self._by_kind.get((group, kind), ()))

    def namespace(self, name: str) -> Source:
        """The Namespace ``name``, with its labels and annotations; an empty one where it is not known."""
        return self.get("", "Namespace", name) or Source("", "Namespace", "", name, {})


@dataclass(frozen=True)
class Made:
    """What one source becomes."""

    networks: tuple[multinetwork.PodNetwork, ...] = ()
    configs: tuple[kni.NetworkConfig, ...] = ()
    pairs: tuple[attachment.Pair, ...] = ()
    listed: tuple[Network, ...] = ()
    """The list of a Pod; empty: leave the Pod alone."""
    warnings: tuple[str, ...] = ()
    """Each with the path of its field before the first ``: ``."""
    manifests: tuple[Mapping[str, Any], ...] = ()
    """Objects of other kinds that belong to it, e.g. an EndpointSlice or a changed Service, as JSON has them."""


Translator = Callable[[Source, Objects], Made]


def source(item: Mapping[str, Any], namespace: str = "default", *, cluster: bool = False) -> Source:
    """The Source in ``item``; ``namespace`` is for one that does not say its own, ``cluster`` for one without.

    Raises InvalidError when its metadata has another shape than every object's.
    """
    body = jsontext.clean(legacy.without_nulls(dict(item)))
    version, kind = body.get("apiVersion", ""), body.get("kind", "")
    try:
        meta = msgspec.convert(body.get("metadata", {}), ObjectMeta)
        group = msgspec.convert(version, str).rpartition("/")[0]
        kind = msgspec.convert(kind, str)
    except msgspec.ValidationError as error:
        raise InvalidError(f"an object of kind {kind!r}", [Fault("", FaultType.INVALID, str(error))]) from error
    own = "" if cluster else meta.namespace or namespace
    key, space = ("name", meta.name) if kind == "Namespace" else ("namespace", own)
    if space and not _NAMESPACE.fullmatch(space):
        message = "must be a name that a namespace can have (RFC 1123)"
        raise InvalidError(f"{kind} {meta.name}", [Fault(f"metadata.{key}", FaultType.INVALID, message, space)])
    return Source(group, kind, own, meta.name, body, meta.labels, meta.annotations)


def network_name(system: str, path: str, name: str, namespace: str, notes: Notes) -> str:
    """The PodNetwork for the network ``name`` of ``namespace`` ("" for a cluster-scoped one); "" with a fault."""
    whole = f"{namespace}.{name}" if namespace else name
    made = whole.lower().replace("_", "-")
    if not name or not _NAME.fullmatch(made) or ".." in made:
        notes.fault(path, "must be a name that becomes a lower-case DNS name (RFC 1123)", name)
        return ""
    if made == api_names.DEFAULT_NETWORK:
        made = f"{system}-{made}"
    return api_names.hashed_name(made, 253)


def network(origin: str, name: str, config: str) -> multinetwork.PodNetwork:
    """A PodNetwork ``name`` on NetworkConfig ``config``, made from ``origin``, which is the subject of a Source."""
    ref = ParametersRef(group=api_names.KNI_GROUP, kind="NetworkConfig", name=config)
    spec = multinetwork.PodNetworkSpec(provider=api_names.PROVIDER, parameters_refs=[ref])
    return multinetwork.PodNetwork(metadata=_meta(origin, name), spec=spec)


def native(origin: Source, name: str, spec: kni.NetworkConfigSpec, notes: Notes) -> Made:
    """A PodNetwork and a NetworkConfig ``name``, made from ``origin``. Raises InvalidError with the faults of ``notes``
    and those of ``spec``, which the API server would refuse later."""
    try:
        msgspec.convert(msgspec.to_builtins(spec), kni.NetworkConfigSpec)
    except msgspec.ValidationError as error:
        notes.unsupported("spec", message=f"cannot be said by a NetworkConfig: {error}")
    check(origin, notes)
    config = kni.NetworkConfig(metadata=_meta(origin.subject, name, notes.warnings), spec=spec)
    return Made((network(origin.subject, name, name),), (config,), warnings=tuple(notes.warnings))


def plugin_file(name: str) -> str:
    """``Cni.config`` for the nodes' own configuration file whose JSON name is ``name``."""
    return json.dumps({"name": name})


def check(origin: Source, notes: Notes) -> None:
    """Raise InvalidError when ``notes`` has faults of ``origin``."""
    if notes.faults:
        raise InvalidError(origin.subject, notes.faults)


def merge(*parts: Made) -> Made:
    """All of ``parts`` in their order; of equal objects one."""
    return Made(
        tuple(_once(item for part in parts for item in part.networks)),
        tuple(_once(item for part in parts for item in part.configs)),
        tuple(_once(item for part in parts for item in part.pairs)),
        tuple(item for part in parts for item in part.listed),
        tuple(_once(item for part in parts for item in part.warnings)),
        tuple(_once(item for part in parts for item in part.manifests)),
    )


def _once(items: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _meta(origin: str, name: str, warnings: Iterable[str] = ()) -> ObjectMeta:
    annotations = {api_names.SOURCE_ANNOTATION: origin}
    if said := "\n".join(warnings):
        annotations[names.NOTES] = said
    return ObjectMeta(name=name, labels=names.LABELS, annotations=annotations)


class Listing:
    """The native list of one Pod under way: one ``add`` for each entry of the foreign list, in its order.

    ``adds``: the system leaves the cluster's default network in its place, which then is the first entry."""

    def __init__(self, pod: Source, notes: Notes, *, adds: bool) -> None:
        self.pod = pod
        self.notes = notes
        self._adds = adds
        self._listed: list[Network] = []
        self._pairs: list[attachment.Pair] = []
        self._from: dict[str, str] = {}
        self._interfaces: dict[str, str] = {api_names.DEFAULT_INTERFACE: "the default network"} if adds else {}
        self._uses: dict[str, int] = {}
        self._gateways: dict[int, str] = {}
        self._further: list[multinetwork.PodNetwork] = []

    def add(
        self,
        path: str,
        name: str,
        interface: str,
        spec: kni.AttachmentConfigSpec | None = None,
        *,
        origin: str = "",
        gateways: frozenset[int] = frozenset(),
        interface_path: str = "",
        own: attachment.Pair | None = None,
    ) -> None:
        """One entry: PodNetwork ``name`` ("": it has a fault already) as ``interface``.

        ``spec``: what it asks for beyond the network. ``origin``: the foreign name, for telling collisions from
        repetitions. ``gateways``: the families (4, 6) whose default route leads over it. A network named once more
        becomes a further PodNetwork on the same NetworkConfig, because a list names each once (KEP-3698).
        ``own``: the attachment that another source becomes, in the place of ``spec``."""
        self._check_interface(interface_path or path, interface)
        self._check_gateways(path, gateways)
        known = self._from.setdefault(name, origin)
        if name and known != origin:
            self.notes.fault(path, f"becomes PodNetwork {name}, as {known!r} does", origin, FaultType.DUPLICATE)
        if not name:
            return
        if spec is not None:
            self._validate(path, spec)
        if own is not None and name in self._uses:
            self.notes.fault(path, f"PodNetwork {name} is in the list already", own.name, FaultType.DUPLICATE)
        name = self._use(name)
        if own is not None:
            self._pairs.append(own)
            entry = Network(pod_network_attachment_name=own.name, interface_name=interface)
        elif spec is None or spec == kni.AttachmentConfigSpec():
            entry = Network(pod_network_name=name, interface_name=interface)
        else:
            self._warn_of_replicas(path, spec)
            made = pair(self.pod, len(self._listed), name, spec)
            self._pairs.append(made)
            entry = Network(pod_network_attachment_name=made.name, interface_name=interface)
        gateway4, gateway6 = 4 in gateways, 6 in gateways
        self._listed.append(msgspec.structs.replace(entry, is_default_gw4=gateway4, is_default_gw6=gateway6))

    def made(self) -> Made:
        """The list with what it needs. Raises InvalidError with every fault."""
        listed = tuple(self._listed)
        if listed and api_names.DEFAULT_INTERFACE not in self._interfaces:
            message = f"nothing in it is {api_names.DEFAULT_INTERFACE}, which the cluster's default network gets"
            self.notes.warn(next(iter(self._interfaces.values())), message)
        if self._adds:
            taken = any(entry.is_default_gw4 for entry in listed)
            listed = (default_entry(gateway=not taken), *listed)
        if not self.notes.faults:
            _, faults = networks.check(networks.encode(listed))
            self.notes.faults += [replace(f, message=f"{f.message} (in the list made from it)") for f in faults]
        check(self.pod, self.notes)
        return Made(tuple(self._further), (), tuple(self._pairs), listed, tuple(self.notes.warnings))

    def _use(self, name: str) -> str:
        """The PodNetwork for this use of ``name``."""
        number = self._uses[name] = self._uses.get(name, 0) + 1
        if number == 1:
            return name
        further = f"{api_names.hashed_name(name, 240)}-{number}"
        self._further.append(network(f"PodNetwork {name}", further, name))
        return further

    def _check_interface(self, path: str, interface: str) -> None:
        problem = api_names.interface_name_problem(interface)
        if problem:
            self.notes.fault(path, problem, interface)
        elif interface in self._interfaces:
            message = f"is the interface of {self._interfaces[interface]}"
            self.notes.fault(path, message, interface, FaultType.DUPLICATE)
        self._interfaces.setdefault(interface, path)

    def _warn_of_replicas(self, path: str, spec: kni.AttachmentConfigSpec) -> None:
        """As with the system itself: the second Pod of a template does not get what the first one has."""
        fixed = "address" if spec.addresses else "MAC address" if spec.mac else ""
        if fixed and self.pod.kind != "Pod":
            self.notes.warn(path, f"a fixed {fixed} is for one Pod: a second of this {self.pod.kind} does not start")

    def _check_gateways(self, path: str, gateways: frozenset[int]) -> None:
        for version in sorted(gateways):
            if version in self._gateways:
                message = f"the IPv{version} default route leads over {self._gateways[version]} already"
                self.notes.fault(path, message, type_=FaultType.DUPLICATE)
            self._gateways.setdefault(version, path)

    def _validate(self, path: str, spec: kni.AttachmentConfigSpec) -> None:
        try:
            msgspec.convert(msgspec.to_builtins(spec), kni.AttachmentConfigSpec)
        except msgspec.ValidationError as error:
            self.notes.unsupported(path, message=f"cannot be said by an AttachmentConfig: {error}")


def default_entry(*, gateway: bool = True) -> Network:
    """The cluster's default network as the first entry of a list that names what a Pod has beside it."""
    return Network(
        pod_network_name=api_names.DEFAULT_NETWORK,
        interface_name=api_names.DEFAULT_INTERFACE,
        is_default_gw4=gateway,
    )


def pair(pod: Source, place: int, network: str, spec: kni.AttachmentConfigSpec) -> attachment.Pair:
    """The attachment ``<pod>-<place>`` to PodNetwork ``network``; of a Pod that has no name yet, named by its content,
    as ``attachment.pair`` does."""
    made = attachment.pair(pod.namespace, network, network, spec)
    return renamed(made, api_names.hashed_name(f"{pod.name}-{place}", 253)) if pod.name else made


def renamed(made: attachment.Pair, name: str) -> attachment.Pair:
    """``made`` under another name."""
    [ref] = made.attachment.spec.parameters_refs
    meta = msgspec.structs.replace(made.attachment.metadata, name=name)
    refs = [msgspec.structs.replace(ref, name=name)]
    spec = msgspec.structs.replace(made.attachment.spec, parameters_refs=refs)
    return attachment.Pair(
        multinetwork.PodNetworkAttachment(metadata=meta, spec=spec),
        kni.AttachmentConfig(metadata=meta, spec=made.config.spec),
    )
