"""A Pod's legacy annotation -> its native list and the attachments that it needs. Pure.

``read`` finds out what a Pod selects, without any other object; ``translate`` puts the NADs to it. The
webhook and ``cli`` call both. The user's annotation stays as it is; the native one is written beside it.

An entry without parameters names the NAD's PodNetwork. One with ips or mac, or of a NAD with static
addresses, names a PodNetworkAttachment called by a hash of its content, so that replicas share it. A NAD
selected again in the same Pod is a further PodNetwork on the same NetworkConfig, because a list names each
network once (KEP-3698).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from msgspec import structs
from podnet_api import core, networks
from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType
from podnet_api.networks import Network

from podnet_compat import annotation, attachment, bare, names, parts, routes
from podnet_compat import nad as nads
from podnet_compat.annotation import Selection
from podnet_compat.legacy import Nad
from podnet_compat.reader import Notes

ONLY_DEFAULT = (Network(pod_network_name=api_names.DEFAULT_NETWORK, interface_name=api_names.DEFAULT_INTERFACE),)
Lookup = Callable[[str, str], Nad | None]
"""The NAD of a namespace and a name."""


@dataclass(frozen=True)
class Policy:
    """``isolated``: Pods may name NADs of their own namespace and of ``shared`` namespaces only."""

    isolated: bool = False
    shared: frozenset[str] = frozenset({"default"})
    delegates: tuple[Selection, ...] = ()
    """Multus' defaultNetworks: before the Pod's own, except in ``system`` namespaces."""
    system: frozenset[str] = frozenset({names.DEFAULT_NAMESPACE})
    inject: bool = False
    """Whether the Pod is made to ask for the devices that its NADs name."""
    pages: bool = False
    """Whether its containers are told of their huge pages then."""


@dataclass(frozen=True)
class Wanted:
    """What a Pod selects. ``subject`` names the Pod in messages."""

    subject: str
    namespace: str
    selections: tuple[Selection, ...]
    warnings: tuple[str, ...] = ()
    default: Selection | None = None
    """What takes the place of the cluster's default network."""

    @property
    def all(self) -> tuple[Selection, ...]:
        """Every selection, in the order in which they are translated."""
        return (*((self.default,) if self.default else ()), *self.selections)


@dataclass(frozen=True)
class Further:
    """A PodNetwork for a further use of ``nad`` in one Pod."""

    name: str
    nad: Nad


@dataclass(frozen=True)
class Translation:
    """The native list (empty: leave the Pod alone) and the objects that it needs."""

    networks: tuple[Network, ...]
    attachments: tuple[attachment.Pair, ...] = ()
    further: tuple[Further, ...] = ()
    nads: tuple[Nad, ...] = ()
    warnings: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    """How many devices of each resource its entries take."""


def read(pod: core.Pod, namespace: str, policy: Policy | None = None) -> Wanted:
    """What ``pod`` selects by its annotations. Raises InvalidError with every fault."""
    notes, subject = Notes(), f"Pod {namespace}/{pod.metadata.name}"
    annotations = pod.metadata.annotations
    if pod.spec.host_network or names.MIRROR_POD in annotations:
        why = "the Pod has the node's own interfaces" if pod.spec.host_network else "a static Pod cannot be changed"
        ignored = [key for key in (names.NETWORKS, names.DEFAULT_NETWORK) if annotations.get(key)]
        warnings = tuple(f"metadata.annotations[{key}]: has no effect: {why}" for key in ignored)
        return Wanted(subject, namespace, (), warnings)
    default = _default_network(annotations, notes)
    _warn_of_historic(annotations, notes)
    policy = policy or Policy()
    own = annotation.parse(annotations.get(names.NETWORKS, ""), namespace, notes)
    _check_isolation(own, namespace, policy, notes)
    selections = own if namespace in policy.system else (*policy.delegates, *own)
    _check_list(selections, notes)
    if notes.faults:
        raise InvalidError(subject, notes.faults)
    return Wanted(subject, namespace, selections, tuple(notes.warnings), default)


