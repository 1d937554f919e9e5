"""Two podnet-controllers before a real API server: one works, the other takes over when it is killed."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/podnet-controller"
DEFAULT = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/default"
FLAGS = ("--namespace", "default", "--leader-elect-lease-duration", "4", "--leader-elect-renew-deadline", "3")
SECONDS = 20

RETRY = ("--leader-elect-retry-period", "1")

Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def start(apiserver: Any) -> Iterator[Start]:
    """Starts a controller."""
    started: list[subprocess.Popen[bytes]] = []

    def one() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "podnet_api.controller.main", "--kubeconfig", str(apiserver.kubeconfig)]
        words += ["--port", str(free_port()), *FLAGS, *RETRY]
        started.append(subprocess.Popen(words, stderr=(apiserver.directory / "controller.log").open("wb")))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.wait()
    apiserver.send("DELETE", LEASE)
    apiserver.send("DELETE", DEFAULT)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := check()):
        assert time.monotonic() < deadline, f"stays {found!r}"
        time.sleep(0.1)
    return found


def test_one_leads_and_another_takes_over(apiserver: Any, start: Start) -> None:
    first = start()
    holder = eventually(lambda: apiserver.send("GET", LEASE).body.get("spec", {}).get("holderIdentity"))
    eventually(lambda: apiserver.send("GET", DEFAULT).code == 200)
    second = start()
    time.sleep(5)
    assert apiserver.send("GET", LEASE).body["spec"]["holderIdentity"] == holder, "the second one waits"
    first.kill()
    first.wait()
    apiserver.send("DELETE", DEFAULT)
    eventually(lambda: apiserver.send("GET", LEASE).body["spec"]["holderIdentity"] != holder)
    eventually(lambda: apiserver.send("GET", DEFAULT).code == 200)
    assert second.poll() is None


def test_who_lost_the_lease_ends(apiserver: Any, start: Start) -> None:
    """Somebody else takes the Lease away and holds on to it."""
    process = start()
    eventually(lambda: apiserver.send("GET", LEASE).body.get("spec", {}).get("holderIdentity"))
    eventually(lambda: apiserver.send("GET", DEFAULT).code == 200)

    def stolen() -> bool:
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        spec = {"holderIdentity": "thief", "renewTime": now, "leaseDurationSeconds": 60}
        apiserver.send("PATCH", LEASE, {"spec": spec})
        return process.poll() is not None

    eventually(stolen)
    assert process.returncode == 1
    assert "was not renewed" in (apiserver.directory / "controller.log").read_text()
