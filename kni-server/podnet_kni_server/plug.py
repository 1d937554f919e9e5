"""Hot-plug: brings a sandbox that runs to the list that its Pod has now, entry by entry.

Each entry goes through state first, act, confirm on its own, so that a kill at any point leaves a record of which
every interface but one stands; ``bring`` first puts that one right. An entry that fails leaves the others alone and
is tried again by ``running``. Addresses change in place where nothing else does (KEP-3698, requirements 24 and 25).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from podnet_api import networks, reasons
from podnet_api.errors import PodnetError

from podnet_kni_server import asked, attach, changes, kinds, parts, plan
from podnet_kni_server.datapath.interface import Datapath
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds.kind import Request
from podnet_kni_server.leases import Holder
from podnet_kni_server.records import InterfaceRecord, Record, Sandbox, State

log = logging.getLogger(__name__)

_IN_PLACE = ("veth", "macvlan", "vlan", "ipvlan", "routed", "tap", "macvtap", "hostDevice", "sriov")
"""Kinds of links whose addresses can change while they stay: nothing else is built upon them."""


@dataclass
class Outcome:
    """What came of it: the record as it is now, what was done in words, and what failed."""

    record: Record
    done: list[str] = field(default_factory=list)
    errors: list[PodnetError] = field(default_factory=list)


class Plugger:
    """Changes the interfaces of sandboxes that the core has attached."""

    def __init__(self, core: attach.Core, view: asked.View, datapath: Datapath) -> None:
        self._core = core
        self._view = view
        self._datapath = datapath

    async def bring(self, sandbox: Sandbox) -> Outcome | None:
        """Make ``sandbox`` have what its list says; None when it is not attached (any more). Idempotent."""
        async with self._core.turn(sandbox.id):
            record = self._core.record(sandbox.id)
            if record is None or record.state is not State.ATTACHED:
                return None
            run = _Run(self._core, self._view, self._datapath, sandbox, Outcome(record))
            await run.settle()
            with run.noted():
                await run.change(changes.entries(asked.wanted(sandbox)))
            return run.outcome


@dataclass(frozen=True)
class _Run:
    """One call of ``bring``."""

    core: attach.Core
    view: asked.View
    datapath: Datapath
    sandbox: Sandbox
    outcome: Outcome

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """A failure is noted, and does not end the run."""
        try:
            yield
        except PodnetError as error:
            self.outcome.errors.append(error)

    async def settle(self) -> None:
        """Undo or finish what a crash or a failure left half done."""
        for interface in reversed(self.outcome.record.interfaces):
            with self.noted():
                if interface.state is not State.ATTACHED:
                    await self._remove(interface)
                elif interface.leaving:
                    await self._let_go(interface)

    async def change(self, wanted: Sequence[changes.Entry]) -> None:
        """Carry out what differs between the record and ``wanted``."""
        found = changes.between(self.outcome.record.interfaces, wanted, self._parts(wanted))
        if found:
            await self._carry_out(found)
        with self.noted():
            self._sort([entry.interface for entry in wanted])

    async def _carry_out(self, found: changes.Changes) -> None:
        stayed = await self._readdress_all(found)
        gone = [interface for interface in found.gone if interface.link.name not in stayed]
        with self.noted():
            # All at once: after a crash among them, the rest of a bond must not look like interfaces of their own.
            # Where this cannot be written, neither can what follows.
            self._keep(*(msgspec.structs.replace(interface, state=State.DETACHING) for interface in gone))
        for interface in gone:
            with self.noted():
                await self._remove(interface)
                self.outcome.done.append(f"detached {interface.link.name} from {interface.network}")
        for group in found.new:
            with self.noted():
                if not any(entry.interface in stayed or self._at(entry.interface) for entry in group):
                    await self._add(group)

    def _parts(self, wanted: Sequence[changes.Entry]) -> dict[str, Collection[str]]:
        """What the interfaces of the list are made of, as far as it is known."""
        found: dict[str, Collection[str]] = {}
        for entry in wanted:
            with contextlib.suppress(AttachError):
                config = asked.one(self.sandbox, self.view, entry.network, entry.interface).config
                found[entry.interface] = kinds.KINDS[kinds.datapath_of(config)].parts(config)
        return found

    async def _readdress_all(self, found: changes.Changes) -> set[str]:
        """The names of the interfaces that need but other addresses, and were tried to be given them."""
        alone = {group[0].interface: group[0] for group in found.new if len(group) == 1}
        stayed = set()
        for interface in found.gone:
            request = self._readdressable(interface, alone.get(interface.link.name))
            if request is not None:
                stayed.add(interface.link.name)
                with self.noted():
                    await self._readdress(interface, request)
        return stayed

    def _at(self, name: str) -> InterfaceRecord | None:
        return next((i for i in self.outcome.record.interfaces if i.link.name == name), None)

    def _holder(self, name: str) -> Holder:
        return Holder(self.sandbox.id, name, self.sandbox.pod)

    def _keep(self, *interfaces: InterfaceRecord, without: str = "") -> None:
        """Write the record with these interfaces in place of those of the same name."""
        new = {interface.link.name: interface for interface in interfaces}
        kept = [new.pop(i.link.name, i) for i in self.outcome.record.interfaces if i.link.name != without]
        record = msgspec.structs.replace(self.outcome.record, interfaces=[*kept, *new.values()])
        self.core.keep(record)
        self.outcome.record = record

    def _sort(self, names: Sequence[str]) -> None:
        """The status has the interfaces in the order of the list."""
        place = {name: i for i, name in enumerate(names)}
        ordered = sorted(self.outcome.record.interfaces, key=lambda i: place.get(i.link.name, len(place)))
        if ordered != self.outcome.record.interfaces:
            self.outcome.record = msgspec.structs.replace(self.outcome.record, interfaces=ordered)
            self.core.keep(self.outcome.record)

    async def _remove(self, interface: InterfaceRecord) -> None:
        """The lease goes last: until the link is gone the address is in use."""
        record = self.outcome.record
        self._keep(msgspec.structs.replace(interface, state=State.DETACHING))
        await self.datapath.detach(record.netns or None, [attach.link_of(interface)])
        if (interface.link.default_gateways or interface.no_other_defaults) and record.defaults:
            await self.datapath.restore_defaults(record.netns, record.defaults)
        self.core.release(self._holder(interface.link.name))
        self._keep(without=interface.link.name)

    async def _add(self, group: Sequence[changes.Entry]) -> None:
        """All of the group or none."""
        try:
            await self._try_add(group)
        except BaseException:
            # Also on cancellation: the clean-up itself must not be cancelled.
            await asyncio.shield(asyncio.ensure_future(self._undo([entry.interface for entry in group])))
            raise

    async def _try_add(self, group: Sequence[changes.Entry]) -> None:
        asked_for: list[Request] = []
        for entry in group:
            asked_for.append(self._request(entry, asked_for))
        requests = parts.ordered(self.sandbox, asked_for)
        planned = parts.joined([await self.core.interface(self.sandbox, request) for request in requests])
        self.outcome.record = await self.core.with_defaults(self.outcome.record, planned)
        self._keep(*(msgspec.structs.replace(one, state=State.ATTACHING) for one in planned))
        observed = await self.datapath.attach(self.outcome.record.netns, [plan.link(one.link) for one in planned])
        made = [attach.as_observed(one, seen) for one, seen in zip(planned, observed, strict=True)]
        self._keep(*made)
        await self.core.drop_defaults(self.outcome.record)
        for one in made:
            words = " ".join(one.link.addresses) or "no address"
            self.outcome.done.append(f"attached {one.link.name} to {one.network} ({words})")

    async def _undo(self, names: Sequence[str]) -> None:
        """What was begun of these; what cannot be undone now stays in the record, for ``settle``."""
        for name in reversed(names):
            interface = self._at(name)
            with self.noted():
                if interface is None:
                    self.core.release(self._holder(name))
                else:
                    await self._remove(interface)

    def _request(self, entry: changes.Entry, before: Sequence[Request]) -> Request:
        request = asked.one(self.sandbox, self.view, entry.network, entry.interface)
        others = [i.network for i in self.outcome.record.interfaces if i.link.name != entry.interface]
        if request.network in (*others, *(one.network for one in before)):
            message = f"PodNetwork {request.network} is named twice; a Pod attaches to a network once"
            raise AttachError(f"cannot attach Pod {self.sandbox.pod}: {message}", reasons.DUPLICATE_NETWORK)
        return request

    def _readdressable(self, interface: InterfaceRecord, entry: changes.Entry | None) -> Request | None:
        """What a link is to become whose addresses are all that changes; None: it must be made anew."""
        link = interface.link
        plain = link.kind in _IN_PLACE and link.dhcp is None
        if interface.state is not State.ATTACHED or entry is None or not plain:
            return None
        try:
            new = asked.one(self.sandbox, self.view, entry.network, entry.interface)
            old = asked.one(self.sandbox, self.view, _entry_of(interface), entry.interface)
        except AttachError:
            return None  # what it was made from may have gone: then nobody can say what else differs
        return new if changes.readdressable(old, new) else None

    async def _readdress(self, interface: InterfaceRecord, request: Request) -> None:
        name, former = interface.link.name, interface.link.addresses
        holder = self._holder(name)
        try:
            planned = await self.core.interface(self.sandbox, request)
        except PodnetError:
            self.core.release(holder, [ipaddress.ip_interface(text).ip for text in former])
            raise
        found = interface.link
        link = msgspec.structs.replace(planned.link, mac=found.mac, mtu=found.mtu, device=found.device)
        leaving = [text for text in former if text not in link.addresses]
        made = msgspec.structs.replace(planned, link=link, leaving=leaving, observed=interface.observed)
        made = msgspec.structs.replace(made, device_info=interface.device_info)
        self._keep(made)
        await self._let_go(made)
        self.outcome.done.append(f"{name} on {made.network} has {' '.join(link.addresses) or 'no address'} now")

    async def _let_go(self, interface: InterfaceRecord) -> None:
        """The kernel gets the addresses of the record and loses those that leave; then their leases end."""
        link, leaving = plan.link(interface.link), [ipaddress.ip_interface(text) for text in interface.leaving]
        await self.datapath.readdress(self.outcome.record.netns, link, leaving)
        self.core.release(self._holder(interface.link.name), [address.ip for address in link.addresses])
        self._keep(msgspec.structs.replace(interface, leaving=[]))


def _entry_of(interface: InterfaceRecord) -> networks.Network:
    """The entry of the list that ``interface`` was made for."""
    versions = interface.default_versions or []
    return networks.Network(
        pod_network_name="" if interface.attachment else interface.network,
        pod_network_attachment_name=interface.attachment,
        is_default_gw4=4 in versions,
        is_default_gw6=6 in versions,
    )
