"""A control plane without nodes: etcd, kube-apiserver, kube-scheduler and the extender as processes of this one.

For the benchmark and the tests in tests/scheduler: nobody runs the Pods, a binding is all that is looked at. The
programs come from the cache of hack/; everything lies in memory and ends with this process, even when it is killed
(PR_SET_PDEATHSIG). Longer than our files are: start, certificates and end of four programs belong together.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import datetime
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from podnet_api import core, names
from podnet_api.admission import certificates
from podnet_api.kube import Client, Credentials
from podnet_hack import generate, paths
from podnet_hack.localcluster import components

TOKEN = "administrator"
NETWORK = "blue"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PODS = "/api/v1/namespaces/default/pods"
RESOURCE = "multinetwork.x-k8s.io/networks"
START_SECONDS = 60.0
_AT_ONCE = 16
_KNI = "/apis/kni.multinetwork.x-k8s.io/v1alpha1"
_SIGKILL_ON_PARENT_DEATH = 1


class PlaneError(Exception):
    """A part of the control plane does not do what it should."""


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SIGKILL_ON_PARENT_DEATH, signal.SIGKILL)


class Program:
    """One process, with its log in a file."""

    def __init__(self, log: pathlib.Path, *words: object) -> None:
        self.log = log
        with log.open("ab") as out:
            argv = [str(word) for word in words]
            self.process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)

    async def until(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Wait for it to be ready. Raises PlaneError."""
        deadline = time.monotonic() + START_SECONDS
        while not await ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.log.read_text(errors="replace")[-3000:]
                raise PlaneError(f"cannot start {self.log.stem}:\n{text}")
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.kill()
        self.process.wait()

    @property
    def cpu_seconds(self) -> float:
        """Processor time until now."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @property
    def peak_mib(self) -> float:
        """The most memory that it had."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0


@dataclass(frozen=True)
class Network:
    """A network on the nodes of the plane: attachments on each node, and its pool of addresses."""

    name: str = NETWORK
    capacity: int = 1000
    range: dict[str, Any] | None = None


