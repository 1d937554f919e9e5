"""Networks by namespace: what a Pod gets that says nothing of networks itself. Pure.

An administrator labels a Namespace; nobody changes a manifest (KEP-3698, requirement 23 and user story 6).
What is added stands in the Pod afterwards, for everybody to see. A Pod with a list of its own, be it only
``default``, is left alone. ``text_for`` says what a Pod gets, ``with_list`` is the Pod as if its user had written
that, and ``answer`` turns the answer for such a Pod into one for the Pod as it is.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from podnet_api import core, names
from podnet_api.admission.review import Allow, Deny
from podnet_api.faults import Fault, FaultType
from podnet_api.webhook import configurations, pods

_SEPARATOR = "_"
_ANNOTATIONS = "/metadata/annotations"
_LIST = pods.annotation_path(names.NETWORKS_ANNOTATION)


def text_of(namespace: core.Namespace) -> str:
    """The list for Pods of ``namespace`` as the text of an annotation; ``""``: none."""
    meta = namespace.metadata
    label = meta.labels.get(names.NAMESPACE_NETWORKS)
    if label is None:
        return ""
    listed = [{"podNetworkName": name} for name in label.split(_SEPARATOR) if name]
    by_label = msgspec.json.encode(listed).decode() if listed else ""
    return meta.annotations.get(names.NAMESPACE_NETWORKS, by_label)


def text_for(pod: dict[str, Any], namespace: core.Namespace) -> str:
    """The list for this Pod; ``""`` where it has one, cannot have one, or is let out."""
    labels = (pod.get("metadata") or {}).get("labels") or {}
    let_out = labels.get(names.NAMESPACE_NETWORKS) == configurations.LET_OUT
    host_network = bool((pod.get("spec") or {}).get("hostNetwork"))
    return "" if let_out or host_network or pods.text_of(pod) is not None else text_of(namespace)


def with_list(pod: dict[str, Any], text: str) -> dict[str, Any]:
    """``pod`` with ``text`` as its list."""
    made = copy.deepcopy(pod)
    annotations = _annotations(pod) | {names.NETWORKS_ANNOTATION: text}
    made["metadata"] = {**(made.get("metadata") or {}), "annotations": annotations}
    return made


def _annotations(pod: dict[str, Any]) -> dict[str, str]:
    return (pod.get("metadata") or {}).get("annotations") or {}


def answer(pod: dict[str, Any], text: str, namespace: str, given: Allow | Deny) -> Allow | Deny:
    """The answer for ``pod``, out of the one ``given`` for ``with_list(pod, text)``."""
    if isinstance(given, Deny):
        return Deny(given.kind, given.name, tuple(_blamed(fault, namespace) for fault in given.faults), given.warnings)
    first = [] if _annotations(pod) else [{"op": "add", "path": _ANNOTATIONS, "value": {}}]
    changed = any(step["path"] == _LIST for step in given.patch)
    written = [] if changed else [{"op": "add", "path": _LIST, "value": text}]
    return Allow([*first, *written, *given.patch], given.warnings)


def _blamed(fault: Fault, namespace: str) -> Fault:
    """The user did not write the list: the message says where it comes from."""
    message = f"the list comes from {names.NAMESPACE_NETWORKS} of Namespace {namespace}: {fault}"
    return Fault("metadata.namespace", FaultType.FORBIDDEN, message)
