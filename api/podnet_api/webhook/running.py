"""The list of a Pod that exists: it may be edited, and the KNI server brings the running Pod to it. Pure.

The same static checks as at creation (KEP-3698). What cannot change with a list is the Pod's place: a network that its
node does not carry is refused there, by an Event and the condition, not here. An entry without a name for its interface
keeps the one that it had; a new one gets a name that neither list has, so that nothing moves by being listed elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from podnet_api import names, networks
from podnet_api.admission.review import Allow
from podnet_api.faults import Fault, FaultType
from podnet_api.webhook import pods


def updated(new: dict[str, Any], old: dict[str, Any], resolve: pods.Resolve) -> Allow | tuple[Fault, ...]:
    """The answer for a change of a Pod: a patch that makes its list explicit, or all faults."""
    text, kept = pods.text_of(new), pods.text_of(old)
    if text is None or text == kept:
        return Allow()
    host_network = bool((new.get("spec") or {}).get("hostNetwork"))
    made, faults = pods.explicit(_named(text, kept), host_network=host_network)
    if faults:
        return tuple(faults)
    return pods.changed(new, text, made, resolve)


def final_faults(new: dict[str, Any], old: dict[str, Any], resolve: pods.Resolve) -> tuple[Fault, ...]:
    """Faults of a change after all mutation."""
    answer = updated(new, old, resolve)
    if not isinstance(answer, Allow):
        return answer
    if not answer.patch:
        return ()
    message = "another webhook changed the list after podnet-webhook; its configuration must sort before by name"
    return (Fault(networks.PATH, FaultType.FORBIDDEN, message),)


def through_faults(subresource: str) -> tuple[Fault, ...]:
    """A list that changes through a subresource, as whoever reports a status could do it, is refused."""
    if not subresource:
        return ()
    return (Fault(networks.PATH, FaultType.FORBIDDEN, f"the list cannot change through {subresource}: change the Pod"),)


def coming(new: dict[str, Any], old: dict[str, Any], resolve: pods.Resolve) -> list[tuple[str, str]]:
    """Field path and PodNetwork of each entry that the old list did not have: whose use must be allowed."""
    had = {name for _, name in pods.wanted(old, resolve)}
    return [(path, name) for path, name in pods.wanted(new, resolve) if name not in had]


def _named(text: str, kept: str | None) -> str:
    """The list in ``text`` with a name for every interface; what is no list stays as it is."""
    try:
        listed = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        return text
    former = _former(kept)
    used = {entry.get("interfaceName") for entry in listed if isinstance(entry.get("interfaceName"), str)}
    first = 0 if any(entry.get("podNetworkName") == names.DEFAULT_NETWORK for entry in listed) else 1
    for entry in listed:
        had = former.get(_reference(entry))
        if not entry.get("interfaceName") and had and had not in used:
            entry["interfaceName"] = had
            used.add(had)
    for place, entry in enumerate(listed, first):
        if not entry.get("interfaceName") and entry.get("podNetworkName") != names.DEFAULT_NETWORK:
            entry["interfaceName"] = next(n for n in _from(place) if n not in used and n not in former.values())
            used.add(entry["interfaceName"])
    return msgspec.json.encode(listed).decode()


def _former(kept: str | None) -> dict[tuple[Any, Any], str]:
    """The interface of each entry of the old list."""
    entries = pods.explicit(kept)[0].entries if kept is not None else ()
    return {(n.pod_network_name, n.pod_network_attachment_name): n.interface_name for n in entries}


def _reference(entry: dict[str, Any]) -> tuple[str, str]:
    """What an entry names; of a broken one, nothing."""
    found = [entry.get(key) or "" for key in ("podNetworkName", "podNetworkAttachmentName")]
    name, attachment = [value if isinstance(value, str) else "" for value in found]
    return name, attachment


def _from(place: int) -> Iterator[str]:
    """The name by the place in the list, and those after it."""
    while True:
        yield f"net{place}"
        place += 1
