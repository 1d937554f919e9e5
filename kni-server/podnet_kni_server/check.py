"""CHECK: compares, now and then, what the kernel has with what the records say; repairs and reports what differs.

Each sandbox has its own time, spread by chance over the interval, so that nothing storms; one is looked at some seconds
after its attach, because addresses from outside (SLAAC) come that soon. What came from outside goes into the Pod's
status; as it is looked at once per interval, that is at most one write per Pod and interval.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Interface, IPv6Interface

import msgspec
from podnet_api import reasons
from podnet_api.errors import PodnetError
from prometheus_client import Counter

from podnet_kni_server import attach, events
from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing
from podnet_kni_server.datapath.interface import Datapath
from podnet_kni_server.datapath.model import Checked, Finding
from podnet_kni_server.records import InterfaceRecord, Record, State

log = logging.getLogger(__name__)

FIRST = 5.0
"""Seconds from an attach to the first look."""
OUTSIDE_LIMIT = 16
"""Most addresses from outside that are told of one interface."""
_NODE = ""
_FINDINGS = Counter("podnet_kni_check_findings", "What CHECK found that was not as made", ["outcome"])
_CHECKS = Counter("podnet_kni_checks", "Sandboxes that CHECK looked at")


class Checker:
    """Looks after the sandboxes of one node every ``interval`` seconds. ``changed`` is told of a record whose
    addresses from outside are others now, ``repair_node`` makes the node's own links right."""

    def __init__(
        self,
        core: attach.Core,
        datapath: Datapath,
        said: events.Events,
        *,
        interval: float,
        changed: Callable[[Record], None],
        repair_node: Callable[[], None],
    ) -> None:
        self._core = core
        self._datapath = datapath
        self._events = said
        self._interval = interval
        self._changed = changed
        self._repair_node = repair_node
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        """Check until cancelled."""
        self._plan(self._ids(), time.monotonic(), self._interval)
        while True:
            self._plan(self._ids(), time.monotonic(), FIRST)
            await self.work(time.monotonic())
            await asyncio.sleep(min(1.0, self._interval / 4))

    def _ids(self) -> set[str]:
        return {record.sandbox for record in self._core.records()} | {_NODE}

    def _plan(self, ids: Iterable[str], now: float, within: float) -> None:
        """Give those without a time one, by chance in the last half of ``within``; forget those that are gone."""
        known = set(ids)
        self._due = {one: at for one, at in self._due.items() if one in known}
        for one in known - set(self._due):
            self._due[one] = now + random.uniform(within / 2, within)

    async def work(self, now: float) -> None:
        """Look at what is due."""
        for one in [one for one, at in self._due.items() if at <= now]:
            self._due[one] = now + random.uniform(0.75, 1.25) * self._interval
            try:
                await (self._check(one) if one else self._check_node())
            except NetnsMissing:
                await self._gone(one)
            except PodnetError as error:
                log.warning("cannot check %s: %s", one or "the node", error)

    async def _check(self, one: str) -> None:
        known = self._core.record(one)
        if known is not None and known.state is State.DETACHING:
            await self._core.detach(one)  # which failed before, or goes on and is waited for
        async with self._core.turn(one):
            record = self._core.record(one)
            if record is None or record.state is not State.ATTACHED:
                return
            _CHECKS.inc()
            found = await self._datapath.check(record.netns, attach.whole_links(record))
            seen = _with_outside(record, found)
            if seen != record:
                self._core.keep(seen)
        self._report(record, found.findings)
        if seen != record:
            self._changed(seen)

    async def _gone(self, one: str) -> None:
        """Its namespace is gone, and nobody said so: a runtime that restarted tells nothing of the end of the
        sandboxes that it had before."""
        log.info("the namespace of sandbox %s is gone: detaching", one)
        try:
            await self._core.detach(one)
        except PodnetError as error:
            log.warning("%s; trying again", error)

    def _report(self, record: Record, findings: Iterable[Finding]) -> None:
        repaired = [finding.what for finding in findings if finding.repaired]
        broken = [f"{finding.what}: {finding.why}" for finding in findings if not finding.repaired]
        _count(repaired, broken)
        if repaired:
            self._say(record, reasons.NETWORK_REPAIRED, f"repaired: {'; '.join(repaired)}")
        if broken:
            self._say(record, reasons.NETWORK_DAMAGED, f"cannot repair: {'; '.join(broken)}", once=True)
        else:
            self._events.forget(record.uid, reasons.NETWORK_DAMAGED)

    def _say(self, record: Record, reason: str, message: str, *, once: bool = False) -> None:
        log.warning("Pod %s: %s", record.pod, message)
        event = events.Event(record.namespace, record.name, record.uid, events.WARNING, reason, message)
        self._events.say(event, once=once)

    async def _check_node(self) -> None:
        try:
            findings = await self._datapath.check_node()
        except DatapathError as error:
            findings = [Finding("the node's links cannot be read", False, str(error))]
        for finding in findings:
            log.warning("node: %s", finding.what)
        _count([f.what for f in findings if f.repaired], [f.what for f in findings if not f.repaired])
        if findings:
            self._events.say_of_node(reasons.NETWORK_REPAIRED, "; ".join(finding.what for finding in findings))
            self._repair_node()


def _count(repaired: list[str], broken: list[str]) -> None:
    _FINDINGS.labels("repaired").inc(len(repaired))
    _FINDINGS.labels("failed").inc(len(broken))


def _with_outside(record: Record, found: Checked) -> Record:
    """``record`` with the addresses that came from outside as they are now."""
    interfaces = [_seen(interface, found.outside.get(interface.link.name, ())) for interface in record.interfaces]
    return msgspec.structs.replace(record, interfaces=interfaces)


def _seen(interface: InterfaceRecord, outside: Iterable[IPv4Interface | IPv6Interface]) -> InterfaceRecord:
    own = {*interface.link.addresses, *interface.leaving}
    addresses = [str(address) for address in outside if str(address) not in own][:OUTSIDE_LIMIT]
    return msgspec.structs.replace(interface, observed=addresses)
