"""What goes on beside attaching: leftovers go, plugins are told what is in use, and asked whether they are well.

One task of the server. A plugin that somebody installs, or one whose STATUS changes, shows within seconds.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

from podnet_api.errors import PodnetError

from podnet_kni_server.cni.attach import Plugins
from podnet_kni_server.cni.executor import Executor

log = logging.getLogger(__name__)
_LOOK_SECONDS = 15.0
_COLLECT_EVERY = 240
"""Looks between two collections: an hour."""


async def run(
    executor: Executor, plugins: Plugins, alive: Callable[[], Collection[str]], changed: Callable[[], None]
) -> None:
    """Until cancelled. `alive` gives the sandboxes that are known, those being attached included; `changed` is
    called when the state of a network's plugins is another one than before."""
    looks = 0
    while True:
        if looks % _COLLECT_EVERY == 0:
            await collect(executor, plugins, alive())
        await asyncio.sleep(_LOOK_SECONDS)
        looks += 1
        if await plugins.look_again():
            changed()


async def collect(executor: Executor, plugins: Plugins, alive: Collection[str]) -> None:
    """DEL what belongs to no sandbox, then GC for each network. A failure is logged and tried again next time."""
    for removed in await executor.sweep(alive):
        log.warning("removed a leftover of CNI plugins: %s", removed)
    for text, name in plugins.networks():
        try:
            await executor.collect(text, name)
        except PodnetError as error:
            log.warning("%s", error)