class Plane:
    """The control plane. Made by ``plane``."""

    def __init__(self, directory: pathlib.Path, url: str, session: aiohttp.ClientSession) -> None:
        self.directory = directory
        self.url = url
        self._session = session
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    @property
    def kubeconfig(self) -> pathlib.Path:
        """A kubeconfig of an administrator."""
        return self.directory / "kubeconfig"

    def client(self) -> Client:
        """A client as administrator, not opened yet."""
        return Client(Credentials.load(str(self.kubeconfig)), "plane")

    async def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """One request. Raises PlaneError."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        async with self._at_once, self._session.request(method, self.url + path, data=data, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise PlaneError(f"cannot {method} {path}: {answer.status} {text[:500]}")
            return json.loads(text) if text.startswith("{") else text

    async def all(self, requests: Iterable[Awaitable[Any]]) -> None:
        """Many requests, some at a time."""
        await asyncio.gather(*requests)

    async def alive(self) -> bool:
        """Whether the API server is ready."""
        try:
            return bool(await self.send("GET", "/readyz") == "ok")
        except (PlaneError, aiohttp.ClientError):
            return False

    async def crds(self, only: str = "") -> None:
        """Make the definitions of our kinds, or of ``only`` one, and wait until they can be used."""
        files = sorted((paths.CHECKOUT / generate.CRDS).glob(f"{only}*.yaml"))
        await self.all(self.send("POST", CRDS, yaml.safe_load(file.read_text())) for file in files)
        deadline = time.monotonic() + START_SECONDS
        while not all(_established(crd) for crd in (await self.send("GET", CRDS))["items"]):
            if time.monotonic() > deadline:
                raise PlaneError("cannot use the CRDs: they are not established")
            await asyncio.sleep(0.1)

    async def network(self, network: Network, *, ready: bool = True) -> None:
        """A PodNetwork."""
        spec: dict[str, Any] = {"bridge": {}}
        if network.range:
            spec["ipam"] = {"ranges": [network.range]}
        await self.send("POST", f"{_KNI}/networkconfigs", _object(_KNI, "NetworkConfig", network.name, spec))
        group = "/apis/multinetwork.x-k8s.io/v1alpha1"
        ref = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": network.name}
        made = _object(group, "PodNetwork", network.name, {"provider": names.PROVIDER, "parametersRefs": [ref]})
        await self.send("POST", f"{group}/podnetworks", made)
        if ready:
            await self.ready(network.name)

    async def ready(self, network: str) -> None:
        """What the controller writes when nothing is wrong with a PodNetwork."""
        path = f"/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/{network}"
        made = await self.send("GET", path)
        ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": _now()}
        made["status"] = {"conditions": [ready]}
        await self.send("PUT", f"{path}/status", made)

    async def nodes(
        self,
        count: int,
        carriers: int,
        networks: Iterable[Network] = (Network(),),
        everywhere: Iterable[Network] = (),
    ) -> None:
        """``count`` nodes, of which the last ``carriers`` have ``networks`` and all have ``everywhere``."""
        few, all_ = list(networks), list(everywhere)
        await self.all(
            self.node(f"node-{n:05}", [*all_, *few] if n >= count - carriers else all_) for n in range(count)
        )

    async def node(self, name: str, networks: list[Network]) -> None:
        """A node with ``networks``."""
        node = _object("/api/v1", "Node", name, {})
        node["metadata"]["labels"] = {names.NODE_LABEL_PREFIX + network.name: "ready" for network in networks}
        amounts = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
        amounts |= {names.attachments_resource(network.name): str(network.capacity) for network in networks}
        node["status"] = {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await self.send("POST", "/api/v1/nodes", node)
        if not networks:
            return
        made = await self.send("POST", f"{_KNI}/nodenetworks", _object(_KNI, "NodeNetwork", name, {}))
        made["status"] = {"networks": [_entry(network) for network in networks]}
        await self.send("PUT", f"{_KNI}/nodenetworks/{name}/status", made)

    async def carry(self, node: str, network: Network, *, ready: bool) -> None:
        """What the KNI server of ``node`` writes when a network has been set up there, or its uplink fails."""
        word = names.NODE_LABEL_VALUE if ready else names.NODE_LABEL_NOT_READY
        patch = {"metadata": {"labels": {names.NODE_LABEL_PREFIX + network.name: word}}}
        await self.send("PATCH", f"/api/v1/nodes/{node}", patch, "application/merge-patch+json")
        path = f"{_KNI}/nodenetworks"
        with contextlib.suppress(PlaneError):
            await self.send("POST", path, _object(_KNI, "NodeNetwork", node, {}))
        made = await self.send("GET", f"{path}/{node}")
        made["status"] = {
            "networks": [_entry(network) | {"ready": ready, "reason": "Ready" if ready else "UplinkDown"}]
        }
        await self.send("PUT", f"{path}/{node}/status", made)

    async def pods(self, prefix: str, count: int, spec: dict[str, Any] | None = None, listed: str = "") -> None:
        """``count`` Pods; ``listed`` is their list of networks."""
        await self.all(self.pod(f"{prefix}-{number}", spec, listed) for number in range(count))

    async def pod(self, name: str, spec: dict[str, Any] | None = None, listed: str = "") -> None:
        """One Pod."""
        made = _object("/api/v1", "Pod", name, spec or plain())
        made["metadata"]["annotations"] = {names.NETWORKS_ANNOTATION: listed} if listed else {}
        await self.send("POST", PODS, made)

    async def no_pods(self) -> None:
        """Delete all Pods."""
        await self.send("DELETE", f"{PODS}?gracePeriodSeconds=0")

    @contextlib.asynccontextmanager
    async def running(self, program: Program) -> AsyncIterator[Program]:
        """Ends ``program`` afterwards."""
        try:
            yield program
        finally:
            program.kill()

    async def extender(self, port: int) -> Program:
        """The extender, filled and ready."""
        program = self.started_extender(port)
        await program.until(lambda: self.serves(port))
        return program

    def started_extender(self, port: int, *flags: object) -> Program:
        """The extender as it starts."""
        words = ["-m", "podnet_scheduler_extender.main", "--kubeconfig", self.kubeconfig, "--log-level", "warning"]
        words += ["--listen", f"127.0.0.1:{port}"]
        return Program(self.directory / "extender.log", sys.executable, *words, *flags)

    async def serves(self, port: int) -> bool:
        """Whether an extender on ``port`` is ready."""
        try:
            async with self._session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def answers(self, port: int, verb: str) -> float:
        """How many calls an extender has answered."""
        found = re.findall(rf'answers_total{{[^}}]*verb="{verb}"}} ([0-9.]+)', await self.metrics(port))
        return sum(float(count) for count in found)

    async def metrics(self, port: int) -> str:
        """The page of an extender."""
        async with self._session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            return await answer.text()

    def scheduler(self, extender: int = 0, *, percentage: int = 0, **changes: Any) -> Program:
        """kube-scheduler; with the port of an extender it asks there. ``changes`` are other settings for that."""
        config: dict[str, Any] = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(self.kubeconfig), "qps": 5000, "burst": 5000},
            "leaderElection": {"leaderElect": False},
            "percentageOfNodesToScore": percentage,
        }
        if extender:
            config["extenders"] = [_asked_at(f"http://127.0.0.1:{extender}") | changes]
        file = self.directory / "scheduler.yaml"
        file.write_text(yaml.safe_dump(config))
        words = [components.build(components.KUBERNETES) / "kube-scheduler", f"--config={file}", "--secure-port=0"]
        return Program(self.directory / "kube-scheduler.log", *words)


def _asked_at(url: str) -> dict[str, Any]:
    """The extender as hack/ configures it, at another address."""
    file = paths.CHECKOUT / "hack/podnet_hack/localcluster/scheduler.yaml"
    [extender] = yaml.safe_load(file.read_text())["extenders"]
    return {**extender, "urlPrefix": url}


def _object(group: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    version = group.removeprefix("/apis/").removeprefix("/api/")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _entry(network: Network) -> dict[str, Any]:
    count = {"capacity": network.capacity, "used": 0}
    return {"name": network.name, "config": network.name, "ready": True, "reason": "Ready", "attachments": count}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain() -> dict[str, Any]:
    """The spec of a Pod without networks. It asks for a little, as Pods do: for those that ask for nothing
    kube-scheduler leaves out half of its work."""
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}}
    return {"containers": [{"name": "main", "image": "pause", "resources": resources}], "enableServiceLinks": False}


def without_requests(spec: dict[str, Any]) -> dict[str, Any]:
    """``spec`` without what ``plain`` asks for."""
    for container in spec["containers"]:
        container["resources"].pop("requests")
    return spec


def bound_to(*networks: str) -> dict[str, Any]:
    """The same with the affinity that the webhook writes, and no call of the extender."""
    wanted = [{"key": names.NODE_LABEL_PREFIX + name, "operator": "Exists"} for name in networks]
    terms = {"nodeSelectorTerms": [{"matchExpressions": wanted}]}
    return plain() | {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def managed(*networks: str) -> dict[str, Any]:
    """The same as the webhook leaves it."""
    made = bound_to(*networks)
    made["containers"][0]["resources"]["limits"] = {RESOURCE: "0"}
    return made


def counted(*networks: str) -> dict[str, Any]:
    """The same as the webhook leaves it with --hybrid where nodes can count alone."""
    made = plain()
    limits = {names.attachments_resource(name): "1" for name in networks}
    made["containers"][0]["resources"]["limits"] = limits
    return made


def listed(*networks: str) -> str:
    """The annotation."""
    return json.dumps([{"podNetworkName": name} for name in networks])


@contextlib.asynccontextmanager
async def plane() -> AsyncIterator[Plane]:
    """An API server that knows podnet's CRDs. Raises an error of podnet_hack when there are no programs."""
    etcd = components.build(components.ETCD) / "etcd"
    apiserver = components.build(components.KUBERNETES) / "kube-apiserver"
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="podnet-plane-") as name:
        directory, port, store = pathlib.Path(name), free_port(), f"http://127.0.0.1:{free_port()}"
        _credentials(directory, port)
        timeout = aiohttp.ClientTimeout(total=120)
        connector = aiohttp.TCPConnector(limit=_AT_ONCE, ssl=False)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            made = Plane(directory, f"https://127.0.0.1:{port}", session)
            storage = Program(directory / "etcd.log", etcd, *_etcd_flags(directory, store))
            async with made.running(storage):
                server = Program(directory / "apiserver.log", apiserver, *_apiserver_flags(directory, port, store))
                async with made.running(server):
                    await server.until(made.alive)
                    await made.crds()
                    yield made


