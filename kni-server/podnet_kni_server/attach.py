"""The core: attach and detach one sandbox, and put right what a crash left behind. Read this first.

State first, then act, then confirm: leases are taken in memory, the record is written as ATTACHING, the
kernel is changed in one batch, the record becomes ATTACHED. A kill at any point leaves a record that
``reconcile`` undoes or finishes; so nothing leaks. The NRI hook and the KNI service both call this.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from podnet_api import kni, names, pools, reasons
from podnet_api.errors import PodnetError

from podnet_kni_server import asked, extras, faultpoints, npwg, parts, plan
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.datapath.interface import Datapath
from podnet_kni_server.datapath.model import Link, NodeLinkState, Observed
from podnet_kni_server.errors import AttachError, CheckpointError
from podnet_kni_server.kinds.kind import Request
from podnet_kni_server.leases import Holder, Leases
from podnet_kni_server.macs import Macs
from podnet_kni_server.records import InterfaceRecord, Record, Sandbox, State

log = logging.getLogger(__name__)


class NodeView(Protocol):
    """What this node has made for its networks."""

    def state(self, config: kni.NetworkConfig) -> NodeLinkState | None:
        """How the network of ``config`` stands here; None: not set up."""


@dataclass(frozen=True)
class Hooks:
    """Who is told. ``attached`` and ``failed`` lead to the Pod's status, ``counts`` to NodeNetwork."""

    attached: Callable[[Record], None] = lambda record: None
    added: Callable[[Record], None] = lambda record: None
    """A Pod was attached just now, not only found to be so."""
    failed: Callable[[Sandbox, PodnetError], None] = lambda sandbox, error: None
    forgotten: Callable[[Record], None] = lambda record: None
    counts: Callable[[], None] = lambda: None
    alive: Callable[[Sandbox], None] = lambda sandbox: None
    """A sandbox was looked at in ``reconcile``: its Pod's list may have changed meanwhile."""


