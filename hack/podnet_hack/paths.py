"""Where things lie: the checkout, and the per-user cache that all checkouts share."""

import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build"


def cache() -> pathlib.Path:
    """The per-user cache; what lies in it is keyed by version, so that every checkout can use it."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "podnet"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the per-user lock `name`: two checkouts may run the same target at once."""
    path = cache() / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def once(key: str, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """The cached directory `key`; `make` fills it the first time.

    It is filled beside its final place and renamed, so that a run that was killed leaves nothing half done.
    """
    target = cache() / key
    if target.is_dir():
        return target
    with locked(key.replace("/", "-")):
        if target.is_dir():
            return target
        partial = target.with_name(target.name + ".partial")
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        make(partial)
        partial.rename(target)
    return target
