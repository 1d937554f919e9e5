"""kopf: the events of our four kinds go into the store, and what they touch into the queue.

kopf only watches. It has no finalizer, no annotation and no memory in users' objects: there are ``on.event``
handlers and indices, and nothing else. An index is what kopf fills before any handler runs, so that no
object is judged before its parameters are known; ours puts the objects into the store.
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

    async def remember(body: kopf.Body, **_: Any) -> None:
        store.put(_decode(kind, body))

    async def notice(body: kopf.Body, type: str | None, **_: Any) -> None:
        item = _decode(kind, body)
        if type == "DELETED":
            store.drop(item)
        for key in (
            key_of(item),
            *touched(item, store),
            *(rivals(item, store) if type in {"ADDED", "DELETED"} else ()),
        ):
            queue.add(key)

    where = (place.group, place.version, place.plural)
    kopf.index(*where, id=f"remember-{place.plural}", registry=made)(remember)
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