class Core:
    """Attaches the Pods of one node."""

    def __init__(
        self,
        *,
        view: asked.View,
        node: NodeView,
        leases: Leases,
        blocks: Blocks,
        store: Store,
        datapath: Datapath,
        hooks: Hooks | None = None,
        policy: extras.Policy = extras.DEFAULT,
    ) -> None:
        self._view = view
        self._node = node
        self._leases = leases
        self._blocks = blocks
        self._store = store
        self._datapath = datapath
        self._hooks = hooks or Hooks()
        self._policy = policy
        self._macs = Macs()
        self._records: dict[str, Record] = {}
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def load(self) -> None:
        """Read the checkpoints and take their leases back. Before anything else."""
        self._store.open()
        for record in self._store.load():
            self._records[record.sandbox] = record
            for interface in record.interfaces:
                holder = Holder(record.sandbox, interface.link.name, record.pod)
                self._macs.adopt(interface.config, interface.link.mac, holder)
                for text in [] if interface.link.kind == "cni" else (*interface.link.addresses, *interface.leaving):
                    # Without its prefix: reading that takes three times as long, and all Pods wait for this.
                    self._leases.adopt(interface.config, ipaddress.ip_address(text.partition("/")[0]), holder)

    def records(self) -> list[Record]:
        """Every sandbox that is known."""
        return list(self._records.values())

    def record(self, sandbox: str) -> Record | None:
        """What is known of ``sandbox``."""
        return self._records.get(sandbox)

    def knows(self, uid: str) -> bool:
        """Whether a sandbox of the Pod with ``uid`` is known."""
        return any(record.uid == uid for record in self._records.values())

    def networks(self) -> set[str]:
        """The PodNetworks that Pods of this node are attached to."""
        return {i.network for record in self._records.values() for i in record.interfaces}

    def attached(self, config: str) -> int:
        """How many interfaces of this node hang on a NetworkConfig."""
        return sum(1 for r in self._records.values() for i in r.interfaces if i.config == config)

    async def attach(self, sandbox: Sandbox) -> Record | None:
        """Attach ``sandbox`` to every network of its list; None when it lists none of ours.

        Idempotent: a sandbox that is attached is verified against the kernel. Raises AttachError (what is
        missing), NoAddressError, CheckpointError or DatapathError; nothing is left behind then.
        """
        try:
            async with self.turn(sandbox.id):
                known = self._records.get(sandbox.id)
                if known is not None and known.state is State.ATTACHED:
                    await self._datapath.attach(known.netns, whole_links(known))
                    return known
                if known is not None:
                    await self._undo(known)
                return await self._attach_new(sandbox)
        except PodnetError as error:
            self._hooks.failed(sandbox, error)
            raise

    async def _attach_new(self, sandbox: Sandbox) -> Record | None:
        requests = asked.of_sandbox(sandbox, self._view)
        if not requests:
            await self._refuse_unserved(sandbox)
            return None
        netns = sandbox.netns
        if netns is None:
            raise AttachError(f"cannot attach Pod {sandbox.pod}: it has no network namespace of its own")
        if not sandbox.bare and any(request.interface == names.DEFAULT_INTERFACE for request in requests):
            message = (
                "its list replaces the default network, which needs the CNI shim on this node, and this sandbox was "
                "made without it; when the shim is in place it is made anew, or delete the Pod"
            )
            raise AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reasons.INVALID_NETWORKS)
        record = Record(
            sandbox=sandbox.id,
            uid=sandbox.uid,
            namespace=sandbox.namespace,
            name=sandbox.name,
            netns=netns,
            state=State.ATTACHING,
            pod_ips=list(sandbox.ips),
        )
        try:
            faultpoints.reached("attach.begun")
            record = msgspec.structs.replace(record, interfaces=await self._interfaces(sandbox, requests))
            faultpoints.reached("attach.leased")
            record = await self.with_defaults(record, record.interfaces)
            self.keep(record)
            faultpoints.reached("attach.recorded")
            observed = await self._datapath.attach(netns, _links(record))
            await self.drop_defaults(record)
            faultpoints.reached("attach.wired")
            record = _confirmed(record, observed)
            self.keep(record)
            faultpoints.reached("attach.confirmed")
            for interface in record.interfaces:
                holder = Holder(record.sandbox, interface.link.name, record.pod)
                self._macs.adopt(interface.config, interface.link.mac, holder)
        except BaseException:
            # Also on cancellation (the runtime's deadline): the clean-up itself must not be cancelled.
            await asyncio.shield(asyncio.ensure_future(self._undo(record)))
            raise
        log.info("attached Pod %s: %s", record.pod, ", ".join(i.link.name for i in record.interfaces))
        self._hooks.attached(record)
        self._hooks.added(record)
        faultpoints.reached("attach.said")
        self._hooks.counts()
        return record

    async def _refuse_unserved(self, sandbox: Sandbox) -> None:
        """A static Pod that asks Multus for networks, unless a Multus has attached it before us."""
        why = npwg.unserved(sandbox)
        if why and sandbox.netns and len(await self._datapath.observe(sandbox.netns, None)) <= 1:
            raise AttachError(why, reasons.INVALID_NETWORKS)

    async def _interfaces(self, sandbox: Sandbox, requests: Iterable[Request]) -> list[InterfaceRecord]:
        return parts.joined([await self.interface(sandbox, request) for request in requests])

    async def with_defaults(self, record: Record, interfaces: Iterable[InterfaceRecord]) -> Record:
        """``record`` with the default routes that ``interfaces`` are about to replace, once."""
        if record.defaults or not any(i.link.default_gateways or i.no_other_defaults for i in interfaces):
            return record
        return msgspec.structs.replace(record, defaults=await self._datapath.defaults(record.netns))

    async def drop_defaults(self, record: Record) -> None:
        """Take every default route away that the list does not ask for, where an interface of ``record`` says so."""
        if any(interface.no_other_defaults for interface in record.interfaces):
            kept = {v: {i.link.name for i in record.interfaces if v in (i.default_versions or [])} for v in (4, 6)}
            await self._datapath.drop_defaults(record.netns, kept)

    async def interface(self, sandbox: Sandbox, request: Request) -> InterfaceRecord:
        """What answers ``request``, its addresses leased. Raises AttachError, NoAddressError."""
        state = self._node.state(request.config)
        if state is None or not state.ready:
            reason = f"{state.reason}: {state.message}" if state else "this node has not set it up"
            raise AttachError(f"cannot attach Pod {sandbox.pod} to PodNetwork {request.network}: {reason}")
        holder = Holder(sandbox.id, request.interface, sandbox.pod)
        if request.own.mac:
            self._macs.take(request.config.metadata.name, request.own.mac, holder)
        return plan.interface(sandbox, request, await self._lease(request, holder), state.mtu, self._policy)

    async def _lease(self, request: Request, holder: Holder) -> list[pools.Address]:
        pool = request.pool
        if pool is None:
            return []
        for static in request.static:
            if pool.of(static.version):
                await self._blocks.lease_exact(pool, static.ip, holder)
        return [await self._blocks.lease(pool, version, holder) for version in request.leased_versions]

    async def detach(self, sandbox: str) -> None:
        """Detach ``sandbox`` by its record alone: the namespace and the objects may be gone. Idempotent."""
        async with self.turn(sandbox):
            record = self._records.get(sandbox)
            if record is not None:
                await self._undo(record)
                log.info("detached Pod %s", record.pod)
                self._hooks.forgotten(record)
                self._hooks.counts()

    async def leave(self, sandbox: str) -> bool:
        """Write down that ``sandbox`` is to be detached, and leave the rest to ``bury``. False where that cannot be
        written, or where something has to be taken out of the namespace while that is there: nothing is done then."""
        async with self.turn(sandbox):
            record = self._records.get(sandbox)
            if record is None or record.state is not State.ATTACHED or not all(map(_goes_alone, record.interfaces)):
                return False
            with contextlib.suppress(CheckpointError):
                self._note_leaving(record)
                return True
            return False

    async def bury(self, sandboxes: Sequence[str]) -> None:
        """Detach those that have left, all at once: many links go as fast as one. Raises DatapathError,
        CheckpointError; what is left over then is detached like any other."""
        async with contextlib.AsyncExitStack() as turns:
            for sandbox in sandboxes:
                await turns.enter_async_context(self.turn(sandbox))
            known = [record for sandbox in sandboxes if (record := self._records.get(sandbox)) is not None]
            left = [record for record in known if record.state is State.DETACHING]
            await self._datapath.detach(None, [link for record in left for link in _links(record)])
            for record in left:
                self._forget(record)
                log.info("detached Pod %s", record.pod)
                self._hooks.forgotten(record)
        self._hooks.counts()

    async def _undo(self, record: Record) -> None:
        """Take everything of ``record`` away again. The lease goes last: until the links are gone the
        address is in use."""
        if record.interfaces:
            with contextlib.suppress(PodnetError):  # a full disk must not keep us from cleaning up
                self._note_leaving(record)
            await self._datapath.detach(record.netns or None, _links(record))
        self._forget(record)

    def _note_leaving(self, record: Record) -> None:
        self.keep(msgspec.structs.replace(record, state=State.DETACHING))
        faultpoints.reached("detach.recorded")

    def _forget(self, record: Record) -> None:
        faultpoints.reached("detach.unwired")
        self._leases.release(record.sandbox)
        self._macs.release(record.sandbox)
        self._records.pop(record.sandbox, None)
        faultpoints.reached("detach.released")
        self._store.remove(record.sandbox)
        faultpoints.reached("detach.forgotten")

    def release(self, holder: Holder, keep: Collection[pools.Address] | None = None) -> None:
        """Give back what one interface has, its MAC and addresses; ``keep``: only addresses, and these not."""
        self._leases.release_of(holder, keep or ())
        if keep is None:
            self._macs.release_of(holder)

    async def observe(self, record: Record) -> list[Observed]:
        """The interfaces of a sandbox as the kernel has them now."""
        return await self._datapath.observe(record.netns, [i.link.name for i in record.interfaces])

    def _as_it_was(self, sandbox: Sandbox) -> Record | None:
        """The record of a sandbox that was attached whole. CHECK compares it with the kernel: the runtime waits
        two seconds for all sandboxes together, and drops a plugin that takes longer."""
        known = self._records.get(sandbox.id)
        return known if known is not None and known.state is State.ATTACHED else None

    async def reconcile(self, alive: Sequence[Sandbox]) -> None:
        """Make what is remembered, what the kernel has and what the runtime runs the same again.

        Half-done work is undone, sandboxes that are gone are detached, running Pods without their
        networks are attached. One Pod's failure is logged and does not hinder the others.
        """
        by_id = {sandbox.id: sandbox for sandbox in alive}
        for record in self.records():
            if record.sandbox not in by_id or record.state is not State.ATTACHED:
                with _logged(f"cannot detach Pod {record.pod}"):
                    await self.detach(record.sandbox)
        for sandbox in alive:
            with _logged(f"cannot attach Pod {sandbox.pod}"):
                attached = self._as_it_was(sandbox) or await self.attach(sandbox)
                if attached is not None:  # a server that was killed may not have come to say so
                    self._hooks.attached(attached)
        for sandbox in alive:
            self._hooks.alive(sandbox)
        keep = {i.link.host_name for r in self.records() for i in r.interfaces if i.link.host_name}
        with _logged("cannot sweep leftover links"):
            for name in await self._datapath.sweep(keep):
                log.warning("removed leftover link %s", name)

    def keep(self, record: Record) -> None:
        """Write ``record`` down. Raises CheckpointError."""
        self._store.write(record)
        self._records[record.sandbox] = record

    @contextlib.asynccontextmanager
    async def turn(self, sandbox: str) -> AsyncIterator[None]:
        """One call at a time for each sandbox: hook, KNI service and changes of a running Pod may all come."""
        lock = self._locks.setdefault(sandbox, asyncio.Lock())
        async with lock:
            yield


