"""Every system there is: one import and one entry each. Pure; ``translate`` goes through them.

The first that claims a Pod translates it. Where systems share a key, its claim says whose it is.
"""

from __future__ import annotations

from podnet_compat.systems import (
    antrea,
    cnifiles,
    danm,
    genie,
    gke,
    isovalent,
    knitter,
    kubeovn,
    kubevirt,
    kuryr,
    ovnk,
    recognised,
    tungsten,
)
from podnet_compat.systems.registry import System

SYSTEMS: tuple[System, ...] = (
    danm.SYSTEM,
    genie.SYSTEM,
    knitter.SYSTEM,
    recognised.GALAXY_SYSTEM,
    kubevirt.SYSTEM,
    isovalent.SYSTEM,
    gke.SYSTEM,
    tungsten.SYSTEM,
    kuryr.SYSTEM,
    antrea.SYSTEM,
    ovnk.SYSTEM,
    kubeovn.SYSTEM,
    cnifiles.SYSTEM,
    recognised.SYSTEM,
)
