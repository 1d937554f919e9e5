"""Where the objects of a plan come from: a directory of YAML and JSON, or a cluster.

``command`` reads once for a plan; ``work`` reads again between its steps. Of Pods only what a plan needs is kept, page
by page: 10,000 of them are many.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from podnet_api.errors import NotFoundError, PodnetError
from podnet_api.kube import Client
from podnet_api.proxy.carriers import CARRIERS

from podnet_compat import jsontext, legacy, systems
from podnet_compat.migrate import inventory, kept
from podnet_compat.migrate.inventory import Inventory, Object

_OBJECTS = (".yaml", ".yml", ".json")
_CONFIGURATIONS = (".conf", ".conflist")
_MERGE = "tag:yaml.org,2002:merge"
_PAGE = 500
_HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class ReadError(PodnetError):
    """A file cannot be read."""


class _Loader(yaml.SafeLoader):
    """Dates stay text, as in JSON, and a key stands once, as kubectl has it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set[str]()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def files(paths: Iterable[Path], namespace: str) -> Inventory:
    """What stands in files and directories; of these every file that ends as an object or a configuration of CNI does.

    Raises ReadError with the file, line and column.
    """
    items: list[Object] = []
    texts: dict[str, str] = {}
    for path in _each(paths):
        text = _text(path)
        if path.suffix in _CONFIGURATIONS:
            texts[str(path)] = text
        else:
            items += _objects(path, text)
    return inventory.sort(items, namespace, texts)


def _each(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        ends = _OBJECTS + _CONFIGURATIONS
        found += sorted(p for p in path.rglob("*") if p.suffix in ends and p.is_file()) if path.is_dir() else [path]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"cannot read {path}: {error}") from error


def _objects(path: Path, text: str) -> list[Object]:
    """The objects of a file, those of a List one by one."""
    try:
        documents = list(yaml.load_all(text, _Loader))
    except yaml.YAMLError as error:
        raise ReadError(f"cannot read {path}: {error}") from error
    whole = [document for document in documents if isinstance(document, dict)]
    found = [item for document in whole for item in (document.get("items") or [document])]
    return [jsontext.clean(item) for item in found if isinstance(item, dict)]


async def cluster(client: Client, multus: Iterable[str], only: str = "") -> Inventory:
    """What the cluster has. ``multus``: the namespaces where Multus' ConfigMaps may be; ``only``: the namespace whose
    Pods and workloads are wanted, empty for all. Raises KubeError."""
    space = f"/namespaces/{only}" if only else ""
    items = await _list(client, "/api/v1/namespaces", "Namespace")
    items += await _list(client, f"/apis/{legacy.GROUP}/v1/network-attachment-definitions", legacy.KIND)
    for group, version, plural in CARRIERS:
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        items += await _list(client, f"{root}{space}/{plural}", CARRIERS[(group, version, plural)].kind)
    for namespace in sorted(set(multus)):
        items += await _list(client, f"/api/v1/namespaces/{namespace}/configmaps", "ConfigMap")
    noted = {"fieldSelector": f"metadata.name={kept.NAME}"}
    items += await _list(client, f"/api/v1{space}/configmaps", "ConfigMap", noted)
    items += await _one(client, f"{_HOOKS}/{inventory.WEBHOOK}")
    return inventory.sort([*items, *await _foreign(client)], "default")


async def _foreign(client: Client) -> list[Object]:
    """Objects of other systems, of the first version that is served."""
    items: list[Object] = []
    kinds = [(kind.group, kind.plural, kind.kind, kind.versions) for system in systems.SYSTEMS for kind in system.kinds]
    wanted = {(group, plural): (kind, versions) for group, plural, kind, versions in kinds if plural and group}
    wanted[(legacy.GROUP, "multi-networkpolicies")] = (inventory.POLICY, ("v1beta2", "v1beta1"))
    for (group, plural), (kind, versions) in sorted(wanted.items()):
        for version in versions:
            if found := await _list(client, f"/apis/{group}/{version}/{plural}", kind):
                items += [item for item in found if item.get("kind") != legacy.KIND]
                break
    return items


async def _list(client: Client, path: str, kind: str, selectors: dict[str, str] | None = None) -> list[Object]:
    """Every object at ``path``; none where the kind is not served."""
    items: list[Object] = []
    query = {**(selectors or {}), "limit": str(_PAGE)}
    while True:
        try:
            page = msgspec.json.decode(await client.request("GET", path, query))
        except NotFoundError:
            return items
        version = page.get("apiVersion", "v1")
        items += [{"apiVersion": version, "kind": kind, **_lean(item, kind)} for item in page.get("items") or ()]
        going = (page.get("metadata") or {}).get("continue")
        if not going:
            return items
        query["continue"] = going


async def _one(client: Client, path: str) -> list[Object]:
    try:
        return [msgspec.json.decode(await client.request("GET", path))]
    except NotFoundError:
        return []


def _lean(item: Object, kind: str) -> Object:
    """``item`` without what no plan looks at."""
    meta: dict[str, Any] = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    if kind != "Pod":
        return {**item, "metadata": meta}
    status = {"phase": (item.get("status") or {}).get("phase")}
    return {**item, "metadata": meta, "status": status}
