"""Every system there is: one import and one entry each. Pure; ``translate`` goes through them.

The first that claims a Pod translates it. Where systems share a key, its claim says whose it is.
"""

from __future__ import annotations

from podnet_compat.systems import danm, genie, knitter
from podnet_compat.systems.registry import System

SYSTEMS: tuple[System, ...] = (
    danm.SYSTEM,
    genie.SYSTEM,
    knitter.SYSTEM,
)
