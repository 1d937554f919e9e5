"""kopf: the events of our four kinds go into the store, and what they touch into the queue.

kopf only watches. It has no finalizer, no annotation and no memory in users' objects: there are ``on.event``
handlers and nothing else. The store is full before kopf starts, so that no object is judged before its parameters are
known. kopf's own way, an index, wakes all waiting objects for each that is indexed: with 7,000 it never ends.
"""

from __future__ import annotations

import os
from typing import Any

import kopf
import msgspec

from podnet_api import kni, overlap
from podnet_api.controller.queue import Queue
from podnet_api.controller.store import KINDS, Item, Key, Store, key_of, references


def registry(store: Store, queue: Queue[Key]) -> kopf.OperatorRegistry:
    """The handlers."""
    made = kopf.OperatorRegistry()
    for kind in KINDS:
        _watch(made, kind, store, queue)
    kopf.on.startup(registry=made)(_configure)
    kopf.on.login(registry=made)(_login)
    return made


def _watch(made: kopf.OperatorRegistry, kind: type[Item], store: Store, queue: Queue[Key]) -> None:
    place = kind.resource

    async def notice(body: kopf.Body, type: str | None, **_: Any) -> None:
        item = _decode(kind, body)
        if type == "DELETED":
            store.drop(item)
        else:
            store.put(item)
        for key in (
            key_of(item),
            *touched(item, store),
            *(rivals(item, store) if type in {"ADDED", "DELETED"} else ()),
        ):
            queue.add(key)

    where = (place.group, place.version, place.plural)
    kopf.on.event(*where, id=f"notice-{place.plural}", registry=made)(notice)


def _decode(kind: type[Item], body: kopf.Body) -> Item:
    return msgspec.convert({key: body[key] for key in ("metadata", "spec", "status") if key in body}, kind)


def touched(item: Item, store: Store) -> list[Key]:
    """Keys of the objects whose state depends on ``item``: those it names, and those that name it."""
    return [*references(item), *store.users(key_of(item))]


def rivals(item: Item, store: Store) -> list[Key]:
    """Keys of the networks whose pool gives the same addresses as that of ``item``, which came or went."""
    if not isinstance(item, kni.NetworkConfig):
        return []
    others = overlap.overlapping(item, store.all(kni.NetworkConfig))
    return [key for other in others for key in store.users(key_of(other))]


async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.peering.standalone = True  # peering stops at equal priorities; two of us do no harm
    settings.posting.enabled = False  # Events are written where a user needs them, not for each log line
    settings.watching.server_timeout = 300
    settings.networking.connect_timeout = 10


async def _login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo | None:
    """In the order of podnet_api.kube.Credentials."""
    if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
        return kopf.login_with_service_account(settings=settings)
    return kopf.login_with_kubeconfig(settings=settings)
