"""The live translation of other systems, put together as the program does it."""

from __future__ import annotations

from dataclasses import dataclass

from podnet_compat import systems
from podnet_compat.foreign.following import Following
from podnet_compat.foreign.reading import Reading
from podnet_compat.foreign.watching import Watched
from podnet_compat.foreign.webhook import Foreign, chosen
from podnet_compat.store import Store


@dataclass(frozen=True)
class Live:
    """Its parts; none runs yet."""

    hook: Foreign
    following: Following
    watched: Watched
    reading: Reading


def live(store: Store, named: str) -> Live:
    """The parts for the systems ``named``."""
    found = chosen(named, systems.SYSTEMS)
    watched = Watched(store.client, [kind for system in found for kind in system.kinds])
    reading = Reading(store, found, watched)
    following = Following(store, found, {}, reading, watched)
    return Live(Foreign(store, found, {}, reading), following, watched, reading)


def hook(store: Store, named: str) -> Foreign:
    """The webhook alone, where nothing is watched."""
    return live(store, named).hook
