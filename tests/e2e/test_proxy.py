"""kubectl through podnet-proxy on a real cluster: what needs a kubelet, and what podnet itself writes."""

from __future__ import annotations

import pathlib
import re
import socket
import time

import pytest
from podnet_hack import errors
from podnet_hack.demo.world import World
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

POD = """apiVersion: v1
kind: Pod
metadata: {{name: shown}}
spec:
  terminationGracePeriodSeconds: 1
  networks: [{{podNetworkName: {network}}}]
  containers:
  - name: app
    image: podnet.local/test:dev
    stdin: true
    command:
    - python3
    - -uc
    - |
      import socketserver, sys, threading
      class Greeting(socketserver.StreamRequestHandler):
          def handle(self):
              self.wfile.write(b"hello\\n")
      server = socketserver.ThreadingTCPServer(("", 8000), Greeting)
      threading.Thread(target=server.serve_forever, daemon=True).start()
      print("started")
      for line in sys.stdin:
          print("heard", line, end="")
"""


@pytest.fixture(scope="module")
def shown(shared: Space) -> World:
    """The cluster as the proxy shows it, with a Pod that was made through it."""
    network = shared.network("shown", bridge={}, ipam=objects.pool("10.44.0.0/24", "fd00:44::/64"))
    world = shared.world.through_proxy()
    world.kubectl("apply", "--filename=-", stdin=POD.format(network=network))
    shared.wait_ready("shown")
    return world


def test_the_list_and_every_address(shared: Space, shown: World) -> None:
    pod = shown.get("pod", "shown")
    network = shared.name("shown")
    assert [one["podNetworkName"] for one in pod["spec"]["networks"]] == ["default", network]
    found = [(one["podNetwork"], one["interfaceName"]) for one in pod["status"]["podIPs"]]
    assert found[-2:] == [(network, "net1"), (network, "net1")]
    assert found[0] == ("default", "eth0")
    assert pod["status"]["podIPs"][0]["ip"] == pod["status"]["podIP"]
    ours = {one["ip"] for one in pod["status"]["podIPs"] if one["podNetwork"] == network}
    assert ours == {address.split("/")[0] for address in shown.interfaces("shown")["net1"]}


def test_applying_again_changes_nothing(shared: Space, shown: World) -> None:
    before = shared.world.get("pod", "shown")["metadata"]["annotations"]["multinetwork.x-k8s.io/networks"]
    shown.kubectl("apply", "--filename=-", stdin=POD.format(network=shared.name("shown")))
    assert shared.world.get("pod", "shown")["metadata"]["annotations"]["multinetwork.x-k8s.io/networks"] == before


def test_a_bad_list_is_refused_under_the_fields_own_name(shared: Space, shown: World) -> None:
    body = POD.replace("name: shown", "name: twice").format(
        network="default, interfaceName: eth0}, {podNetworkName: default"
    )
    with pytest.raises(errors.CommandError, match=r"spec\.networks\[1\]"):
        shown.kubectl("apply", "--filename=-", stdin=body)


def test_exec(shown: World) -> None:
    assert "net1" in shown.inside("shown", "ip", "-brief", "address")
    assert shown.kubectl("exec", "-i", "shown", "--", "cat", stdin="x" * 100_000) == "x" * 100_000
    with pytest.raises(errors.CommandError):
        shown.inside("shown", "false")


def test_exec_the_old_way(shown: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPDY, as kubectl before 1.31 and client-go programs speak it."""
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")
    assert "net1" in shown.inside("shown", "ip", "-brief", "address")


def test_logs(shown: World) -> None:
    assert "started" in shown.kubectl("logs", "shown")
    following = shown.start("logs", "--follow", "shown")
    assert following.stdout is not None
    assert following.stdout.readline().strip() == "started"
    following.kill()


def test_cp(shown: World, tmp_path: pathlib.Path) -> None:
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(bytes(range(256)) * 4000)
    shown.kubectl("cp", str(sent), "shown:/tmp/there")
    shown.kubectl("cp", "shown:/tmp/there", str(back))
    assert back.read_bytes() == sent.read_bytes()


def test_attach(shown: World) -> None:
    attached = shown.start("attach", "-i", "--quiet", "shown")
    assert attached.stdin is not None
    assert attached.stdout is not None
    attached.stdin.write("a word\n")
    attached.stdin.flush()
    assert attached.stdout.readline().strip() == "heard a word"
    attached.kill()


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_port_forward(shown: World, websockets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets)
    forwarding = shown.start("port-forward", "pod/shown", ":8000")
    assert forwarding.stdout is not None
    try:
        found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.stdout.readline())
        assert found is not None

        def greeted() -> str:
            with socket.create_connection(("127.0.0.1", int(found[1])), 5) as there:
                return "" if there.recv(100) == b"hello\n" else "no greeting"

        eventually(greeted, 20)
    finally:
        forwarding.kill()


def test_a_watch_outlives_the_silence(shown: World) -> None:
    """Nothing happens to the Pod for a while; then something does."""
    columns = '-o=jsonpath={.metadata.labels.mark} {.spec.networks[*].podNetworkName}{"\\n"}'
    watching = shown.start("get", "pod", "shown", "--watch-only", columns)
    time.sleep(5)
    shown.kubectl("label", "pod", "shown", "mark=seen")
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("seen default ")
    watching.kill()