def _goes_alone(interface: InterfaceRecord) -> bool:
    """Whether deleting the host end is all that detaching takes."""
    link = interface.link
    return link.kind == "veth" and link.extras is None and link.dhcp is None


def _links(record: Record) -> list[Link]:
    return [link_of(interface) for interface in record.interfaces]


def link_of(interface: InterfaceRecord) -> Link:
    """The link with all that is to be forgotten with it, addresses that are leaving too."""
    if not interface.leaving:
        return plan.link(interface.link)
    addresses = [*interface.link.addresses, *interface.leaving]
    return plan.link(msgspec.structs.replace(interface.link, addresses=addresses))


def whole_links(record: Record) -> list[Link]:
    """The links that stand as the record says."""
    return [plan.link(i.link) for i in record.interfaces if i.state is State.ATTACHED]


def _confirmed(record: Record, observed: Sequence[Observed]) -> Record:
    """``record`` with what the kernel really gave."""
    interfaces = [as_observed(i, o) for i, o in zip(record.interfaces, observed, strict=True)]
    return msgspec.structs.replace(record, state=State.ATTACHED, interfaces=interfaces)


def as_observed(interface: InterfaceRecord, observed: Observed) -> InterfaceRecord:
    """MAC and MTU are the kernel's; addresses, gateways and name servers too where plugins chose them. An address
    by DHCP is none of ours: it stands where those of SLAAC do, and the regular look at the Pod keeps it current."""
    link = msgspec.structs.replace(interface.link, mac=observed.mac, mtu=observed.mtu, device=observed.device)
    interface = msgspec.structs.replace(interface, device_info=observed.device_info)
    if link.dhcp is not None:
        given = [str(a) for a in observed.addresses if str(a) not in link.addresses]
        gateways = [str(g) for g in observed.gateways] or interface.gateways
        return msgspec.structs.replace(interface, link=link, observed=given, gateways=gateways)
    if link.kind != "cni":
        return msgspec.structs.replace(interface, link=link, device_info=observed.device_info)
    return msgspec.structs.replace(
        interface,
        link=msgspec.structs.replace(link, addresses=[str(a) for a in observed.addresses]),
        gateways=[str(g) for g in observed.gateways],
        nameservers=list(observed.nameservers) or interface.nameservers,
        search=list(observed.search) or interface.search,
        rows=None if observed.rows is None else list(observed.rows),
        dns_options=list(observed.dns_options) or interface.dns_options,
    )


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except PodnetError as error:
        log.error("%s: %s", what, error)