def translate(wanted: Wanted, lookup: Lookup) -> Translation:
    """The native form of ``wanted``. Raises InvalidError with every fault."""
    if not wanted.all:
        return Translation((), warnings=wanted.warnings)
    work = _Work(wanted, lookup)
    listed = work.default()
    for place, selection in enumerate(wanted.selections, start=1):
        made = work.entry(selection, selection.interface or f"net{place}")
        listed += [made] if made else []
    routes.check_twice([(s.path, s.default_route) for s in wanted.all], work.notes)
    parts.check(work.parts, work.notes)
    if work.notes.faults:
        raise InvalidError(wanted.subject, work.notes.faults)
    warnings = (*wanted.warnings, *work.notes.warnings)
    return Translation(
        networks=tuple(listed),
        attachments=tuple(work.pairs.values()),
        further=tuple(work.further),
        nads=tuple(work.selected.values()),
        warnings=warnings,
        resources=work.resources,
    )


def is_ours(annotations: dict[str, str]) -> bool:
    """Whether the native list there is one that compat wrote and nobody changed since."""
    try:
        listed = networks.parse(annotations.get(api_names.NETWORKS_ANNOTATION, ""))
    except InvalidError:
        return False
    return annotations.get(names.TRANSLATED) == mark(listed)


def mark(listed: tuple[Network, ...]) -> str:
    """The digest by which compat knows its own list again."""
    return names.digest(networks.encode(listed))


@dataclass
class _Work:
    """One translation under way."""

    wanted: Wanted
    lookup: Lookup
    notes: Notes = field(default_factory=Notes)
    pairs: dict[str, attachment.Pair] = field(default_factory=dict)
    further: list[Further] = field(default_factory=list)
    selected: dict[tuple[str, str], Nad] = field(default_factory=dict)
    resources: Counter[str] = field(default_factory=Counter)
    parts: list[parts.Part] = field(default_factory=list)
    _uses: dict[tuple[str, str], int] = field(default_factory=dict)

    def default(self) -> list[Network]:
        """The entry with eth0: the cluster's default network, or what takes its place; none with a fault."""
        chosen = self.wanted.default
        if chosen is None:
            return list(ONLY_DEFAULT)
        made = self.entry(chosen, api_names.DEFAULT_INTERFACE)
        elsewhere = {gateway.version for one in self.wanted.selections for gateway in one.default_route or ()}
        found = self._native(chosen) if made else None
        if made is None or found is None:
            return []
        led = routes.over_eth0(found[1]) - elsewhere
        default4, default6 = made.is_default_gw4 or 4 in led, made.is_default_gw6 or 6 in led
        return [structs.replace(made, is_default_gw4=default4, is_default_gw6=default6)]

    def entry(self, selection: Selection, interface: str) -> Network | None:
        """The native entry for ``selection``; None with a fault."""
        native = self._native(selection)
        if native is None:
            return None
        nad, made = native
        self.selected[nad.key] = nad
        self.parts.append(parts.of(selection.path, interface, made.config.spec))
        resource = nad.metadata.annotations.get(names.RESOURCE_NAME, "").strip()
        self.resources.update([resource] if resource else [])
        name = self._network(nad)
        config = attachment.parameters(selection, made, self.notes)
        default4, default6 = routes.defaults(selection, made, self.notes)
        if config is None:
            return Network(
                pod_network_name=name, interface_name=interface, is_default_gw4=default4, is_default_gw6=default6
            )
        pair = attachment.pair(self.wanted.namespace, nad.metadata.name, name, config)
        self.pairs[pair.name] = pair
        return Network(
            pod_network_attachment_name=pair.name,
            interface_name=interface,
            is_default_gw4=default4,
            is_default_gw6=default6,
        )

    def _native(self, selection: Selection) -> tuple[Nad, nads.Native] | None:
        nad = self.lookup(selection.namespace, selection.name)
        if nad is None:
            message = (
                f"cannot find a network-attachment-definition ({selection.name}) in namespace ({selection.namespace})"
            )
            self.notes.fault(f"{selection.path}.name", message, type_=FaultType.NOT_FOUND)
            return None
        try:
            return nad, nads.translate(nad)
        except InvalidError as error:
            self.notes.unsupported(f"{selection.path}.name", message=str(error))
            return None

    def _network(self, nad: Nad) -> str:
        """The PodNetwork for this use of ``nad``."""
        namespace, name = nad.key
        number = self._uses[nad.key] = self._uses.get(nad.key, 0) + 1
        if number == 1:
            return names.network(namespace, name)
        taken = self.lookup(namespace, f"{name}-{number}") is not None
        further = names.further(namespace, name, number, taken=taken)
        self.further.append(Further(further, nad))
        return further


