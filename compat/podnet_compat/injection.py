"""Devices that a Pod's NADs name (resourceName) -> resources of its first container. Pure; called by ``webhook``.

What network-resources-injector does, for those who had it: requests and limits, and the Pod's labels and annotations
as files in /etc/podnetinfo. What containers ask for already counts, so it may be repeated, and stand beside the
injector's own webhook. Its third part, the NAD's nodeSelector, is the NetworkConfig's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VOLUME, DIRECTORY = "podnetinfo", "/etc/podnetinfo"
_FILES = ("labels", "annotations")
_KINDS = ("requests", "limits")


def patch(pod: Mapping[str, Any], wanted: Mapping[str, int]) -> list[dict[str, Any]]:
    """What makes ``pod`` ask for so many devices of each resource (RFC 6902); nothing where it does."""
    containers: list[dict[str, Any]] = pod.get("spec", {}).get("containers") or []
    missing = {name: count - _asked(containers, name) for name, count in wanted.items()}
    missing = {name: count for name, count in missing.items() if count > 0}
    if not containers or not missing:
        return []
    resources = {**(containers[0].get("resources") or {})}
    for kind in _KINDS:
        given = resources.get(kind) or {}
        resources[kind] = given | {name: str(count + _number(given.get(name))) for name, count in missing.items()}
    made: dict[str, Any] = {"op": "add", "path": "/spec/containers/0/resources", "value": resources}
    return [made, *_information(pod["spec"], containers)]


def _asked(containers: list[dict[str, Any]], name: str) -> int:
    """Of an extended resource, requests and limits are the same; one of them may be left out."""
    resources = [container.get("resources") or {} for container in containers]
    return sum(max(_number((one.get(kind) or {}).get(name)) for kind in _KINDS) for one in resources)


def _number(quantity: object) -> int:
    """Devices are counted in whole numbers; anything else the API server refuses."""
    text = str(quantity or 0)
    return int(text) if text.isdecimal() else 0


def _information(spec: Mapping[str, Any], containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The volume with the Pod's labels and annotations, in every container that has none there."""
    volumes = spec.get("volumes") or []
    if any(volume.get("name") == VOLUME for volume in volumes):
        return []
    items = [{"path": path, "fieldRef": {"fieldPath": f"metadata.{path}"}} for path in _FILES]
    steps = [_appended("/spec/volumes", volumes, {"name": VOLUME, "downwardAPI": {"items": items}})]
    mount = {"name": VOLUME, "mountPath": DIRECTORY, "readOnly": True}
    for place, container in enumerate(containers):
        mounts = container.get("volumeMounts") or []
        if all(one.get("mountPath", "").rstrip("/") != DIRECTORY for one in mounts):
            steps.append(_appended(f"/spec/containers/{place}/volumeMounts", mounts, mount))
    return steps


def _appended(path: str, listed: list[Any], item: dict[str, Any]) -> dict[str, Any]:
    return {"op": "add", "path": f"{path}/-", "value": item} if listed else {"op": "add", "path": path, "value": [item]}
