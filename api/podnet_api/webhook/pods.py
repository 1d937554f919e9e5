"""The list of networks of a Pod: checked, made explicit, and turned into what schedulers and runtimes read. Pure.

``created`` answers for a new Pod (KEP-3698, static validation); ``running`` for one that exists.

- Faults are returned all at once; the Pod is refused.
- ``default`` is added in front where the list lacks it. The KEP's list is explicit: what is not listed is
  not attached. With NRI alone the cluster's own CNI has attached ``default`` before anybody is asked, and
  a list that hid it would be untrue.
- Every entry gets its interface name, so that no later change of the list's order or of this rule moves
  an interface. Places count with ``default`` in front.
- Where there is more than ``default``: the resources by which it is placed (see ``placement``), and the
  annotation by which NRI refuses to start the Pod without our plugin. Where the extender is asked also required node
  affinity, so that it is asked about nodes that matter; what nodes count is nowhere but on nodes that have it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from podnet_api import names, networks
from podnet_api.admission.review import Allow
from podnet_api.faults import Fault, FaultType
from podnet_api.webhook import affinity, placement

Resolve = Callable[[str], str | None]
"""PodNetworkAttachment of the Pod's namespace -> its PodNetwork; None while it does not exist."""

EMPTY_WARNING = f"{names.NETWORKS_ANNOTATION}: the list is empty, yet the cluster's own CNI always attaches default"
_PLUGINS_PATH = f"metadata.annotations[{names.REQUIRED_PLUGINS_ANNOTATION}]"
_PLUGINS_LIMIT = 4096
_AFFINITY = "/spec/affinity"
_INDEXED = re.compile(re.escape(networks.PATH) + r"\[(\d+)\](.*)", re.DOTALL)
_DEFAULT = networks.Network(pod_network_name=names.DEFAULT_NETWORK)


@dataclass(frozen=True)
class Explicit:
    """A list with ``default`` in it and every interface named; ``added``: the user left ``default`` out."""

    entries: tuple[networks.Network, ...]
    added: bool

    @property
    def others(self) -> tuple[networks.Network, ...]:
        """All but the default network."""
        return tuple(n for n in self.entries if not n.is_default_network)


def text_of(item: dict[str, Any] | None) -> str | None:
    """The annotation of a Pod or pod template, or None."""
    found = (((item or {}).get("metadata") or {}).get("annotations") or {}).get(names.NETWORKS_ANNOTATION)
    return found if isinstance(found, str) else None


def explicit(text: str, *, host_network: bool = False) -> tuple[Explicit, list[Fault]]:
    """The explicit form of the list in ``text``, and every fault; places in paths are the user's."""
    listed, faults = networks.check(text, host_network=host_network)
    if (faults and not listed) or any(n.is_default_network for n in listed) or networks.replacing(listed):
        return _named(listed, added=False), faults
    whole = (_DEFAULT, *listed)
    _, faults = networks.check(networks.encode(whole))
    return _named(whole, added=True), [_shifted(fault) for fault in faults]


def replacement_faults(pod: dict[str, Any]) -> tuple[Fault, ...]:
    """Faults of a list that replaces the default network, where nodes have no CNI shim to do that."""
    text = text_of(pod)
    listed = networks.check(text)[0] if text is not None else ()
    found = networks.replacing(listed)
    if found is None:
        return ()
    message = "eth0 is the interface of the network default; another has it only where nodes have the CNI shim"
    path = f"{networks.PATH}[{listed.index(found)}].interfaceName"
    return (Fault(path, FaultType.FORBIDDEN, message, found.interface_name),)


def _named(listed: tuple[networks.Network, ...], *, added: bool) -> Explicit:
    pairs = zip(listed, networks.interface_names(listed), strict=True)
    return Explicit(tuple(msgspec.structs.replace(n, interface_name=name) for n, name in pairs), added)


def _shifted(fault: Fault) -> Fault:
    """A fault of the list with ``default`` in front, at the place where the user wrote it."""
    found = _INDEXED.fullmatch(fault.path)
    if found is None:
        return fault
    return Fault(f"{networks.PATH}[{int(found[1]) - 1}]{found[2]}", fault.type, fault.message, fault.value)


def created(
    pod: dict[str, Any],
    resolve: Resolve,
    decide: placement.Decide = placement.by_extender,
    *,
    cni_shim: bool = False,
) -> Allow | tuple[Fault, ...]:
    """The answer for a new Pod: a patch, or all faults of its list. ``cni_shim``: whether the nodes have it, by
    which a network can take the place of the default one."""
    text, spec = text_of(pod), pod.get("spec") or {}
    if text is None:
        return Allow()
    if not cni_shim and (refused := replacement_faults(pod)):
        return refused
    host_network = bool(spec.get("hostNetwork"))
    made, faults = explicit(text, host_network=host_network)
    if faults or (host_network and not made.others):
        return tuple(faults) or Allow()
    resolved, faults = _resolved(made, resolve)
    plugins, plugin_faults = _plugins(pod["metadata"]["annotations"].get(names.REQUIRED_PLUGINS_ANNOTATION))
    if faults or (made.others and plugin_faults):
        return (*faults, *plugin_faults)
    patch = _annotate(names.NETWORKS_ANNOTATION, text, networks.encode(made.entries))
    if made.others:
        patch += _scheduling(pod, resolved, plugins, decide(made.others))
    return Allow(patch, [EMPTY_WARNING] if _is_empty(text) else [])


def _is_empty(text: str) -> bool:
    return not msgspec.json.decode(text)


