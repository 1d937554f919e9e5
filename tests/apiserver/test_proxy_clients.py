"""Programs that people write, pointed at podnet-proxy: informers of client-go, and the Python client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

KEY = "multinetwork.x-k8s.io/networks"
BLUE = [{"podNetworkName": "blue"}]
TEXT = '[{"podNetworkName":"blue"}]'
SOURCES = pathlib.Path(__file__).with_name("informer")
SECONDS = 30


@pytest.fixture(scope="module")
def informer() -> pathlib.Path:
    """The Go program, built once for its sources and kept in the user's cache."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:16]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "podnet"
    made = cache / f"informer-{digest}"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as place:
            built = pathlib.Path(place) / "informer"
            command = ["go", "build", "-p", "2", "-trimpath", "-ldflags", "-s -w", "-o", str(built), "."]
            subprocess.run(command, cwd=SOURCES, env={**os.environ, "CGO_ENABLED": "0"}, check=True, timeout=500)
            shutil.move(built, made)
    return made


def pod(name: str) -> dict[str, Any]:
    spec = {"networks": BLUE, "containers": [{"name": "a", "image": "x"}], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def namespace(apiserver: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-")[:40].rstrip("-")
    assert apiserver.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).code == 201
    yield name
    apiserver.send("DELETE", f"/api/v1/namespaces/{name}/pods")


Lines = Callable[[], list[Any]]


@contextlib.contextmanager
def running(program: pathlib.Path, *argv: str) -> Iterator[Lines]:
    """What the program prints, line by line."""
    process = subprocess.Popen([str(program), *argv], stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    try:
        yield lambda: list(json.loads(lines.get(timeout=SECONDS)))
    finally:
        process.kill()
        process.wait()


def until(lines: Lines, *wanted: list[Any]) -> None:
    """Reads lines until all that are wanted have come, in any order: informers run side by side."""
    seen: list[Any] = []
    while not all(one in seen for one in wanted):
        seen.append(lines())
        assert len(seen) < 200, seen


@pytest.mark.needs("go")
def test_informers_of_client_go(proxy: Any, apiserver: Any, informer: pathlib.Path, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert proxy.send("POST", path, pod("first")).code == 201
    with running(informer, str(proxy.kubeconfig), namespace) as lines:
        started = (["dynamic", "added", "first", BLUE], ["typed", "added", "first", TEXT], ["synced"], ["updated"])
        until(lines, *started)
        kept = apiserver.send("GET", f"{path}/first").body
        assert kept["metadata"]["labels"] == {"by": "client-go"}
        assert kept["metadata"]["annotations"][KEY] == TEXT, "a typed client must not lose the list"
        assert proxy.send("POST", path, pod("second")).code == 201
        until(lines, ["dynamic", "added", "second", BLUE], ["typed", "added", "second", TEXT])
        assert apiserver.send("DELETE", f"{path}/second").code == 200
        until(lines, ["dynamic", "deleted", "second", BLUE], ["typed", "deleted", "second", TEXT])


def test_the_python_client(proxy: Any, apiserver: Any, namespace: str) -> None:
    kubernetes = pytest.importorskip("kubernetes", reason="the Python client is not installed")
    from kubernetes import dynamic, watch

    client = kubernetes.config.new_client_from_config(str(proxy.kubeconfig))
    core = kubernetes.client.CoreV1Api(client)
    pods = dynamic.DynamicClient(client).resources.get(api_version="v1", kind="Pod")
    made = pods.create(body=pod("made"), namespace=namespace)
    assert made.to_dict()["spec"]["networks"] == BLUE
    events = watch.Watch().stream(pods.get, namespace=namespace, serialize=False, timeout=5)
    assert next(iter(events))["object"]["spec"]["networks"] == BLUE
    read = core.read_namespaced_pod("made", namespace)
    read.metadata.labels = {"by": "python"}
    core.replace_namespaced_pod("made", namespace, read)
    kept = apiserver.send("GET", f"/api/v1/namespaces/{namespace}/pods/made").body
    assert kept["metadata"]["labels"] == {"by": "python"}
    assert kept["metadata"]["annotations"][KEY] == TEXT
