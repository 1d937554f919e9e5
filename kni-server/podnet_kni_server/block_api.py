"""Where IPBlocks are kept: the seam between ``blocks`` and the API server (``objects``), and a fake for tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Protocol

import msgspec
from podnet_api import kni, pools
from podnet_api.errors import AlreadyExistsError, ConflictError, KubeError, UnreachableError


class BlockApi(Protocol):
    """The API server, or ``FakeBlockApi``. All that is asynchronous raises KubeError when nothing is known."""

    def known(self) -> Iterable[kni.IPBlock]:
        """All blocks, from a watch cache."""

    def pool(self, config: str) -> pools.Pool | None:
        """The pool of a NetworkConfig, from a watch cache; None when there is none (any more)."""

    def member(self, pod: str, interface: str) -> kni.Member | None:
        """Which member of a StatefulSet the Pod ``pod`` (namespace/name) is; None: of none.
        Raises NoAddressError when the Pod has not been seen yet."""

    async def create(self, block: kni.IPBlock) -> kni.IPBlock:
        """Raises AlreadyExistsError when somebody has it."""

    async def move(self, block: kni.IPBlock, node: str) -> kni.IPBlock:
        """Give ``block``, as it was read, another node. Raises ConflictError when it has changed meanwhile."""

    async def delete(self, block: kni.IPBlock) -> None:
        """Delete this very block. No error when it is gone, even when another has its name."""

    async def read(self, name: str) -> kni.IPBlock | None:
        """One block as it stands now."""

    async def listed(self, config: str) -> list[kni.IPBlock]:
        """All blocks of a NetworkConfig as they stand now."""


class FakeBlockApi:
    """BlockApi in memory, shared by as many simulated nodes as a test wants. ``down``: nothing reaches it.
    ``lose_answers``: what is asked is done, but nobody hears of it."""

    def __init__(self) -> None:
        self.blocks: dict[str, kni.IPBlock] = {}
        self.pools: dict[str, pools.Pool] = {}
        self.members: dict[str, str] = {}
        """Pod as namespace/name -> its StatefulSet."""
        self.down = False
        self.lose_answers = False
        self.writes = 0
        self._versions = itertools.count(1)

    def known(self) -> Iterable[kni.IPBlock]:
        return list(self.blocks.values())

    def pool(self, config: str) -> pools.Pool | None:
        return self.pools.get(config)

    def member(self, pod: str, interface: str) -> kni.Member | None:
        owner = self.members.get(pod)
        namespace, _, name = pod.partition("/")
        if owner is None:
            return None
        return kni.Member(namespace=namespace, stateful_set=owner, pod=name, interface=interface)

    async def create(self, block: kni.IPBlock) -> kni.IPBlock:
        await self._write()
        if block.metadata.name in self.blocks:
            raise AlreadyExistsError(f"cannot create IPBlock {block.metadata.name}: it exists", 409)
        return self._put(block)

    async def move(self, block: kni.IPBlock, node: str) -> kni.IPBlock:
        await self._write()
        if self.blocks.get(block.metadata.name) != block:
            raise ConflictError(f"cannot change IPBlock {block.metadata.name}: it has changed", 409)
        return self._put(msgspec.structs.replace(block, spec=msgspec.structs.replace(block.spec, node_name=node)))

    async def delete(self, block: kni.IPBlock) -> None:
        await self._write()
        found = self.blocks.get(block.metadata.name)
        if found is not None and found.metadata.uid == block.metadata.uid:
            del self.blocks[block.metadata.name]
        self._answer()

    async def read(self, name: str) -> kni.IPBlock | None:
        self._reach()
        return self.blocks.get(name)

    async def listed(self, config: str) -> list[kni.IPBlock]:
        self._reach()
        return [block for block in self.blocks.values() if block.spec.network_config == config]

    def _put(self, block: kni.IPBlock) -> kni.IPBlock:
        number = str(next(self._versions))
        meta = msgspec.structs.replace(block.metadata, uid=block.metadata.uid or number, resource_version=number)
        made = msgspec.structs.replace(block, metadata=meta)
        self.blocks[meta.name] = made
        self._answer()
        return made

    async def _write(self) -> None:
        self._reach()
        self.writes += 1
        await asyncio.sleep(0)

    def _reach(self) -> None:
        if self.down:
            raise UnreachableError("cannot reach the API server: it is down")

    def _answer(self) -> None:
        if self.lose_answers:
            raise KubeError("cannot hear the API server: the answer is lost")
