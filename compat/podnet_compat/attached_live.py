"""What Pods have that podnet did not attach, as the cluster says it: ``attached`` of all Pods, read when asked for.

``reservations_live`` asks before a NAD is made. Nobody gives such Pods more addresses, unless a Multus runs on, and
then the plugins attach both sides' Pods (DESIGN.md, "Beside Multus"): so one look serves for a while.
"""

from __future__ import annotations

import asyncio

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


class Attached:
    """Addresses by NAD."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: dict[attached.Key, list[Reservation]] = {}
        self._twins: dict[str, list[attached.Key]] = {}
        self._again = 0.0
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        """Know them. Raises KubeError."""
        async with self._looking:
            if asyncio.get_running_loop().time() < self._again:
                return
            found: dict[attached.Key, list[Reservation]] = {}
            async for page, _ in self._store.client.pages(core.Pod):
                for key, listed in attached.of(page).items():
                    found.setdefault(key, []).extend(listed)
            self.learn(found)

    def learn(self, found: dict[attached.Key, list[Reservation]]) -> None:
        """These are all."""
        self._found, self._twins = found, {}
        for key in found:
            nad = self._store.nads.get(key[1], key[0])
            if nad is not None:
                self._twins.setdefault(_content(nad), []).append(key)
        self._again = asyncio.get_running_loop().time() + SEEN

    def of(self, nad: Nad) -> list[Reservation]:
        """Those of ``nad``, of the NADs of its store, and of those like it, which are to share its pool."""
        if not self._found:
            return []
        keys = {nad.key, *self._store.stores.mates(nad), *self._twins.get(_content(nad), ())}
        return [one for key in sorted(keys) for one in self._found.get(key, ())]


def _content(nad: Nad) -> str:
    """What the NetworkConfig of ``nad`` would say if nothing were in use; its own name where there would be none."""
    rest = {key: text for key, text in nad.metadata.annotations.items() if key not in (names.STICKY, names.IN_USE)}
    plain = structs.replace(nad, metadata=structs.replace(nad.metadata, annotations=rest))
    try:
        return settle.content(nads.translate(plain).config.spec)
    except InvalidError:
        return nad.subject
