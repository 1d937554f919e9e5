"""Networks that a foreign control plane makes and no object describes well enough. Pure.

What such an object becomes is for people to decide, never for us to guess. They say it on the object: the annotation
``multinetwork.x-k8s.io/network-config`` names the NetworkConfig that takes its place. Without it the object is refused,
and the refusal says what must be decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from podnet_api import names as api_names

from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base
from podnet_compat.systems.base import Made, Source

KEY = f"{api_names.GROUP}/network-config"
PATH = f"metadata.annotations[{KEY}]"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def has(origin: Source) -> bool:
    """Whether ``origin`` says what takes its place."""
    return KEY in origin.annotations


def is_name(text: str) -> bool:
    """Whether ``text`` can be the name of an object (RFC 1123)."""
    return len(text) <= 253 and bool(_NAME.fullmatch(text))


def network(origin: Source, name: str, what: str, path: str, notes: Notes, replaced: Iterable[str] = ()) -> Made:
    """PodNetwork ``name`` on the NetworkConfig that the annotation names.

    Without it, ``what`` at ``path`` must be decided. ``replaced``: the paths of the fields for which the NetworkConfig
    stands. Raises InvalidError."""
    chosen = origin.annotations.get(KEY, "")
    if not has(origin):
        notes.unsupported(path, message=f"{what}: write a NetworkConfig for it and name that in the annotation {KEY}")
    elif not is_name(chosen):
        notes.fault(PATH, "must be the name of a NetworkConfig", chosen)
    else:
        for one in replaced:
            notes.warn(one, f"is not translated: NetworkConfig {chosen} stands for it")
    base.check(origin, notes)
    return Made((base.network(origin.subject, name, chosen),), warnings=tuple(notes.warnings))


def paths(reader: Reader) -> list[str]:
    """The paths of the keys of ``reader``, which are asked for by it."""
    reader.accept(*reader.written())
    return [reader.at(key) for key in sorted(reader.written())]
