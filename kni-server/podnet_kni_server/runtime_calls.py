"""The second hook: what a container runtime asks of its CNI plugin, answered by the core and the executor.

The shim (kni-server/shim) hands every call over on a unix socket as one HTTP request. ADD attaches all networks of
the Pod at once: where an entry of its list has the interface eth0, that network is the Pod's primary, and the
cluster's own plugins are not run; else they are, from their own configuration. So a sandbox is only ever made with
its networks (the runtime hook finds them there), and the kubelet's probes and status.podIP follow the primary.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from podnet_api import networks
from podnet_api.errors import PodnetError

from podnet_kni_server import asked, without_nri
from podnet_kni_server.attach import Core
from podnet_kni_server.cni import config, default, result
from podnet_kni_server.cni.errors import CniError, Code
from podnet_kni_server.cni.executor import VALID_ATTACHMENTS, Executor
from podnet_kni_server.cni.request import Pod, Request
from podnet_kni_server.records import InterfaceRecord, Record, Sandbox

Annotations = Callable[[str, str, str], Mapping[str, str] | None]
"""From namespace, name and uid of a Pod to its annotations, as far as they are known."""


class Call(msgspec.Struct, frozen=True, rename="camel"):
    """What the shim was called with; ``config`` is what stood on its standard input."""

    command: str
    config: dict[str, object]
    container: str = msgspec.field(name="containerID", default="")
    netns: str = ""
    interface: str = msgspec.field(name="ifName", default="")
    args: str = ""

    @property
    def version(self) -> str:
        """That the answer must have."""
        found = self.config.get("cniVersion")
        return found if isinstance(found, str) and found in config.VERSIONS else "1.0.0"

    @property
    def offered(self) -> dict[str, object]:
        """The runtime's capability arguments."""
        found = self.config.get("runtimeConfig")
        return dict(found) if isinstance(found, dict) else {}

    @property
    def pod(self) -> Pod:
        """Whose sandbox it is, out of CNI_ARGS."""
        pairs = dict(pair.partition("=")[::2] for pair in self.args.split(";"))
        namespace, name = pairs.get("K8S_POD_NAMESPACE", ""), pairs.get("K8S_POD_NAME", "")
        return Pod(self.container, namespace, name, pairs.get("K8S_POD_UID", ""))


