"""The objects of our four kinds, as last seen, and who references whom. Never goes back in time.

kopf's events fill it; because kopf is not told of what was deleted while its watch was away, a fresh list
replaces it from time to time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from podnet_api import kni, multinetwork, names
from podnet_api.meta import ParametersRef

Item = multinetwork.PodNetwork | multinetwork.PodNetworkAttachment | kni.NetworkConfig | kni.AttachmentConfig
KINDS: tuple[type[Item], ...] = (
    multinetwork.PodNetwork,
    multinetwork.PodNetworkAttachment,
    kni.NetworkConfig,
    kni.AttachmentConfig,
)
Key = tuple[type[Item], str, str]
"""Kind, namespace, name."""
T = TypeVar("T", bound=Item)


def key_of(item: Item) -> Key:
    """The key of ``item``."""
    return type(item), item.metadata.namespace, item.metadata.name


def references(item: Item) -> list[Key]:
    """Keys of the objects that ``item`` names, as far as they are of our kinds."""
    match item:
        case multinetwork.PodNetwork():
            return [(kni.NetworkConfig, "", ref.name) for ref in item.spec.parameters_refs if _ours(ref, "Network")]
        case multinetwork.PodNetworkAttachment():
            own = [ref for ref in item.spec.parameters_refs if _ours(ref, "Attachment")]
            parameters: list[Key] = [(kni.AttachmentConfig, item.metadata.namespace, ref.name) for ref in own]
            return [(multinetwork.PodNetwork, "", item.spec.pod_network_name), *parameters]
    return []


def _ours(ref: ParametersRef, kind: str) -> bool:
    return (ref.group, ref.kind) == (names.KNI_GROUP, f"{kind}Config")


class Store:
    """Objects by key."""

    def __init__(self) -> None:
        self._items: dict[type[Any], dict[tuple[str, str], Item]] = {kind: {} for kind in KINDS}
        self._users: dict[Key, dict[Key, None]] = {}
        self._changes: dict[type[Any], int] = dict.fromkeys(KINDS, 0)

    def changes(self, kind: type[Item]) -> int:
        """A number that grows when an object of a kind comes, goes, or gets another spec."""
        return self._changes[kind]

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        """The object, or None."""
        found = self._items[kind].get((namespace, name))
        return found if isinstance(found, kind) else None

    def all(self, kind: type[T]) -> Iterator[T]:
        """Every object of a kind."""
        return (item for item in list(self._items[kind].values()) if isinstance(item, kind))

    def users(self, key: Key) -> list[Key]:
        """Keys of the objects that reference the object of ``key``, whether or not it exists."""
        return list(self._users.get(key, ()))

    def put(self, item: Item) -> None:
        """Take over ``item`` unless a newer state is known."""
        key = key_of(item)
        old = self._items[key[0]].get(key[1:])
        if old is None or old.metadata.uid != item.metadata.uid or _version(old) <= _version(item):
            if old is not None:
                self._unlink(old)
            self._changes[key[0]] += old is None or old.spec != item.spec
            self._items[key[0]][key[1:]] = item
            for named in references(item):
                self._users.setdefault(named, {})[key] = None

    def drop(self, item: Item) -> None:
        """Forget ``item`` unless another object has its name by now."""
        key = key_of(item)
        old = self._items[key[0]].get(key[1:])
        if old is not None and old.metadata.uid == item.metadata.uid:
            self._unlink(old)
            self._changes[key[0]] += 1
            del self._items[key[0]][key[1:]]

    def _unlink(self, item: Item) -> None:
        for named in references(item):
            users = self._users.get(named, {})
            users.pop(key_of(item), None)
            if not users:
                self._users.pop(named, None)

    def replace(self, kind: type[Item], items: Sequence[Item], version: str) -> None:
        """Take over a fresh list of a kind, made at resource version ``version``."""
        present = {key_of(item) for item in items}
        for item in list(self.all(kind)):
            if key_of(item) not in present and _version(item) <= int(version):
                self.drop(item)
        for item in items:
            self.put(item)


def _version(item: Item) -> int:
    """Resource versions of one API server are numbers that grow."""
    return int(item.metadata.resource_version or "0")