def further_candidates(selections: tuple[Selection, ...]) -> set[tuple[str, str]]:
    """Every NAD that ``translate`` may look up for ``selections``."""
    found, uses = set[tuple[str, str]](), dict[tuple[str, str], int]()
    for selection in selections:
        key = (selection.namespace, selection.name)
        uses[key] = uses.get(key, 0) + 1
        found.add(key if uses[key] == 1 else (key[0], f"{key[1]}-{uses[key]}"))
    return found


def _default_network(annotations: dict[str, str], notes: Notes) -> Selection | None:
    """What takes the place of the cluster's default network. Its nodes need the CNI shim, or refuse the Pod.

    Namespace isolation does not hold here: Multus takes it from kube-system, if no namespace is named.
    """
    if names.DEFAULT_NETWORK not in annotations:
        return None
    path, text = f"metadata.annotations[{names.DEFAULT_NETWORK}]", annotations[names.DEFAULT_NETWORK]
    before = len(notes.faults)
    found = annotation.parse(text, names.DEFAULT_NAMESPACE, notes, path)
    if len(notes.faults) > before:
        return None
    if len(found) != 1:
        notes.fault(path, "must name one network: leave the annotation out for the cluster's own", text)
        return None
    [chosen] = found
    if chosen.interface not in {"", api_names.DEFAULT_INTERFACE}:
        notes.warn(f"{chosen.path}.interface", f"has no effect: its interface is {api_names.DEFAULT_INTERFACE}")
    return replace(chosen, interface=api_names.DEFAULT_INTERFACE)


def _warn_of_historic(annotations: dict[str, str], notes: Notes) -> None:
    owner = bare.owner(annotations)
    for key, current in names.HISTORIC.items():
        if key == bare.KEY and owner in {bare.KNITTER, bare.GENIE}:
            how = f"podnet-compat --systems={owner} translates such Pods, and podnet-compat translate FILE"
            notes.warn(f"metadata.annotations[{key}]", f"has no effect: it is one of {owner.capitalize()}; {how}")
        elif key in annotations:
            notes.warn(f"metadata.annotations[{key}]", f"has no effect, did you mean {current}?")


def _check_isolation(selections: tuple[Selection, ...], namespace: str, policy: Policy, notes: Notes) -> None:
    for selection in selections:
        if policy.isolated and selection.namespace not in {namespace, *policy.shared}:
            message = (
                "namespace isolation enabled, annotation violates permission, "
                f"pod is in namespace {namespace} but refers to target namespace {selection.namespace}"
            )
            notes.fault(f"{selection.path}.namespace", message, type_=FaultType.FORBIDDEN)


def _check_list(selections: tuple[Selection, ...], notes: Notes) -> None:
    """Interfaces are named once. ``net<place>`` counts every entry, so a name of one's own can take it."""
    if len(selections) >= networks.MAX_NETWORKS:
        notes.fault(annotation.PATH, f"must have at most {networks.MAX_NETWORKS - 1} entries", len(selections))
    seen = {api_names.DEFAULT_INTERFACE: "the default network"}
    for place, selection in enumerate(selections, start=1):
        name = selection.interface or f"net{place}"
        if name in seen:
            own = "" if selection.interface else ", and is this entry's name by its place: set 'interface'"
            message = f"is the interface of {seen[name]}{own}"
            notes.fault(f"{selection.path}.interface", message, name, FaultType.DUPLICATE)
        seen.setdefault(name, selection.path)
