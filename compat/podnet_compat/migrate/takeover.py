"""How a new Pod of a namespace that podnet has taken over leaves Multus: at admission, and by itself alone. Pure.

Multus reads its annotations from the API when the Pod's sandbox is made; what is not there it does not attach. So the
Pod's own annotations move to keys of ours, and the list of podnet stands beside them. The Pod's owner keeps what the
user wrote: a Pod that it makes after a rollback is Multus' again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podnet_api import names as api_names
from podnet_api import networks
from podnet_api.faults import Fault, FaultType

from podnet_compat import names
from podnet_compat import pod as pods

_AGAIN = "another webhook wrote it after podnet had taken the Pod over from Multus: let that webhook run before"


def inert(pod: Mapping[str, Any]) -> bool:
    """Whether nobody attaches ``pod`` by its annotations now: it has the node's interfaces, or is the mirror of a
    static Pod, which cannot be changed and stays with Multus."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return bool((pod.get("spec") or {}).get("hostNetwork")) or names.MIRROR_POD in annotations


def faults(annotations: Mapping[str, str]) -> tuple[Fault, ...]:
    """What is in the way of taking a Pod with ``annotations`` over."""
    again = [key for key, moved in names.MOVED.items() if key in annotations and moved in annotations]
    return tuple(Fault(f"metadata.annotations[{key}]", FaultType.FORBIDDEN, _AGAIN) for key in again)


def patch(annotations: Mapping[str, str], listed: tuple[networks.Network, ...]) -> list[dict[str, Any]]:
    """The changes to a Pod with ``annotations`` whose list is ``listed`` (empty: it keeps what list it has)."""
    made = {api_names.NETWORKS_ANNOTATION: networks.encode(listed), names.TRANSLATED: pods.mark(listed)}
    held = {moved: annotations[key] for key, moved in names.MOVED.items() if key in annotations}
    added = {**(made if listed else {}), **held}
    gone = [{"op": "remove", "path": pointer(key)} for key in names.MOVED if key in annotations]
    return [{"op": "add", "path": pointer(key), "value": value} for key, value in added.items()] + gone


def pointer(key: str) -> str:
    """The JSON pointer (RFC 6901) of an annotation."""
    return "/metadata/annotations/" + key.replace("~", "~0").replace("/", "~1")
