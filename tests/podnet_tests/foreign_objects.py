"""Objects of other systems, written shortly, and what they become, read shortly."""

from __future__ import annotations

import json
from typing import Any

from podnet_compat.systems import Outcome, translate_objects

from podnet_tests import translated

Object = dict[str, Any]
NETWORKS = "k8s.v1.cni.cncf.io/networks"
DECIDED = "multinetwork.x-k8s.io/network-config"


def item(version: str, kind: str, name: str, spec: Any = None, namespace: str = "", **rest: Any) -> Object:
    """An object; ``rest``: further top-level keys, and labels and annotations."""
    meta: Object = {"name": name} | ({"namespace": namespace} if namespace else {})
    given = {key: rest.pop(key, None) for key in ("labels", "annotations")}
    meta |= {key: value for key, value in given.items() if value}
    made: Object = {"apiVersion": version, "kind": kind, "metadata": meta, **rest}
    return made if spec is None else {**made, "spec": spec}


def pod(annotations: dict[str, Any], namespace: str = "a", **spec: Any) -> Object:
    """A Pod p; values that are no strings become JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in annotations.items()}
    return item("v1", "Pod", "p", spec or {"containers": [{"name": "c"}]}, namespace, annotations=texts)


def nad(name: str, config: Any = None, namespace: str = "a", **annotations: str) -> Object:
    """A NetworkAttachmentDefinition; ``config`` as text or as JSON."""
    text = config if isinstance(config, str) else json.dumps(config)
    spec = None if config is None else {"config": text}
    return item("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", name, spec, namespace, annotations=annotations)


def run(*objects: Object) -> Outcome:
    """What they become together."""
    return translate_objects(list(objects), "a")


def listed(outcome: Outcome) -> list[str]:
    """The list of the one Pod: ``network@interface``, with ``+`` for an attachment and ``!`` and ``!6`` for the
    default gateways."""
    [entries] = translated.lists(outcome)
    found = []
    for entry in entries:
        attachment = entry.get("podNetworkAttachmentName", "")
        name = of_attachment(outcome, attachment)["spec"]["podNetworkName"] if attachment else entry["podNetworkName"]
        marks = ("!" if entry.get("isDefaultGW4") else "") + ("!6" if entry.get("isDefaultGW6") else "")
        found.append(f"{name}@{entry['interfaceName']}{'+' if attachment else ''}{marks}")
    return found


def of_attachment(outcome: Outcome, name: str) -> Object:
    """A PodNetworkAttachment."""
    return next(
        one for one in outcome.made if one["kind"] == "PodNetworkAttachment" and one["metadata"]["name"] == name
    )


def asked(outcome: Outcome) -> dict[str, Any]:
    """What each AttachmentConfig asks for, by its name."""
    return {one["metadata"]["name"]: one.get("spec", {}) for one in outcome.made if one["kind"] == "AttachmentConfig"}


def configs(outcome: Outcome) -> dict[str, Any]:
    """The spec of each NetworkConfig, by its name."""
    return {one["metadata"]["name"]: one["spec"] for one in outcome.made if one["kind"] == "NetworkConfig"}


def networks(outcome: Outcome) -> dict[str, str]:
    """The NetworkConfig of each PodNetwork."""
    found = [one for one in outcome.made if one["kind"] == "PodNetwork"]
    return {one["metadata"]["name"]: one["spec"]["parametersRefs"][0]["name"] for one in found}
