"""Pools of one address space that give the same address: said of both, refused to nobody. Pure.

Isolated networks may have the same addresses; only their owner knows whether they meet. So a NetworkConfig
names its space (``ipam.space``), all that name none are of one space, and an overlap within a space is a
condition of the PodNetworks concerned and a warning when the NetworkConfig is created.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import msgspec

from podnet_api import kni, pools
from podnet_api.meta import ObjectMeta


def of_config(config: kni.NetworkConfig, others: Iterable[kni.NetworkConfig]) -> list[str]:
    """A sentence for each of ``others`` whose pool shares an address with that of ``config``."""
    space = config.spec.ipam.space if config.spec.ipam else ""
    where = f"address space {space}" if space else "the common address space"
    found = sorted(_found(config, others), key=lambda pair: pair[0].metadata.name)
    return [
        f"NetworkConfigs {config.metadata.name} and {other.metadata.name} of {where} both give {shared}"
        for other, shared in found
    ]


def overlapping(config: kni.NetworkConfig, others: Iterable[kni.NetworkConfig]) -> list[kni.NetworkConfig]:
    """Those of ``others`` whose pool shares an address with that of ``config``."""
    return [other for other, _ in _found(config, others)]


def _found(
    config: kni.NetworkConfig, others: Iterable[kni.NetworkConfig]
) -> Iterator[tuple[kni.NetworkConfig, object]]:
    mine = _pool(config)
    for other in others if mine else ():
        theirs = _pool(other)
        shared = mine.shared(theirs) if mine and theirs else None
        if shared is not None:
            yield other, shared


def _pool(config: kni.NetworkConfig) -> pools.Pool | None:
    return _read(config.metadata.name, msgspec.json.encode(config.spec.ipam)) if config.spec.ipam else None


@functools.lru_cache(maxsize=8192)
def _read(name: str, ipam: bytes) -> pools.Pool | None:
    """The same pools are compared again and again. None for what cannot be read: validation says what is wrong."""
    spec = kni.NetworkConfigSpec(ipam=msgspec.json.decode(ipam, type=kni.Ipam))
    try:
        return pools.pool_of(kni.NetworkConfig(metadata=ObjectMeta(name=name), spec=spec))
    except ValueError:
        return None
