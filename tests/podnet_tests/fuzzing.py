"""What reads bytes of others, each as a function of bytes that raises nothing but what it promises: for hypothesis,
for the mutations below, and for atheris (``make fuzz``)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import random
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from podnet_api import names, networks
from podnet_api.errors import InvalidError
from podnet_kni_server import asked, attach, resolv
from podnet_kni_server.blocks import Blocks
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.cni import config, result
from podnet_kni_server.cni.errors import CniError
from podnet_kni_server.datapath import fdb, functions, inet, links, monitor, netlink, observe, worker
from podnet_kni_server.datapath.channel import Channel, answer_of
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.extras import policy, traffic
from podnet_kni_server.errors import AttachError
from podnet_kni_server.leases import Leases
from podnet_kni_server.nri import convert, errors, events, framing, mux, nri_pb2, ttrpc, types
from podnet_kni_server.records import Record, Sandbox, State

from podnet_tests import fuzzing_extender, kni_world

_directory = tempfile.TemporaryDirectory(prefix="podnet-fuzz-")


@dataclass(frozen=True)
class Target:
    """Something to be fed. ``seeds`` are good inputs, ``words`` what they are made of."""

    feed: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


class _Deaf:
    """events.Handler that agrees to everything."""

    async def configured(self, runtime: str, version: str, request_timeout: float) -> None: ...
    async def synchronize(self, pods: Sequence[types.PodSandbox], containers: Sequence[types.Container]) -> None: ...
    async def run_pod_sandbox(self, pod: types.PodSandbox) -> None: ...
    async def stop_pod_sandbox(self, pod: types.PodSandbox) -> None: ...
    async def remove_pod_sandbox(self, pod: types.PodSandbox) -> None: ...
    async def create_container(self, pod: types.PodSandbox, container: types.Container) -> types.Adjustment:
        return types.Adjustment(env={"a": pod.name + container.name})


def nri(data: bytes) -> None:
    """The stream of a runtime: frames, messages on both connections, events, answers."""
    asyncio.run(_nri(data))


async def _nri(data: bytes) -> None:
    heard: list[bytes] = []
    served = events.Events(_Deaf(), types.FailurePolicy())
    server = ttrpc.Server(heard.append, events.SERVICE, served.methods)
    client = ttrpc.Client(heard.append)
    waiting = asyncio.ensure_future(client.call("s", "m", b"", 60))
    await asyncio.sleep(0)
    try:
        for (connection, _), payload in framing.Reassembly(mux.FRAME).feed(data):
            if connection == mux.RUNTIME:
                client.feed(payload)
                continue
            for call in server.feed(payload):
                try:
                    server.reply(call.stream, await served.prepare(call.method, call.payload).work())
                except errors.StatusError as error:
                    server.fail(call.stream, error.code, error.message)
    except errors.NriError:
        pass
    client.close(errors.ConnectionLost("cannot go on: it is over"))
    await asyncio.gather(waiting, return_exceptions=True)


def checkpoint(data: bytes) -> None:
    """A file among the checkpoints: it is taken, or set aside; the server starts in any case."""
    place = pathlib.Path(_directory.name) / "sandboxes"
    leases = Leases()
    store = Store(place)
    store.open()
    for old in place.iterdir():
        old.unlink()
    (place / "s1.json").write_bytes(data)
    world = kni_world.World(pathlib.Path(_directory.name) / "world")
    blocks = Blocks("n1", leases, world.api)
    core = attach.Core(view=world, node=world, leases=leases, blocks=blocks, store=store, datapath=world.datapath)
    core.load()
    assert core.records() or any(place.glob("*.broken"))
    asyncio.run(core.reconcile([]))


def annotation(data: bytes) -> None:
    """A Pod's list, as admission and as the node reads it."""
    text = data.decode(errors="surrogateescape")
    for host in (False, True):
        with contextlib.suppress(InvalidError):
            networks.interface_names(networks.parse(text, host_network=host))
    sandbox = Sandbox("s1", "u", "ns", "p", "/run/netns/s1", {names.NETWORKS_ANNOTATION: text})
    world = kni_world.World(pathlib.Path(_directory.name) / "world")
    world.add(kni_world.network_config("blue"))
    with contextlib.suppress(AttachError):
        asked.of_sandbox(sandbox, world)


