"""Devices that a Pod's NADs name (resourceName) -> resources of its first container. Pure; called by ``webhook``.

What network-resources-injector does, for those who had it: requests and limits, the Pod's labels and annotations as
files in /etc/podnetinfo and, if asked for, what its containers have of huge pages, with their names as CONTAINER_NAME.
What containers ask for already counts, so it may be repeated, and stand beside the injector's own webhook. Its third
part, the NAD's nodeSelector, is the NetworkConfig's own; what users define themselves is for a policy (``migrate``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VOLUME, DIRECTORY = "podnetinfo", "/etc/podnetinfo"
_FILES = ("labels", "annotations")
_KINDS = ("requests", "limits")
_PAGES = {"hugepages-1Gi": "hugepages_1G", "hugepages-2Mi": "hugepages_2M"}
_OWN_NAME = "CONTAINER_NAME"
_NOTHING = {"", "0"}


def patch(pod: Mapping[str, Any], wanted: Mapping[str, int], *, pages: bool = False) -> list[dict[str, Any]]:
    """What makes ``pod`` ask for so many devices of each resource (RFC 6902); nothing where it does. ``pages``: huge
    pages are told as well."""
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
    return [made, *_information(pod["spec"], containers, _huge(containers) if pages else [])]


def _asked(containers: list[dict[str, Any]], name: str) -> int:
    """Of an extended resource, requests and limits are the same; one of them may be left out."""
    resources = [container.get("resources") or {} for container in containers]
    return sum(max(_number((one.get(kind) or {}).get(name)) for kind in _KINDS) for one in resources)


def _number(quantity: object) -> int:
    """Devices are counted in whole numbers; anything else the API server refuses."""
    text = str(quantity or 0)
    return int(text) if text.isdecimal() else 0


def _huge(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A file for each number of huge pages that a container has, in MiB."""
    return [
        {
            "path": f"{name}_{kind.removesuffix('s')}_{container.get('name')}",
            "resourceFieldRef": {
                "containerName": container.get("name"),
                "resource": f"{kind}.{resource}",
                "divisor": "1Mi",
            },
        }
        for container in containers
        for kind in _KINDS
        for resource, name in _PAGES.items()
        if str(((container.get("resources") or {}).get(kind) or {}).get(resource, "")) not in _NOTHING
    ]


def _information(
    spec: Mapping[str, Any], containers: list[dict[str, Any]], more: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The volume with the Pod's labels and annotations, in every container that has none there."""
    volumes = spec.get("volumes") or []
    if any(volume.get("name") == VOLUME for volume in volumes):
        return []
    items = [{"path": path, "fieldRef": {"fieldPath": f"metadata.{path}"}} for path in _FILES] + more
    named = {item["resourceFieldRef"]["containerName"] for item in more}
    steps = [_appended("/spec/volumes", volumes, {"name": VOLUME, "downwardAPI": {"items": items}})]
    mount = {"name": VOLUME, "mountPath": DIRECTORY, "readOnly": True}
    for place, container in enumerate(containers):
        mounts = container.get("volumeMounts") or []
        if all(one.get("mountPath", "").rstrip("/") != DIRECTORY for one in mounts):
            steps.append(_appended(f"/spec/containers/{place}/volumeMounts", mounts, mount))
        own = container.get("env") or []
        if container.get("name") in named and all(one.get("name") != _OWN_NAME for one in own):
            steps.append(
                _appended(f"/spec/containers/{place}/env", own, {"name": _OWN_NAME, "value": container["name"]})
            )
    return steps


def _appended(path: str, listed: list[Any], item: dict[str, Any]) -> dict[str, Any]:
    return {"op": "add", "path": f"{path}/-", "value": item} if listed else {"op": "add", "path": path, "value": [item]}
