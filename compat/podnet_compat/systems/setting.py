"""What no object says of another system, e.g. how its plugin was configured on the nodes: ``--set``. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from podnet_api.errors import PodnetError

from podnet_compat.systems.danm.keys import LEGACY_NAMES, MANUAL_SERVICES

FORM = "SYSTEM.NAME=VALUE"
HELP = f"what no object says of another system, e.g. {LEGACY_NAMES}=legacy"
KNOWN = frozenset({LEGACY_NAMES, MANUAL_SERVICES})


class SettingError(PodnetError):
    """A setting that nothing reads."""


def read(given: Sequence[str]) -> dict[str, str]:
    """Settings by their names. Raises SettingError."""
    found = dict(one.partition("=")[::2] for one in given)
    for one in given:
        if "=" not in one or one.partition("=")[0] not in KNOWN:
            raise SettingError(f"cannot read --set {one}: want {FORM}, known are {', '.join(sorted(KNOWN))}")
    return found
