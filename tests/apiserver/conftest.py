"""A real kube-apiserver with its etcd, for tests of everything that it decides: CRDs, CEL, admission.

Both are processes of this test run, on ports of their own and a directory in memory; they end with it,
even when it is killed (PR_SET_PDEATHSIG). The binaries come from the cache of hack/; without them the tests
are skipped and say why. Longer than our files are: every program that a test may start beside the API server is here.
"""

from __future__ import annotations

import base64
import ctypes
import datetime
import json
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from podnet_api import core
from podnet_api.admission import certificates
from podnet_api.kube import Client, Credentials
from podnet_api.meta import Resource
from podnet_api.webhook import configurations
from podnet_hack import errors, generate, paths
from podnet_hack.localcluster import components
from podnet_tests.authority import Authority

TOKEN = "administrator"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
START_SECONDS = 60
_SIGKILL_ON_PARENT_DEATH = 1
_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts:podnet-system"]}, {"level": "None"}],
}
"""What our own accounts ask for is written down, and nothing else."""


@dataclass(frozen=True)
class Answer:
    """What the API server answered."""

    code: int
    body: dict[str, Any]
    warnings: list[str]

    @classmethod
    def of(cls, code: int, content: bytes, warnings: list[str]) -> Answer:
        """Read it; probes answer plain text."""
        return cls(code, json.loads(content) if content.startswith(b"{") else {}, warnings)

    @property
    def message(self) -> str:
        """The sentence of an error."""
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and message of each cause of an error."""
        found = (self.body.get("details") or {}).get("causes") or []
        return [(cause.get("field", ""), cause.get("message", "")) for cause in found]


@dataclass(frozen=True)
class ApiServer:
    """A running API server."""

    url: str
    authority: bytes
    directory: pathlib.Path

    @property
    def kubeconfig(self) -> pathlib.Path:
        """A kubeconfig of an administrator."""
        return self.directory / "kubeconfig"

    def seen_through(self, port: int) -> ApiServer:
        """The same by way of a proxy on this machine, with a kubeconfig of its own."""
        directory = self.directory / f"proxy-{port}"
        directory.mkdir()
        there = ApiServer(f"https://127.0.0.1:{port}", self.authority, directory)
        there.kubeconfig.write_text(self.kubeconfig.read_text().replace(self.url, there.url))
        return there

    def client(self, name: str = "test") -> Client:
        """A client as administrator, not opened yet."""
        return Client(Credentials.load(str(self.kubeconfig)), name)

    def answers(self) -> bool:
        """Whether /readyz says yes."""
        try:
            return self.send("GET", "/readyz").code == 200
        except OSError:
            return False

    def table(self, path: str) -> tuple[list[str], list[list[Any]]]:
        """What kubectl get prints of a collection: heads and rows."""
        found = self.send("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
        return [c["name"] for c in found["columnDefinitions"]], [row["cells"] for row in found["rows"]]

    def send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        dry_run: bool = False,
        accept: str = "application/json",
        query: dict[str, str] | None = None,
        as_user: str = "",
    ) -> Answer:
        """One request as administrator or as whom he plays, with strict fields; errors are answers, too."""
        asked_for = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {}), **(query or {})}
        url = f"{self.url}{path}?{urllib.parse.urlencode(asked_for)}"
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind, "Accept": accept}
        if as_user:
            headers["Impersonate-User"] = as_user
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(url, data, headers, method=method)
        tls = ssl.create_default_context(cadata=self.authority.decode())
        try:
            with urllib.request.urlopen(asked, context=tls, timeout=20) as answer:
                return Answer.of(answer.status, answer.read(), answer.headers.get_all("Warning") or [])
        except urllib.error.HTTPError as error:
            return Answer.of(error.code, error.read(), [])


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SIGKILL_ON_PARENT_DEATH, signal.SIGKILL)


def spawned(log: pathlib.Path, *argv: object) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        words = [str(word) for word in argv]
        return subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, preexec_fn=_die_with_parent)


def end(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _programs() -> tuple[pathlib.Path, pathlib.Path]:
    """etcd and kube-apiserver: from the cache; built there when that is possible."""
    try:
        return components.build(components.ETCD) / "etcd", components.build(components.KUBERNETES) / "kube-apiserver"
    except errors.HackError as error:
        pytest.skip(f"no kube-apiserver and etcd: {error}")


def _etcd(program: pathlib.Path, directory: pathlib.Path) -> tuple[subprocess.Popen[bytes], str]:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    flags = [f"--data-dir={directory / 'etcd'}", "--unsafe-no-fsync", "--log-level=error"]
    flags += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    flags += [
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]
    return spawned(directory / "etcd.log", program, *flags), client


def _prepare(directory: pathlib.Path, port: int) -> ApiServer:
    made = certificates.make("kubernetes", "default", datetime.datetime.now(datetime.UTC))
    (directory / "tls.crt").write_bytes(made.certificate)
    (directory / "tls.key").write_bytes(made.key)
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "accounts.key").write_bytes(key.private_bytes(*form))
    (directory / "tokens").write_text(f'{TOKEN},administrator,1,"system:masters"\n')
    server = ApiServer(f"https://127.0.0.1:{port}", made.authorities, directory)
    authority = base64.b64encode(made.authorities).decode()
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server.url, "certificate-authority-data": authority}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    server.kubeconfig.write_text(yaml.safe_dump(config))
    (directory / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
    return server


def _apiserver(
    program: pathlib.Path, server: ApiServer, port: int, etcd: str, request_header: Authority
) -> subprocess.Popen[bytes]:
    at = server.directory
    flags = [f"--etcd-servers={etcd}", f"--secure-port={port}", "--bind-address=127.0.0.1"]
    flags += [f"--tls-cert-file={at / 'tls.crt'}", f"--tls-private-key-file={at / 'tls.key'}"]
    flags += [f"--service-account-key-file={at / 'accounts.key'}", "--service-account-issuer=https://podnet.test"]
    flags += [f"--service-account-signing-key-file={at / 'accounts.key'}", f"--token-auth-file={at / 'tokens'}"]
    flags += ["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--profiling=false"]
    flags += [f"--audit-policy-file={at / 'audit.yaml'}", f"--audit-log-path={at / 'audit.log'}"]
    flags += ["--service-cluster-ip-range=10.255.0.0/24", "--etcd-compaction-interval=0", "--watch-cache=true"]
    flags += [f"--requestheader-client-ca-file={request_header.certificate}"]
    flags += ["--requestheader-allowed-names=front-proxy-client"]
    for what, header in (("username", "User"), ("group", "Group"), ("extra", "Extra-")):
        last = f"{what}-headers-prefix" if what == "extra" else f"{what}-headers"
        flags.append(f"--requestheader-{last}=X-Remote-{header}")
    return spawned(at / "kube-apiserver.log", program, *flags)


def _wait(until: Callable[[], bool], process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not until():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{log.stem} did not start:\n" + log.read_text(errors="replace")[-3000:])
        time.sleep(0.1)


@pytest.fixture(scope="session")
def request_header(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority whose client certificates may say who somebody else is."""
    return Authority(tmp_path_factory.mktemp("request-header"), "front-proxy-ca")