def changed(pod: dict[str, Any], text: str, made: Explicit, resolve: Resolve) -> Allow | tuple[Fault, ...]:
    """The answer for a Pod that exists and whose list in ``text`` is to be ``made``: what can change of it."""
    _, faults = _resolved(made, resolve)
    given = pod["metadata"]["annotations"].get(names.REQUIRED_PLUGINS_ANNOTATION, "")
    plugins, plugin_faults = _plugins(given) if made.others else (given, [])
    if faults or plugin_faults:
        return (*faults, *plugin_faults)
    patch = _annotate(names.NETWORKS_ANNOTATION, text, networks.encode(made.entries))
    return Allow(patch + _annotate(names.REQUIRED_PLUGINS_ANNOTATION, given, plugins))


def final_faults(
    pod: dict[str, Any],
    resolve: Resolve,
    decide: placement.Decide = placement.by_extender,
    *,
    cni_shim: bool = False,
) -> tuple[Fault, ...]:
    """Faults of a new Pod after all mutation. A list that somebody wrote after we were asked has been turned
    into nothing: such a Pod would start without its networks.

    Affinity is not compared: what an attachment leads to may have become known meanwhile.
    """
    answer = created(pod, resolve, placement.kept(_first(pod), decide), cni_shim=cni_shim)
    if not isinstance(answer, Allow):
        return answer
    missing = [step["path"] for step in answer.patch if step["path"] != _AFFINITY]
    if not missing:
        return ()
    message = "another webhook changed the Pod after podnet-webhook; its configuration must sort before by name"
    return (Fault(networks.PATH, FaultType.FORBIDDEN, f"{message} ({', '.join(missing)})"),)


def wanted(pod: dict[str, Any], resolve: Resolve) -> list[tuple[str, str]]:
    """Field path and PodNetwork of each entry of the Pod's list that is known and not the default network."""
    text = text_of(pod)
    found = [] if text is None else _places(explicit(text)[0], resolve)
    return [(path, name) for path, _, name in found if name and name != names.DEFAULT_NETWORK]


def attachments(pod: dict[str, Any]) -> list[str]:
    """The PodNetworkAttachments that the Pod's list names."""
    text = text_of(pod)
    entries = () if text is None else explicit(text)[0].entries
    return [n.pod_network_attachment_name for n in entries if n.pod_network_attachment_name]


def _places(made: Explicit, resolve: Resolve) -> list[tuple[str, networks.Network, str]]:
    """Field path, entry, and PodNetwork as far as it is known, of all entries but the default network's."""
    return [
        (f"{networks.PATH}[{i - made.added}]", n, n.pod_network_name or resolve(n.pod_network_attachment_name) or "")
        for i, n in enumerate(made.entries)
        if not n.is_default_network
    ]


def _resolved(made: Explicit, resolve: Resolve) -> tuple[list[str], list[Fault]]:
    """The PodNetworks that the Pod needs, as far as they are known: what is absent is active validation."""
    found, faults = [], []
    for path, network, name in _places(made, resolve):
        if name == names.DEFAULT_NETWORK:
            message = "leads to the network default, which the cluster's own CNI attaches without parameters"
            path += ".podNetworkAttachmentName"
            faults.append(Fault(path, FaultType.NOT_SUPPORTED, message, network.pod_network_attachment_name))
        elif name:
            found.append(name)
    return list(dict.fromkeys(found)), faults


def _plugins(text: str | None) -> tuple[str, list[Fault]]:
    """The annotation required-plugins with our plugin in it: a YAML list of names."""
    if not text:
        return f"[{names.NRI_PLUGIN_NAME}]", []
    try:
        listed = yaml.safe_load(text) if len(text) <= _PLUGINS_LIMIT else None
    except (yaml.YAMLError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        return "", [Fault(_PLUGINS_PATH, FaultType.INVALID, "must be a list of names of NRI plugins", text)]
    if names.NRI_PLUGIN_NAME in listed:
        return text, []
    return msgspec.json.encode([*listed, names.NRI_PLUGIN_NAME]).decode(), []


def _scheduling(
    pod: dict[str, Any], resolved: Iterable[str], plugins: str, placed: placement.Placement
) -> list[dict[str, Any]]:
    spec, annotations = pod["spec"], pod["metadata"]["annotations"]
    patch = _annotate(
        names.REQUIRED_PLUGINS_ANNOTATION, annotations.get(names.REQUIRED_PLUGINS_ANNOTATION, ""), plugins
    )
    if placed.extender:
        wanted = affinity.require(spec.get("affinity"), resolved)
        patch += _set(_AFFINITY, spec.get("affinity") or {}, wanted)
    first = _first(pod)
    return patch + _set("/spec/containers/0/resources", first.get("resources") or {}, _requesting(first, placed))


def _first(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = ((pod.get("spec") or {}).get("containers") or [{}])[0]
    return found


def _requesting(container: dict[str, Any], placed: placement.Placement) -> dict[str, Any]:
    """Its resources with ours; what is there already stays, but for numbers that nodes count by."""
    resources: dict[str, Any] = copy.deepcopy(container.get("resources") or {})
    for kind in ("limits", "requests"):
        resources[kind] = placed.resources | (resources.get(kind) or {}) | dict(placed.attachments)
    return resources


def _annotate(key: str, old: str, new: str) -> list[dict[str, Any]]:
    return _set(annotation_path(key), old, new)


def annotation_path(key: str) -> str:
    """JSON pointer (RFC 6901) of an annotation."""
    return "/metadata/annotations/" + key.replace("~", "~0").replace("/", "~1")


def _set(path: str, old: object, new: object) -> list[dict[str, Any]]:
    """``add`` also replaces (RFC 6902, 4.1); nothing where nothing changes, so that we need no reinvocation."""
    return [{"op": "add", "path": path, "value": new}] if new != old else []
