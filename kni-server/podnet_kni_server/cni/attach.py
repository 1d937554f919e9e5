"""The datapath `cni`: composite.Executor by plugins. Each link becomes an ADD, and what the kernel then has."""

import dataclasses
import logging
import time
from collections.abc import Callable, Sequence

from podnet_api import reasons

from podnet_kni_server import devinfo
from podnet_kni_server.cni import ask, mend, routes, rows
from podnet_kni_server.cni.devices import Devices
from podnet_kni_server.cni.dhcp import Dhcp
from podnet_kni_server.cni.errors import CniError, Code
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.cni.request import Pod
from podnet_kni_server.cni.result import Result
from podnet_kni_server.datapath import observe
from podnet_kni_server.datapath.allocation import NoAllocation
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import PLUGINS_PREFIX, Finding, Link, NodeLink, NodeLinkState, Observed, Route
from podnet_kni_server.datapath.worker import Worker

log = logging.getLogger(__name__)
_ASK_AGAIN_SECONDS = 10.0
_CHECK_SECONDS = 600.0
DHCP_SOCKET = "/run/kni/dhcp.sock"
_Settled = tuple[Observed, tuple[int, ...]]


class Plugins:
    """See composite.Executor. `node_netns`: path of a namespace that plays the node; None: where we are."""

    def __init__(
        self,
        executor: Executor,
        runner: Runner,
        dhcp_socket: str = DHCP_SOCKET,
        node_netns: str | None = None,
        devices: Devices | None = None,
    ) -> None:
        self._executor = executor
        self._devices = devices or Devices(NoAllocation(), devinfo.Files("/"), executor.entries)
        self._worker = Worker(node_netns)
        self.dhcp = Dhcp(executor, runner, self._worker, dhcp_socket)
        self.warned: Callable[[Pod, str], None] = lambda pod, message: log.warning("Pod %s: %s", pod, message)
        """Told of what a Pod asks for and its plugins do not declare."""
        self._checked: dict[tuple[str, str], float] = {}
        self._routes: dict[tuple[str, str], frozenset[Route]] = {}
        self._states: dict[NodeLink, tuple[float, NodeLinkState]] = {}

    async def attach(self, netns_path: str, link: Link) -> Observed:
        """See composite.Executor."""
        detail = ask.detail_of(link)
        known = self._executor.result(detail.sandbox, link.name)
        if known is not None:
            found = await self._worker.call(self._observe, netns_path, link, known)
            if found is not None:
                return found
        await self._executor.delete(detail.sandbox, link.name)
        before = await self._worker.call(self._defaults, netns_path)
        asked = await self._devices.request(netns_path, link)
        added = await self._executor.add(asked, detail.config, detail.network)
        for warning in added.warnings:
            self.warned(Pod(detail.sandbox, detail.namespace, detail.pod, detail.uid), f"{link.name}: {warning}")
        try:
            settled, taken = await self._worker.call(self._settle, netns_path, link, added.result, before)
        except DatapathError:
            await self.detach(netns_path, link)
            raise
        if taken:
            pod = f"{detail.namespace}/{detail.pod}"
            log.info("Pod %s keeps its default route: %s was not asked to have one", pod, link.name)
            self._executor.forget_defaults(detail.sandbox, link.name, taken)
        return settled

    async def detach(self, netns_path: str | None, link: Link) -> None:
        """See composite.Executor."""
        sandbox = ask.detail_of(link).sandbox
        self._checked.pop((sandbox, link.name), None)
        self._routes.pop((sandbox, link.name), None)
        await self._executor.delete(sandbox, link.name)
        self._devices.forget(link)

    async def lease(self, netns_path: str, link: Link, found: Observed) -> Observed:
        """See composite.Executor."""
        assert link.dhcp is not None
        made = await self.dhcp.lease(netns_path, link, link.dhcp)
        addresses = (*found.addresses, *(ip.address for ip in made.ips if ip.address not in found.addresses))
        return dataclasses.replace(found, addresses=addresses, gateways=made.gateways)

    async def release(self, link: Link) -> None:
        """See composite.Executor."""
        assert link.dhcp is not None
        await self.dhcp.release(link, link.dhcp)

    async def look(self, netns_path: str, link: Link) -> tuple[Finding, ...]:
        """See composite.Executor. The kernel is asked each time, the plugins (CHECK) now and then: that starts
        programs. Repaired is what their result says (``mend``); how the rest was made only they know."""
        sandbox = ask.detail_of(link).sandbox
        known = self._executor.result(sandbox, link.name)
        if known is None:
            return (Finding(f"{link.name} is unknown", False, "no CNI plugin has attached it"),)
        looked = await self._worker.call(self._mend, netns_path, link, known)
        self._routes[sandbox, link.name] = looked.routes
        if looked.findings:
            return looked.findings
        if time.monotonic() - self._checked.get((sandbox, link.name), 0.0) < _CHECK_SECONDS:
            return ()
        self._checked[sandbox, link.name] = time.monotonic()
        return await self._check(sandbox, link)

    async def _check(self, sandbox: str, link: Link) -> tuple[Finding, ...]:
        try:
            await self._executor.check(sandbox, link.name)
        except CniError as error:
            if error.code == Code.INCOMPATIBLE_VERSION:
                return ()
            return (Finding(f"{link.name} is not as its CNI plugins left it", False, str(error)),)
        return ()

    def _mend(self, netns_path: str, link: Link, made: Result) -> mend.Looked:
        detail = ask.detail_of(link)
        with self._worker.pod(netns_path) as pod:
            former = self._routes.get((detail.sandbox, link.name))
            return mend.look(pod, link, made, detail.default_versions, former)

    async def states(self, links: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
        """See composite.Executor. Asked again after a while at the earliest: every question starts programs."""
        self._states = {link: told for link, told in self._states.items() if link in links}
        recent = time.monotonic() - _ASK_AGAIN_SECONDS
        fresh = {link: state for link, (when, state) in self._states.items() if when > recent}
        return {link.key: fresh[link] if link in fresh else await self._ask(link) for link in links}

    async def _ask(self, link: NodeLink) -> NodeLinkState:
        try:
            await self._executor.status(link.plugins, link.name.removeprefix(PLUGINS_PREFIX))
            state = NodeLinkState(True, reasons.READY, "", link.mtu)
        except CniError as error:
            state = NodeLinkState(False, reasons.SETUP_FAILED, str(error))
        self._states[link] = (time.monotonic(), state)
        return state

    async def look_again(self) -> bool:
        """Ask all networks again; whether one is in another state than before."""
        before = {link: state for link, (_, state) in self._states.items()}
        return any([await self._ask(link) != state for link, state in before.items()])

    def networks(self) -> list[tuple[str, str]]:
        """The configurations that somebody asked about, with the names of their networks."""
        return [(link.plugins, link.name.removeprefix(PLUGINS_PREFIX)) for link in self._states]

    async def close(self) -> None:
        """Give back the thread."""
        await self._worker.close()

    def _defaults(self, netns_path: str) -> routes.Defaults:
        with self._worker.pod(netns_path) as pod:
            return routes.defaults(pod.channel)

    def _settle(self, netns_path: str, link: Link, made: Result, before: routes.Defaults) -> _Settled:
        versions, gateways = ask.detail_of(link).default_versions, made.gateways
        with self._worker.pod(netns_path) as pod:
            taken = routes.settle(pod, link, before, versions, gateways)
            found = observe.read(pod.channel, {link.name})
        return self._told(link, made, found[0] if found else None), taken

    def _observe(self, netns_path: str, link: Link, made: Result) -> Observed | None:
        """What is there of an attachment that is known; None: its interface is gone."""
        with self._worker.pod(netns_path) as pod:
            found = observe.read(pod.channel, {link.name})
        if not found and any(one.name == link.name for _, one in made.inside()):
            return None
        return self._told(link, made, found[0] if found else None)

    def _told(self, link: Link, made: Result, found: Observed | None) -> Observed:
        """With what NPWG's network-status says."""
        seen = _observed(link, made, found)
        return dataclasses.replace(seen, rows=rows.rows(made), device_info=self._devices.info(link))


def _observed(link: Link, made: Result, found: Observed | None) -> Observed:
    """What the kernel has, with what only the plugins know. A plugin may make no interface at all (istio-cni):
    then there is an entry without a link."""
    if found is None:
        told = next((one for _, one in made.inside() if one.name == link.name), None)
        mac, mtu = (told.mac, told.mtu) if told else ("", 0)
        found = Observed(link.name, mac, mtu, True, tuple(ip.address for ip in made.ips))
    return dataclasses.replace(
        found,
        kind="cni",
        gateways=made.gateways,
        nameservers=made.dns.nameservers,
        search=made.dns.search,
        dns_options=made.dns.options,
    )