@pytest.fixture(scope="session")
def apiserver(request_header: Authority) -> Iterator[ApiServer]:
    """An API server that knows podnet's CRDs and nothing else of podnet."""
    etcd_program, apiserver_program = _programs()
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None, prefix="podnet-api-") as name:
        directory, port = pathlib.Path(name), free_port()
        server = _prepare(directory, port)
        etcd, etcd_url = _etcd(etcd_program, directory)
        process = _apiserver(apiserver_program, server, port, etcd_url, request_header)
        try:
            _wait(server.answers, process, directory / "kube-apiserver.log")
            _install_crds(server)
            yield server
        finally:
            end(process)
            end(etcd)


def _install_crds(server: ApiServer) -> None:
    for file in sorted((paths.CHECKOUT / generate.CRDS).glob("*.yaml")):
        answer = server.send("POST", CRDS, yaml.safe_load(file.read_text()))
        assert answer.code == 201, answer.message
    deadline = time.monotonic() + START_SECONDS
    while not all(_established(crd) for crd in server.send("GET", CRDS).body["items"]):
        assert time.monotonic() < deadline, "the CRDs are not established"
        time.sleep(0.1)


def _established(crd: dict[str, Any]) -> bool:
    found = {c["type"]: c["status"] for c in crd["status"].get("conditions") or []}
    assert found.get("NonStructuralSchema") != "True", crd
    return found.get("Established") == "True"


@pytest.fixture
async def client(apiserver: ApiServer) -> AsyncIterator[Client]:
    """An open client as administrator."""
    async with apiserver.client() as opened:
        yield opened


Spawn = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def spawn(apiserver: ApiServer) -> Iterator[Spawn]:
    """Starts programs of podnet against the API server; they are ended after the module, and must end well."""
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, *flags: str, port: int = 0, until: str = "") -> subprocess.Popen[bytes]:
        log = apiserver.directory / f"{module}.log"
        words = [sys.executable, "-m", module, "--kubeconfig", apiserver.kubeconfig, "--port", port or free_port()]
        started.append(spawned(log, *words, *flags))
        _wait(lambda: until in log.read_text(), started[-1], log)
        return started[-1]

    yield start
    for process in started:
        assert end(process) == 0, "a program must end well when it is asked to"


@pytest.fixture(scope="module")
def webhook(apiserver: ApiServer, spawn: Spawn) -> Iterator[ApiServer]:
    """The API server with podnet-webhook as a process beside it, registered by URL."""
    port = free_port()
    configured = _register(apiserver, port)
    spawn("podnet_api.webhook.main", "--namespace", "default", port=port, until="serving")
    time.sleep(1)  # the API server learns of the caBundle by a watch
    yield apiserver
    for path in configured:
        apiserver.send("DELETE", path)