class RuntimeCalls:
    """Answers calls. ``configurations``: directory of the node's CNI configurations; ``why_not_ready`` is ``""``
    when Pods can be attached; ``alone``: there is no NRI by which containers could be given devices."""

    def __init__(
        self,
        core: Core,
        executor: Executor,
        configurations: Path,
        annotations: Annotations,
        why_not_ready: Callable[[], str],
        *,
        alone: bool = False,
    ) -> None:
        self._core = core
        self._executor = executor
        self._configurations = configurations
        self._annotations = annotations
        self._why_not_ready = why_not_ready
        self._alone = alone

    async def answer(self, call: Call) -> dict[str, object] | None:
        """Carry a call out; the result of an ADD. Raises PodnetError."""
        commands = {"DEL": self._delete, "CHECK": self._check, "STATUS": self._status, "GC": self._collect}
        if call.command == "ADD":
            return await self._add(call)
        if call.command not in commands:
            raise CniError(f"cannot carry out the CNI command {call.command!r}", Code.INVALID_ENVIRONMENT)
        await commands[call.command](call)
        return None

    async def _add(self, call: Call) -> dict[str, object]:
        sandbox = self._sandbox(call)
        if primary(sandbox):
            made = await self._add_all(call, sandbox)
        else:
            made = await self._add_default(call, sandbox)
        return result.encode(made, call.version)

    async def _attach(self, sandbox: Sandbox) -> Record | None:
        record = await self._core.attach(sandbox)
        if self._alone and record is not None and (why := without_nri.lacking(record)):
            await self._core.detach(sandbox.id)
            raise CniError(f"cannot attach Pod {sandbox.pod}: {why}", Code.INVALID_CONFIG)
        return record

    async def _add_all(self, call: Call, sandbox: Sandbox) -> result.Result:
        """The Pod's own networks alone; the first to be asked for is the primary's."""
        record = await self._attach(sandbox)
        interface = _of(record, call.interface)
        if interface is None:
            message = f"cannot attach Pod {sandbox.pod}: no network of its list has the interface {call.interface}"
            raise CniError(message, Code.INVALID_ENVIRONMENT)
        made = as_result(interface, call.netns)
        if not made.ips:  # a runtime refuses such a sandbox with words that help nobody
            await self._core.detach(sandbox.id)
            message = (
                f"network {interface.network} gives no address, so it cannot take the place of the default network"
            )
            raise CniError(f"cannot attach Pod {sandbox.pod}: {message}", Code.INVALID_CONFIG)
        return made

    async def _add_default(self, call: Call, sandbox: Sandbox) -> result.Result:
        """The cluster's own network, then those of the Pod."""
        text = default.cluster_text(self._configurations)
        added = await self._executor.add(_request(call), text, "", runtime=True)
        try:
            ips = tuple(str(ip.address.ip) for ip in added.result.ips)
            await self._attach(dataclasses.replace(sandbox, ips=ips))
        except PodnetError:
            await self._executor.delete(call.container, call.interface)
            raise
        return added.result

    def _sandbox(self, call: Call) -> Sandbox:
        pod = call.pod
        told = call.offered.get(default.ANNOTATIONS)
        annotations = told if isinstance(told, dict) else self._annotations(pod.namespace, pod.name, pod.uid)
        if annotations is None:
            raise CniError(f"cannot attach Pod {pod}: it is not known on this node yet", Code.TRY_AGAIN_LATER)
        own = {key: text for key, text in annotations.items() if isinstance(text, str)}
        return Sandbox(pod.sandbox, pod.uid, pod.namespace, pod.name, call.netns, own, bare=True)

    async def _delete(self, call: Call) -> None:
        """Whatever there is: also what the cluster's plugins made before this hook was there."""
        record = self._core.record(call.container)
        replaced = _of(record, call.interface) is not None
        await self._core.detach(call.container)
        if self._executor.knows(call.container, call.interface):
            await self._executor.delete(call.container, call.interface)
        elif not replaced:
            text = default.cluster_text(self._configurations)
            await self._executor.delete_unknown(_request(call), text)

    async def _check(self, call: Call) -> None:
        record = self._core.record(call.container)
        if record is None or _of(record, call.interface) is None:
            await self._executor.check(call.container, call.interface)
            return
        found = {one.name for one in await self._core.observe(record)}
        if call.interface not in found:
            message = f"cannot find {call.interface} of Pod {record.pod}: somebody removed it"
            raise CniError(message, Code.UNKNOWN_CONTAINER)

    async def _status(self, call: Call) -> None:
        if why := self._why_not_ready():
            raise CniError(f"cannot attach Pods yet: {why}", Code.UNAVAILABLE)
        await self._executor.status(default.cluster_text(self._configurations), "")

    async def _collect(self, call: Call) -> None:
        """GC: what the runtime has no sandbox for any more."""
        listed = call.config.get(VALID_ATTACHMENTS)
        valid = {(one.get("containerID"), one.get("ifname")) for one in _objects(listed)}
        for entry in self._executor.entries():
            if entry.runtime and (entry.sandbox, entry.interface) not in valid:
                await self._executor.delete(entry.sandbox, entry.interface)
        await self._executor.collect(default.cluster_text(self._configurations), "")


def primary(sandbox: Sandbox) -> bool:
    """Whether an entry of the Pod's list takes the place of the default network."""
    return networks.replacing(asked.wanted(sandbox)) is not None


def _request(call: Call) -> Request:
    offered = {key: value for key, value in call.offered.items() if key not in {"ips", "mac"}}
    mac = call.offered.get("mac")
    addresses = call.offered.get("ips")
    texts = [one for one in addresses if isinstance(one, str)] if isinstance(addresses, list) else []
    return Request(
        pod=call.pod,
        netns=call.netns,
        interface=call.interface,
        mac=mac if isinstance(mac, str) else "",
        addresses=tuple(texts),
        capabilities=offered,
    )


def _of(record: Record | None, interface: str) -> InterfaceRecord | None:
    return next((one for one in record.interfaces if one.link.name == interface), None) if record else None


def _objects(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def as_result(interface: InterfaceRecord, netns: str) -> result.Result:
    """What the runtime is told of the primary."""
    link = interface.link
    gateways = [ipaddress.ip_address(text) for text in interface.gateways]
    ips = [ipaddress.ip_interface(text) for text in (*link.addresses, *interface.observed)]
    defaults = [ipaddress.ip_address(text) for text in link.default_gateways]
    if link.dhcp is not None and link.dhcp.default:
        defaults += [gateway for gateway in gateways if gateway.version == 4]
    return result.Result(
        version=config.VERSIONS[-1],
        links=(result.Link(link.name, link.mac, netns, link.mtu),),
        ips=tuple(result.Ip(ip, next((g for g in gateways if g.version == ip.version), None), 0) for ip in ips),
        routes=tuple(
            result.Route(ipaddress.ip_network("0.0.0.0/0" if g.version == 4 else "::/0"), g) for g in defaults
        ),
        dns=result.Dns(nameservers=tuple(interface.nameservers), search=tuple(interface.search)),
    )