def cni_result(data: bytes) -> None:
    """A plugin's answer, and the same written for every version."""
    for version in config.VERSIONS:
        try:
            found = result.decode(data, version)
        except CniError:
            continue
        for other in config.VERSIONS:
            json.dumps(result.encode(found, other))


def cni_config(data: bytes) -> None:
    """A network's CNI configuration."""
    with contextlib.suppress(CniError):
        config.parse(data.decode(errors="replace"), "n")


class _Canned(Channel):
    """A channel on which the kernel answers ``data``."""

    def __init__(self, data: bytes) -> None:
        self._data = [data]
        self.sequence = 1
        self._socket = self  # type: ignore[assignment]

    def send(self, data: bytes) -> int:
        return len(data)

    def recv(self, size: int, flags: int) -> bytes:
        if not self._data:
            raise BlockingIOError(11, "nothing more")
        return self._data.pop()


def kernel(data: bytes) -> None:
    """What the kernel answers to a dump."""
    for read in _READERS:
        with contextlib.suppress(DatapathError), worker.understanding():
            read(data)
    monitor.parse_events(data, {})


def _all_of(parse: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        for body in _Canned(data).dump(links.get_all()):
            parse(body)

    return read


def _usual(data: bytes) -> None:
    """The answer to messages that went packed (usual attach): taken apart only when something was refused."""
    told, fine = _Canned(data).carry_out(b"", 1)
    if not fine:
        answer_of([links.get_all()], told, 1).check()


def resolver(data: bytes) -> None:
    """The resolv.conf that the runtime mounts."""
    own = resolv.Dns(("192.0.2.1",), ("corp.example",), ("edns0",))
    merged, _ = resolv.merged(data.decode(errors="replace"), own, "Default")
    found = resolv.parse(merged)
    assert (found.nameservers[0], found.search[0]) == ("192.0.2.1", "corp.example")
    assert resolv.render(found) == merged


_RESOLV = (b"search ns.svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n", b"domain a\n#b\n")


_READERS: tuple[Callable[[bytes], object], ...] = (
    lambda data: observe.read(_Canned(data), None),
    lambda data: _Canned(data).run(links.get_all()),
    lambda data: _usual(data),
    _all_of(inet.parse_address),
    _all_of(inet.parse_route),
    _all_of(inet.is_default),
    _all_of(inet.has_usual_metric),
    _all_of(inet.table_of),
    _all_of(traffic.parse_limit),
    _all_of(traffic.target),
    _all_of(policy.parse_rule),
    _all_of(links.port_of),
    _all_of(links.parse_vlans),
    _all_of(functions.parse),
    _all_of(lambda body: fdb.parse_peer(body, 1)),
)


def mutations(target: Target, chance: random.Random, count: int) -> Iterator[bytes]:
    """Good inputs with something wrong in them."""
    for _ in range(count):
        made = bytearray(chance.choice(target.seeds))
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            _change(made, target, chance)
        yield bytes(made)


def _change(made: bytearray, target: Target, chance: random.Random) -> None:
    at = chance.randrange(len(made) + 1)
    match chance.randrange(7):
        case 0 if made:
            made[min(at, len(made) - 1)] ^= 1 << chance.randrange(8)
        case 1:
            made[at : at + 1] = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x5C)),))
        case 2:
            del made[at : at + chance.choice((1, 2, 4, 64))]
        case 3:
            made[at:at] = made[: chance.randrange(1, 64)]
        case 4:
            other = chance.choice(target.seeds)
            made[at:] = other[chance.randrange(len(other)) :]
        case 5 if target.words:
            made[at:at] = chance.choice(target.words)
        case _:
            made[at : at + 4] = struct.pack("=I", chance.choice((0, 1, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))


def _frames() -> list[bytes]:
    """A runtime's words, as they are."""
    pod = types.PodSandbox(
        "s1", "p", "ns", "u", {"l": "1"}, {names.NETWORKS_ANNOTATION: "[]"}, "", (types.Namespace("network", "/n"),)
    )
    wire, container = convert.pod_to(pod), convert.container_to(types.Container("c1", "s1", "main"))
    messages = {
        "Configure": nri_pb2.ConfigureRequest(runtime_name="r", runtime_version="v", request_timeout=2000),
        "Synchronize": nri_pb2.SynchronizeRequest(pods=[wire], containers=[container]),
        "RunPodSandbox": nri_pb2.PodRequest(pod=wire),
        "StateChange": nri_pb2.StateChangeEvent(event="RUN_POD_SANDBOX", pod=wire),
        "CreateContainer": nri_pb2.CreateContainerRequest(pod=wire, container=container),
    }
    found, stream, whole = [], 1, b""
    for method, message in messages.items():
        request = nri_pb2.Request(service=events.SERVICE, method=method, payload=message.SerializeToString())
        body = request.SerializeToString()
        packed = ttrpc.MESSAGE.pack(len(body), stream, ttrpc.REQUEST, 0) + body
        found.append(b"".join(mux.split(mux.PLUGIN, packed)))
        whole, stream = whole + found[-1], stream + 2
    answer = nri_pb2.Response(payload=b"x").SerializeToString()
    packed = ttrpc.MESSAGE.pack(len(answer), 1, ttrpc.RESPONSE, 0) + answer
    return [*found, whole, b"".join(mux.split(mux.RUNTIME, packed))]


def _records() -> list[bytes]:
    world = kni_world.World(pathlib.Path(_directory.name) / "seed")
    world.add(kni_world.network_config("blue", ipam={"ranges": [{"cidr": "10.1.0.0/24"}, {"cidr": "fd00::/64"}]}))
    made = asyncio.run(world.core.attach(kni_world.sandbox("blue", id="s1")))
    assert made is not None
    return [msgspec.json.encode(msgspec.structs.replace(made, state=state)) for state in State]


def _dumps() -> list[bytes]:
    """What this kernel answers."""
    found = []
    for request in (links.get_all(), inet.get_addresses(), inet.get_routes(4), inet.get_routes(6), links.get_vlans()):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
            asking.settimeout(1)
            flags = request.flags | netlink.REQUEST
            asking.send(netlink.HEADER.pack(16 + len(request.body), request.kind, flags, 1, 0) + request.body)
            found.append(asking.recv(1 << 16)[:8192])
    return found


_LISTS = [
    b'[{"podNetworkName":"blue","interfaceName":"net1","isDefaultGW4":true}]',
    b'[{"podNetworkName":"default"},{"podNetworkAttachmentName":"a"}]',
]
_RESULTS = [
    b'{"cniVersion":"1.1.0","interfaces":[{"name":"net1","sandbox":"/n","mac":"02:00:00:00:00:01","mtu":1500}],'
    b'"ips":[{"address":"10.1.0.5/24","gateway":"10.1.0.1","interface":0}],'
    b'"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400}],"dns":{"nameservers":["10.1.0.1"]}}',
    b'{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/24","routes":[{"dst":"10.0.0.0/8"}]},"dns":{}}',
]
_CONFIGS = [
    b'{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"bridge","ipam":{"type":"static"},'
    b'"capabilities":{"ips":true}}]}',
    b'{"cniVersion":"0.3.1","name":"n","type":"macvlan","master":"eth1"}',
]
_JSON = [b"null", b"true", b"[]", b"{}", b'""', b"1e400", b"-1", b"\\ud800", b"\xff", b'"ips"', b'"::1/200"', b"[[["]

TARGETS = {
    "nri": Target(nri, _frames(), (b"\0\0\0\1", b"\0\0\0\2", b"RunPodSandbox")),
    "checkpoint": Target(checkpoint, _records(), _JSON),
    "annotation": Target(annotation, _LISTS, _JSON),
    "cni-result": Target(cni_result, _RESULTS, _JSON),
    "cni-config": Target(cni_config, _CONFIGS, _JSON),
    "resolv": Target(resolver, _RESOLV, (b"nameserver ", b"options ", b"search ", b"\n", b"\r", b" ")),
    "extender": Target(fuzzing_extender.requests, fuzzing_extender.SEEDS, fuzzing_extender.WORDS),
    "kernel": Target(kernel, _dumps(), (struct.pack("=HH", 4, 1), struct.pack("=IHHII", 20, 2, 0, 1, 0) + b"\xff" * 4)),
}
__all__ = ["TARGETS", "Record", "Target", "mutations"]
