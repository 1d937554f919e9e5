"""Generated attachments: created when a Pod needs them, marked as used when they are there already.

The webhook calls ``keep`` before it answers. The mark makes it safe that ``collector`` deletes what no Pod
names: it deletes only what has been unmarked for long, and only unchanged.
"""

from __future__ import annotations

import datetime
from typing import TypeVar

from msgspec import structs
from podnet_api import kni, multinetwork
from podnet_api.errors import AlreadyExistsError, KubeError, NotFoundError
from podnet_api.kube import Cache

from podnet_compat import names
from podnet_compat.attachment import Pair
from podnet_compat.store import Store

T = TypeVar("T", multinetwork.PodNetworkAttachment, kni.AttachmentConfig)
FRESH = 60.0
"""Seconds for which a mark need not be renewed."""
_TRIES = 3


async def keep(store: Store, pair: Pair) -> None:
    """Make sure that both objects of ``pair`` are there and stay. Raises KubeError."""
    await _keep(store, store.parameters, pair.config)
    await _keep(store, store.attachments, pair.attachment)


async def _keep(store: Store, cache: Cache[T], wanted: T) -> None:
    meta = wanted.metadata
    found = cache.get(meta.name, meta.namespace)
    if found is not None and found.spec == wanted.spec and _usable(found) and age(found) < FRESH:
        return
    for _ in range(_TRIES):
        try:
            cache.learn(await store.client.create(_marked(wanted)))
        except AlreadyExistsError:
            if await _reused(store, cache, wanted):
                return
        else:
            return
    raise KubeError(f"cannot make {_subject(wanted)}: it is being removed just now; try again", 409)


async def _reused(store: Store, cache: Cache[T], wanted: T) -> bool:
    """Mark the object that is there as used; False when it went away meanwhile."""
    meta = wanted.metadata
    try:
        found = await store.client.get(type(wanted), meta.name, meta.namespace)
        if found.spec != wanted.spec:
            raise KubeError(f"cannot use {_subject(wanted)}: somebody else made it, and differently; delete it", 409)
        if not _usable(found):
            raise KubeError(f"cannot use {_subject(wanted)}: it is being removed just now; try again", 409)
        patch = {"metadata": {"annotations": {names.LAST_USED: _now().isoformat(timespec="seconds")}}}
        await store.client.merge(wanted.resource, meta.name, patch, namespace=meta.namespace)
    except NotFoundError:
        return False
    cache.learn(found)
    return True


def age(item: multinetwork.PodNetworkAttachment | kni.AttachmentConfig) -> float:
    """Seconds since a Pod last asked for ``item``, or since it was made."""
    stamp = item.metadata.annotations.get(names.LAST_USED) or item.metadata.creation_timestamp or ""
    try:
        then = datetime.datetime.fromisoformat(stamp)
    except ValueError:
        return 0.0
    return (_now() - (then if then.tzinfo else then.replace(tzinfo=datetime.UTC))).total_seconds()


def _marked(item: T) -> T:
    annotations = {**item.metadata.annotations, names.LAST_USED: _now().isoformat(timespec="seconds")}
    return structs.replace(item, metadata=structs.replace(item.metadata, annotations=annotations))


def _usable(item: multinetwork.PodNetworkAttachment | kni.AttachmentConfig) -> bool:
    return item.metadata.deletion_timestamp is None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _subject(item: multinetwork.PodNetworkAttachment | kni.AttachmentConfig) -> str:
    return f"{item.resource.kind} {item.metadata.namespace}/{item.metadata.name}"
