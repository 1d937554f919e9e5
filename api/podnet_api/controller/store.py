"""The objects of our four kinds, as last seen. Never goes back in time.

kopf's events fill it; because kopf is not told of what was deleted while its watch was away, a fresh list
replaces it from time to time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from podnet_api import kni, multinetwork

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


class Store:
    """Objects by key."""

    def __init__(self) -> None:
        self._items: dict[tuple[type[Any], str, str], Item] = {}

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        """The object, or None."""
        found = self._items.get((kind, namespace, name))
        return found if isinstance(found, kind) else None

    def all(self, kind: type[T]) -> Iterator[T]:
        """Every object of a kind."""
        return (item for item in list(self._items.values()) if isinstance(item, kind))

    def put(self, item: Item) -> None:
        """Take over ``item`` unless a newer state is known."""
        old = self._items.get(key_of(item))
        if old is None or old.metadata.uid != item.metadata.uid or _version(old) <= _version(item):
            self._items[key_of(item)] = item

    def drop(self, item: Item) -> None:
        """Forget ``item`` unless another object has its name by now."""
        old = self._items.get(key_of(item))
        if old is not None and old.metadata.uid == item.metadata.uid:
            del self._items[key_of(item)]

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
