"""Members: addresses that are kept for the Pods of StatefulSets, on whichever node they run.

An IPBlock of a single address names its holder and stays when the Pod goes; the controller deletes it when
the StatefulSet is scaled down or deleted. When the Pod comes back elsewhere the block moves: one update of
its node, guarded by the resource version. There is one Pod of a name in the API, so whoever has it bound to
its node may move its block. Coming back to the same node costs no request.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable

from podnet_api import kni, pools
from podnet_api.errors import ConflictError, KubeError

from podnet_kni_server.block_api import BlockApi
from podnet_kni_server.claims import Claims
from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.leases import Leases

log = logging.getLogger(__name__)


class Members:
    """Finds what is kept, and brings it to this node."""

    def __init__(self, node: str, leases: Leases, api: BlockApi, claims: Claims) -> None:
        self._node = node
        self._leases = leases
        self._api = api
        self._claims = claims

    async def find(self, pool: pools.Pool, version: int, member: kni.Member) -> pools.Network | None:
        """The address that is kept for ``member``, now this node's; None: none is. Raises NoAddressError.

        The watch cache may lag behind what another node did: before a new address is given the API is asked.
        """
        kept = _kept(pool, version, member, self._api.known())
        try:
            if kept is None:
                kept = _kept(pool, version, member, await self._api.listed(pool.config))
            if kept is None:
                return None
            return ipaddress.ip_network((await self._here(kept)).spec.cidr)
        except KubeError as error:
            message = f"cannot lease the address of NetworkConfig {pool.config} that is kept for Pod "
            raise NoAddressError(f"{message}{member.namespace}/{member.pod}: {error}") from error

    async def _here(self, kept: kni.IPBlock) -> kni.IPBlock:
        """``kept`` as a block of this node."""
        block = kept
        if kept.spec.node_name != self._node:
            try:
                block = await self._api.move(kept, self._node)
            except ConflictError:  # the cache is behind
                fresh = await self._api.read(kept.metadata.name)
                if fresh is None:
                    raise
                block = fresh if fresh.spec.node_name == self._node else await self._api.move(fresh, self._node)
            log.info("%s came from node %s", block.spec.cidr, kept.spec.node_name)
        self._claims.take(block)
        return block


def _kept(pool: pools.Pool, version: int, member: kni.Member, blocks: Iterable[kni.IPBlock]) -> kni.IPBlock | None:
    mine = [b for b in blocks if b.spec.network_config == pool.config and b.spec.holder == member]
    family = [b for b in mine if (":" in b.spec.cidr) == (version == 6)]
    return min(family, key=lambda b: b.metadata.name, default=None)