def _etcd_flags(directory: pathlib.Path, client: str) -> list[str]:
    peer = f"http://127.0.0.1:{free_port()}"
    return [
        f"--data-dir={directory / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=error",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def _apiserver_flags(directory: pathlib.Path, port: int, store: str) -> list[str]:
    return [
        f"--etcd-servers={store}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--tls-cert-file={directory / 'tls.crt'}",
        f"--tls-private-key-file={directory / 'tls.key'}",
        f"--service-account-key-file={directory / 'accounts.key'}",
        f"--service-account-signing-key-file={directory / 'accounts.key'}",
        "--service-account-issuer=https://podnet.test",
        f"--token-auth-file={directory / 'tokens'}",
        "--authorization-mode=RBAC",
        # Without a controller-manager nobody would make service accounts or take the taint of new nodes away.
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
        "--service-cluster-ip-range=10.255.0.0/24",
        "--etcd-compaction-interval=0",
        "--enable-priority-and-fairness=false",
        "--max-requests-inflight=0",
        "--max-mutating-requests-inflight=0",
        "--profiling=false",
    ]


def _credentials(directory: pathlib.Path, port: int) -> None:
    made = certificates.make("kubernetes", "default", datetime.datetime.now(datetime.UTC))
    (directory / "tls.crt").write_bytes(made.certificate)
    (directory / "tls.key").write_bytes(made.key)
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "accounts.key").write_bytes(key.private_bytes(*form))
    (directory / "tokens").write_text(f'{TOKEN},administrator,1,"system:masters"\n')
    authority = base64.b64encode(made.authorities).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (directory / "kubeconfig").write_text(yaml.safe_dump(config))


