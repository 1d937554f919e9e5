"""The KNI service: decode, call the core, map errors. Protobuf classes stop here.

Every method of the public KNI proto, under the same wire names (podnet_api/knirpc/kni.proto). Imported when the first
client comes (door.py): nothing else may import it, or any of gRPC.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from podnet_api import kni, reasons
from podnet_api.errors import PodnetError
from podnet_api.knirpc import kni_pb2, kni_pb2_grpc

from podnet_kni_server import netns
from podnet_kni_server.attach import Core
from podnet_kni_server.datapath.model import Observed
from podnet_kni_server.errors import AttachError
from podnet_kni_server.records import Record, Sandbox, State

NETNS_DIRECTORY = Path("/run/netns")
_STOP_GRACE = 2.0
_CHECK_SECONDS = 5.0
_CODES = {
    reasons.NETWORK_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    reasons.ATTACHMENT_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    reasons.PARAMS_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    reasons.INVALID_NETWORKS: grpc.StatusCode.INVALID_ARGUMENT,
    reasons.DUPLICATE_NETWORK: grpc.StatusCode.INVALID_ARGUMENT,
    reasons.NO_ADDRESSES_LEFT: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_T = TypeVar("_T")
_Context = grpc.aio.ServicerContext[Any, Any]


class Node(Protocol):
    """What the service asks of the node agent."""

    entries: list[kni.NodeNetworkEntry]

    async def set_up(self) -> None:
        """Make what the networks of this node need."""


class Service(kni_pb2_grpc.KNIServicer):
    """kni.KNI."""

    def __init__(self, core: Core, node: Node) -> None:
        self._core = core
        self._node = node

    async def CreateNetwork(self, request: Any, context: _Context) -> Any:
        """Make a namespace named by the Pod's uid."""
        await _need(context, uid=request.uid)
        path = Path(request.netns_path_prefix or NETNS_DIRECTORY) / request.uid
        await _answer(context, lambda: netns.create(path))
        return kni_pb2.CreateNetworkResponse(netns_path=str(path))

    async def DeleteNetwork(self, request: Any, context: _Context) -> Any:
        """Detach and remove the namespace."""
        await _need(context, netns_path=request.netns_path)
        if request.id:
            await _answer(context, lambda: self._core.detach(request.id))
        await _answer(context, lambda: netns.delete(Path(request.netns_path)))
        return kni_pb2.DeleteNetworkResponse()

    async def AttachInterface(self, request: Any, context: _Context) -> Any:
        """Attach, and answer what the kernel then has."""
        await _need(context, name=request.name, namespace=request.namespace, id=request.id)
        sandbox = Sandbox(
            id=request.id,
            uid=request.pod_uid,
            namespace=request.namespace,
            name=request.name,
            netns=request.isolation.path or None,
            annotations=dict(request.annotations),
        )
        record = await _answer(context, lambda: self._core.attach(sandbox))
        return kni_pb2.AttachInterfaceResponse(ipconfigs=await self._configs(context, record))

    async def DetachInterface(self, request: Any, context: _Context) -> Any:
        """Detach; success when nothing is attached."""
        await _need(context, id=request.id)
        await _answer(context, lambda: self._core.detach(request.id))
        return kni_pb2.DetachInterfaceResponse()

    async def QueryPodNetwork(self, request: Any, context: _Context) -> Any:
        """The Pod's interfaces, read from the kernel."""
        record = self._find(request.id, request.namespace, request.name)
        if record is None:
            message = f"cannot query Pod {request.namespace}/{request.name}: it is not attached here"
            await context.abort(grpc.StatusCode.NOT_FOUND, message)
        return kni_pb2.QueryPodNetworkResponse(ipconfigs=await self._configs(context, record))

    async def QueryNodeNetworks(self, request: Any, context: _Context) -> Any:
        """The networks of this node."""
        return kni_pb2.QueryNodeNetworksResponse(
            networks=[
                kni_pb2.Network(name=e.name, ready=e.ready, reason=e.reason, message=e.message)
                for e in self._node.entries
            ]
        )

    async def SetupNodeNetwork(self, request: Any, context: _Context) -> Any:
        """Make what the networks need on the node, now."""
        await _answer(context, self._node.set_up)
        return kni_pb2.SetupNodeNetworkResponse()

    def _find(self, sandbox: str, namespace: str, name: str) -> Record | None:
        if sandbox:
            return self._core.record(sandbox)
        found = [r for r in self._core.records() if (r.namespace, r.name) == (namespace, name)]
        return next((r for r in reversed(found) if r.state is State.ATTACHED), None)

    async def _configs(self, context: _Context, record: Record | None) -> Mapping[str, Any]:
        if record is None:
            return {}
        observed = await _answer(context, lambda: self._core.observe(record))
        return {o.name: _config(record, o) for o in observed}


def _config(record: Record, observed: Observed) -> Any:
    interface = next(i for i in record.interfaces if i.link.name == observed.name)
    return kni_pb2.IPConfig(
        ip=[str(a.ip) for a in observed.addresses],
        mac=observed.mac,
        pod_network=interface.network,
        cidr=[str(a) for a in observed.addresses],
        gateway=[str(ipaddress.ip_address(g)) for g in interface.gateways],
        mtu=observed.mtu,
    )


async def _need(context: _Context, **fields: str) -> None:
    missing = [name for name, value in fields.items() if not value]
    if missing:
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, f"cannot serve the request: {', '.join(missing)} is empty"
        )


async def _answer(context: _Context, call: Callable[[], Awaitable[_T]]) -> _T:
    """What ``call`` returns; podnet's errors become a status."""
    try:
        return await call()
    except AttachError as error:
        code = _CODES.get(error.reason, grpc.StatusCode.FAILED_PRECONDITION)
        await context.abort(code, str(error))
    except PodnetError as error:
        await context.abort(grpc.StatusCode.INTERNAL, str(error))
    raise AssertionError("unreachable: abort raises")


class Server:
    """The gRPC server behind the door."""

    def __init__(self, service: Service) -> None:
        self._server = grpc.aio.server()
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        kni_pb2_grpc.add_KNIServicer_to_server(service, self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, path: Path) -> None:
        """See door.Behind."""
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def serving(self, ready: bool) -> None:
        """See door.Behind."""
        value = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("", value)
        await self._health.set("kni.KNI", value)

    async def stop(self) -> None:
        """See door.Behind."""
        await self._server.stop(_STOP_GRACE)


async def check(socket: Path) -> int:
    """Status of a program that asks the server behind ``socket`` whether it serves."""
    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_CHECK_SECONDS)
    except grpc.aio.AioRpcError as error:
        print(f"cannot ask {socket}: {error.details()}", file=sys.stderr)
        return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1
