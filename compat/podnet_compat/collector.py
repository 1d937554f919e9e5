"""Generated attachments that no Pod names any more are deleted, so that a cluster does not fill with them.

``main`` runs it. An attachment goes when no live Pod names it and none has asked for it for a while: a Pod
that is just being admitted is not in any list yet. ``keeper`` marks what is asked for, and a deletion holds
only for an object that is unmarked since we looked.
"""

from __future__ import annotations

import asyncio
import logging

from podnet_api import kni, multinetwork
from podnet_api import names as api_names
from podnet_api.errors import KubeError

from podnet_compat import keeper, names, usage
from podnet_compat.store import Store

log = logging.getLogger(__name__)

PERIOD = 300.0
GRACE = 600.0
"""Seconds for which an attachment stays after a Pod asked for it."""


async def run(store: Store) -> None:
    """Collect until cancelled."""
    await store.synced()
    while True:
        try:
            await collect(store)
        except KubeError as error:
            log.warning("%s; attachments are collected again in %.0f s", error, PERIOD)
        await asyncio.sleep(PERIOD)


async def collect(store: Store) -> None:
    """Delete each generated attachment that is old and unused, and its parameters. Raises KubeError."""
    old = [item for item in store.attachments if generated(item) and keeper.age(item) > GRACE]
    orphans = [item for item in store.parameters if _orphan(store, item)]
    if not old and not orphans:
        return
    used = (await usage.now(store.client, store.attachments)).attachments
    for attachment in old:
        if _key(attachment) not in used:
            await store.delete_unchanged(attachment)
    for parameters in orphans:
        await store.delete_unchanged(parameters)


def _orphan(store: Store, item: kni.AttachmentConfig) -> bool:
    """Parameters without their attachment. They outlive it by one round: it may be just being made."""
    return store.attachments.get(item.metadata.name, item.metadata.namespace) is None and keeper.age(item) > GRACE


def generated(item: multinetwork.PodNetworkAttachment) -> bool:
    """Whether compat made it, for whoever asks for the same."""
    return item.metadata.labels.get(api_names.GENERATED_BY_LABEL) == names.COMPAT


def _key(item: multinetwork.PodNetworkAttachment) -> tuple[str, str]:
    return item.metadata.namespace, item.metadata.name