def _established(crd: dict[str, Any]) -> bool:
    found = {c["type"]: c["status"] for c in crd["status"].get("conditions") or []}
    return found.get("Established") == "True"


class Bindings:
    """Watches the Pods: where each is and when that was seen. ``unschedulable`` are those that were ever so."""

    def __init__(self) -> None:
        self.node: dict[str, str] = {}
        self.time: dict[str, float] = {}
        self.unschedulable: set[str] = set()
        self.listener: Callable[[], None] = lambda: None
        """Called after each binding."""
        self._news = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, made: Plane) -> AsyncIterator[Bindings]:
        """From now on."""
        found = cls()
        async with made.client() as client:
            _, version = await client.list_all(core.Pod, "default")
            task = asyncio.ensure_future(found._follow(client, version))
            try:
                yield found
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _follow(self, client: Client, version: str) -> None:
        while True:  # the API server ends a watch every few minutes
            async for kind, raw in client.watch(core.Pod, "default", version):
                pod = msgspec.json.decode(raw, type=core.Pod)
                version = pod.metadata.resource_version
                if kind in {"ADDED", "MODIFIED", "DELETED"}:
                    self._see(kind, pod)

    def _see(self, kind: str, pod: core.Pod) -> None:
        name = pod.metadata.name
        if kind == "DELETED":
            self.node.pop(name, None)
        elif pod.spec.node_name and name not in self.node:
            self.node[name] = pod.spec.node_name
            self.time[name] = time.monotonic()
            self._news.set()
            self.listener()
        elif any(c.type == "PodScheduled" and c.status == "False" for c in pod.status.conditions):
            self.unschedulable.add(name)

    async def until(self, count: int, prefix: str = "", seconds: float = 120.0) -> None:
        """Wait until so many Pods are bound. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while sum(name.startswith(prefix) for name in self.node) < count:
                self._news.clear()
                await self._news.wait()
