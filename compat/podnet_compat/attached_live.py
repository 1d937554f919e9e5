"""What Pods have that podnet did not attach, as the cluster says it: ``attached`` of all Pods, read when asked for.

``reservations_live`` asks before a NAD is made. Such a Pod has what a NAD said before: one look serves all NADs that
did not change since, for a while. (While a Multus runs the plugins attach: DESIGN.md, "Beside Multus".)
"""

from __future__ import annotations

import asyncio
import math

from msgspec import structs
from podnet_api import core
from podnet_api.errors import InvalidError

from podnet_compat import attached, names, settle
from podnet_compat import nad as nads
from podnet_compat.legacy import Nad
from podnet_compat.reservations import Reservation
from podnet_compat.store import Store

SEEN = 60.0
"""Seconds for which a look serves."""
FRESH = 4.0
"""The same for a NAD that changed since: many may come at once."""


class Attached:
    """Addresses by NAD."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[attached.Key, list[Reservation]] = {}
        self._twins: dict[str, list[attached.Key]] = {}
        self._looked = -math.inf
        self._version = 0
        self._looking = asyncio.Lock()

    async def look(self, nad: Nad) -> None:
        """Know them as they were after the last change of ``nad``. Raises KubeError."""
        async with self._looking:
            begun = asyncio.get_running_loop().time()
            if begun - self._looked < (FRESH if _number(nad.metadata.resource_version) > self._version else SEEN):
                return
            found: dict[attached.Key, list[Reservation]] = {}
            async for page, version in self._store.client.pages(core.Pod):
                self._version = _number(version)
                for key, listed in attached.of(page).items():
                    found.setdefault(key, []).extend(listed)
            self.learn(found)
            self._looked = begun

    def learn(self, found: dict[attached.Key, list[Reservation]]) -> None:
        """These are all."""
        self._found, self._twins = found, {}
        for key in found:
            nad = self._store.nads.get(key[1], key[0])
            if nad is not None:
                self._twins.setdefault(_content(nad), []).append(key)

    def of(self, nad: Nad) -> list[Reservation]:
        """Those of ``nad``, of the NADs of its store, and of those like it, which are to share its pool."""
        if not self._found:
            return []
        keys = {nad.key, *self._store.stores.mates(nad), *self._twins.get(_content(nad), ())}
        return [one for key in sorted(keys) for one in self._found.get(key, ())]


def _number(version: str) -> int:
    """Resource versions of one API server grow (KEP-5504)."""
    return int(version) if version.isdecimal() else 0


def _content(nad: Nad) -> str:
    """What the NetworkConfig of ``nad`` would say if nothing were in use; its own name where there would be none."""
    rest = {key: text for key, text in nad.metadata.annotations.items() if key not in (names.STICKY, names.IN_USE)}
    plain = structs.replace(nad, metadata=structs.replace(nad.metadata, annotations=rest))
    try:
        return settle.content(nads.translate(plain).config.spec)
    except InvalidError:
        return nad.subject