@pytest.fixture(scope="module")
def spawn_proxy(apiserver: ApiServer, spawn: Spawn) -> Callable[..., ApiServer]:
    """Starts podnet-proxy as a process of its own; the API server as that shows it."""

    def start(*more: str) -> ApiServer:
        port, at = free_port(), apiserver.directory
        flags = ["--bind", "127.0.0.1", "--tls-cert", str(at / "tls.crt"), "--tls-key", str(at / "tls.key")]
        spawn("podnet_api.proxy", *flags, *more, port=port, until="serving")
        return apiserver.seen_through(port)

    return start


@pytest.fixture(scope="module")
def proxy(spawn_proxy: Callable[..., ApiServer]) -> ApiServer:
    """The API server as podnet-proxy shows it."""
    return spawn_proxy()


@pytest.fixture(scope="module")
def manager(apiserver: ApiServer) -> Iterator[ApiServer]:
    """The API server with those controllers of kube-controller-manager that make Pods."""
    program = components.build(components.KUBERNETES) / "kube-controller-manager"
    log = apiserver.directory / "kube-controller-manager.log"
    made = "deployment,replicaset,replicationcontroller,statefulset,daemonset,job,cronjob"
    wanted = ",".join(f"{name}-controller" for name in made.split(","))
    flags = [f"--kubeconfig={apiserver.kubeconfig}", f"--controllers={wanted}", "--leader-elect=false"]
    process = spawned(log, program, *flags, f"--secure-port={free_port()}", "--bind-address=127.0.0.1")
    yield apiserver
    assert process.poll() is None, log.read_text()[-2000:]
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def webhook_away(apiserver: ApiServer) -> Iterator[ApiServer]:
    """The API server, told of a webhook that nobody runs."""
    configured = _register(apiserver, free_port())
    time.sleep(1)
    yield apiserver
    for path in configured:
        apiserver.send("DELETE", path)


def _register(server: ApiServer, port: int) -> list[str]:
    """The paths of the configurations, made for a webhook on this machine."""
    made = []
    for plural, whole in (
        ("mutatingwebhookconfigurations", configurations.mutating()),
        ("validatingwebhookconfigurations", configurations.validating()),
    ):
        for one in whole["webhooks"]:
            path = one["clientConfig"].pop("service")["path"]
            one["clientConfig"]["url"] = f"https://127.0.0.1:{port}{path}"
        answer = server.send("POST", f"{REGISTRATION}/{plural}", whole)
        assert answer.code == 201, answer.message
        made.append(f"{REGISTRATION}/{plural}/{whole['metadata']['name']}")
    return made


EXAMPLES = paths.CHECKOUT / "api/examples"
RESOURCES: dict[str, Resource] = {kind.resource.kind: kind.resource for kind in (*generate.KINDS, core.Pod)}  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Example:
    """A file of api/examples. Of two documents the second is an update of the first."""

    path: pathlib.Path
    marks: dict[str, str]
    documents: list[dict[str, Any]]

    @classmethod
    def load(cls, path: pathlib.Path) -> Example:
        """Read ``path``; comments of the form ``# key: value`` say what is expected."""
        text = path.read_text()
        marks = dict(re.findall(r"^# (field|message|by|update): (.*)$", text, re.MULTILINE))
        return cls(path, marks, list(yaml.safe_load_all(text)))

    @property
    def needs_webhook(self) -> bool:
        """Whether the CRD alone accepts it."""
        return self.marks.get("by") == "webhook"

    def submit(self, server: ApiServer) -> Answer:
        """Create it, or create the first document and change it to the second; nothing stays."""
        first, *second = self.documents
        meta = first["metadata"]
        collection = RESOURCES[first["kind"]].path(meta.get("namespace", ""))
        if not second:
            return server.send("POST", collection, first, dry_run=True)
        made = server.send("POST", collection, first)
        assert made.code == 201, made.message
        path = f"{collection}/{meta['name']}"
        try:
            return server.send("PUT", path, _changed(made.body, second[0]), dry_run=True)
        finally:
            server.send("DELETE", path, {"gracePeriodSeconds": 0})


def _changed(made: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The update. A Pod's spec is full of defaults and cannot change: only its annotations are taken over."""
    if made["kind"] == "Pod":
        made["metadata"]["annotations"] |= second["metadata"]["annotations"]
        return made
    second["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    return second


def _examples(folder: str) -> list[Example]:
    return [Example.load(path) for path in sorted((EXAMPLES / folder).glob("*.yaml"))]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument ``valid`` or ``invalid`` runs for each such example."""
    for folder in ("valid", "invalid"):
        if folder in metafunc.fixturenames:
            found = _examples(folder)
            metafunc.parametrize(folder, found, ids=[example.path.stem for example in found])
