"""The operations on whole networks, with a debug plugin that records how it was called: real processes, no root."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from podnet_kni_server.cni import result
from podnet_kni_server.cni.errors import (
    CniError,
    Code,
    ConfigError,
    PluginError,
    RequestError,
    ResultError,
    TryLaterError,
)
from podnet_kni_server.cni.executor import VALID_ATTACHMENTS
from podnet_tests.cni import Node, asked


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    for name in ("debug", "second", "third"):
        made.plugin(name)
    return made


THREE: tuple[dict[str, Any], ...] = ({}, {"type": "second"}, {"type": "third"})


def _running(group: int) -> list[str]:
    """The processes of a group that are not dead; those without a parent may wait to be reaped."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    fields = [text.rpartition(")")[2].split() for text in stats]
    return [one[0] for one in fields if int(one[2]) == group and one[0] != "Z"]


def _broken(what: str, told: dict[str, Any], kind: str = "second") -> dict[str, Any]:
    return {"type": kind, "behave": {what: told}}


async def test_chain(node: Node) -> None:
    added = await node.executor.add(asked(mac="02:00:00:00:00:01"), node.config(*THREE), "")
    await node.executor.check("sandbox1", "net1")
    await node.executor.delete("sandbox1", "net1")
    assert node.commands() == [
        *("ADD debug", "ADD second", "ADD third"),
        *("CHECK debug", "CHECK second", "CHECK third"),
        *("DEL third", "DEL second", "DEL debug"),
    ]
    assert [link.name for link in added.result.links] == ["net1"] * 3
    final = result.encode(added.result, "1.1.0")
    before = [call["stdin"].get("prevResult") for call in node.calls()]
    assert [len(one["interfaces"]) if one else 0 for one in before] == [0, 1, 2, 3, 3, 3, 3, 3, 3]
    assert before[3:] == [final] * 6
    assert node.cache.entries() == []
    assert not list((node.directory / "cache").iterdir())


async def test_environment_and_input(node: Node) -> None:
    config = node.config({"keyOfItsOwn": {"nested": [1]}}, version="0.4.0")
    await node.executor.add(asked(), config, "")
    (call,) = node.calls()
    assert call["env"] == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "sandbox1",
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_IFNAME": "net1",
        "CNI_PATH": str(node.directory / "bin"),
        "CNI_ARGS": "IgnoreUnknown=true;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;"
        "K8S_POD_INFRA_CONTAINER_ID=sandbox1;K8S_POD_UID=uid1",
    }
    assert call["stdin"] == {
        "type": "debug",
        "record": str(node.record),
        "keyOfItsOwn": {"nested": [1]},
        "cniVersion": "0.4.0",
        "name": "net-a",
    }


@pytest.mark.parametrize(
    ("told", "kind", "code", "words"),
    [
        ({"status": 1, "print": {"code": 7, "msg": "bad key", "details": "x"}}, PluginError, 7, "bad key; x (code 7)"),
        ({"status": 1, "print": {"code": 11, "msg": "busy"}}, TryLaterError, Code.TRY_AGAIN_LATER, "busy (code 11)"),
        ({"status": 1, "print": {"code": 100, "msg": "own"}}, PluginError, Code.PLUGIN, "own (code 100)"),
        ({"status": 3, "print": "Segmentation fault"}, PluginError, 0, "status 3 and the words 'Segmentation fault'"),
        ({"print": ""}, ResultError, Code.DECODING_FAILURE, "is no JSON"),
        ({"print": "{]"}, ResultError, Code.DECODING_FAILURE, "is no JSON"),
        ({"print": {"ips": [{"address": "x"}]}}, ResultError, Code.DECODING_FAILURE, "ips[0].address"),
    ],
)
async def test_failure_undoes_the_whole_chain(
    node: Node, told: dict[str, Any], kind: type[CniError], code: int, words: str
) -> None:
    config = node.config({}, _broken("ADD", told), {"type": "third"})
    with pytest.raises(kind, match=r"^cannot ") as caught:
        await node.executor.add(asked(), config, "")
    assert (words in str(caught.value), caught.value.code, caught.value.plugin) == (True, code, "second")
    assert node.commands() == ["ADD debug", "ADD second", "DEL third", "DEL second", "DEL debug"]
    assert not any("prevResult" in call["stdin"] for call in node.calls()[2:])
    assert node.cache.entries() == []


async def test_a_late_plugin_is_killed_with_its_children(node: Node) -> None:
    node.seconds = 0.5
    node.restart()
    started = time.monotonic()
    with pytest.raises(PluginError, match=r"cannot wait longer for the CNI plugin debug: it was killed after 0\.5 s"):
        await node.executor.add(asked(), node.config({"behave": {"ADD": {"sleep": 30, "child": True}}}), "")
    assert time.monotonic() - started < 10
    assert not _running(node.calls()[0]["pid"])


async def test_the_loop_goes_on_while_plugins_run(node: Node) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.ensure_future(tick())
    config = node.config({"behave": {"ADD": {"sleep": 0.5}}})
    await asyncio.gather(*(node.executor.add(asked(interface=f"net{i}"), config, "") for i in range(3)))
    ticker.cancel()
    assert ticks > 20


async def test_a_cancelled_add_is_over_before_its_del(node: Node) -> None:
    adding = asyncio.ensure_future(node.executor.add(asked(), node.config({"behave": {"ADD": {"sleep": 30}}}), ""))
    while not node.calls():
        await asyncio.sleep(0.02)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert not _running(node.calls()[0]["pid"])
    await node.executor.delete("sandbox1", "net1")
    assert node.commands() == ["ADD debug", "DEL debug"]
    assert node.cache.entries() == []


async def test_what_a_kill_interrupted_is_taken_away_after(node: Node) -> None:
    """The intent stands in a file while the plugin runs: a new server finds it, without a result."""
    adding = asyncio.ensure_future(node.executor.add(asked(), node.config({"behave": {"ADD": {"sleep": 30}}}), ""))
    while not node.calls():
        await asyncio.sleep(0.02)
    (path,) = (node.directory / "cache").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    kept = path.read_bytes()
    adding.cancel()
    await asyncio.wait([adding])
    path.write_bytes(kept)
    path.with_suffix(".tmp").write_bytes(b"half")
    node.restart()
    with pytest.raises(CniError, match="no plugin attached it"):
        await node.executor.check("sandbox1", "net1")
    assert await node.executor.sweep({"sandbox1"}) == []
    assert await node.executor.sweep(set()) == ["net1 of Pod ns/web-0 (net-a)"]
    assert node.commands() == ["ADD debug", "DEL debug"]
    assert not list((node.directory / "cache").iterdir())


async def test_del_is_called_as_add_was_whatever_changed_since(node: Node) -> None:
    path = node.directory / "net.d" / "10-a.conflist"
    path.write_text(node.config({"mark": "first", "capabilities": {"bandwidth": True}}))
    wants = asked(args={"k": 1}, capabilities={"bandwidth": {"ingressRate": 5}}, netns="/run/netns/absent")
    await node.executor.add(wants, "", "net-a")
    path.unlink()
    node.restart()
    await node.executor.delete("sandbox1", "net1")
    added, deleted = node.calls()
    assert {**deleted["stdin"], "prevResult": None} == {**added["stdin"], "prevResult": None}
    assert deleted["stdin"]["runtimeConfig"] == {"bandwidth": {"ingressRate": 5}}
    assert deleted["env"] == {**added["env"], "CNI_COMMAND": "DEL", "CNI_NETNS": ""}


async def test_del_of_what_is_not_known(node: Node) -> None:
    await node.executor.delete("nobody", "net1")
    assert node.calls() == []


async def test_a_failed_del_is_remembered_and_tried_again(node: Node) -> None:
    flaky = {"DEL": {"status": 1, "print": {"code": 5, "msg": "no"}}}
    await node.executor.add(asked(), node.config({"behave": flaky}), "")
    with pytest.raises(PluginError, match="cannot DEL by the CNI plugin debug: no"):
        await node.executor.delete("sandbox1", "net1")
    assert len(node.cache.entries()) == 1
    assert await node.executor.sweep(set()) == []
    assert node.commands() == ["ADD debug", "DEL debug", "DEL debug"]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1"])
async def test_before_0_4_del_gets_no_result_and_there_is_no_check(node: Node, version: str) -> None:
    await node.executor.add(asked(), node.config(version=version), "")
    with pytest.raises(CniError, match="has no CHECK") as caught:
        await node.executor.check("sandbox1", "net1")
    assert caught.value.code == Code.INCOMPATIBLE_VERSION
    await node.executor.delete("sandbox1", "net1")
    assert "prevResult" not in node.calls()[-1]["stdin"]


async def test_check_says_what_is_wrong_and_can_be_disabled(node: Node) -> None:
    bad = {"behave": {"CHECK": {"status": 1, "print": {"code": 100, "msg": "address is missing"}}}}
    await node.executor.add(asked(), node.config(bad), "")
    with pytest.raises(PluginError, match="cannot CHECK by the CNI plugin debug: address is missing"):
        await node.executor.check("sandbox1", "net1")
    await node.executor.add(asked(interface="net2"), node.config(bad, disableCheck=True), "")
    await node.executor.check("sandbox1", "net2")
    assert node.commands() == ["ADD debug", "CHECK debug", "ADD debug"]


async def test_status(node: Node) -> None:
    await node.executor.status(node.config(*THREE), "")
    assert node.commands() == ["STATUS debug", "STATUS second", "STATUS third"]
    down = {"behave": {"STATUS": {"status": 1, "print": {"code": 50, "msg": "no uplink"}}}}
    with pytest.raises(PluginError, match="no uplink") as caught:
        await node.executor.status(node.config(down), "")
    assert caught.value.code == Code.UNAVAILABLE
    before = len(node.commands())
    await node.executor.status(node.config(down, version="1.0.0"), "")
    assert len(node.commands()) == before


async def test_status_finds_missing_programs_and_versions(node: Node) -> None:
    with pytest.raises(PluginError, match=r"cannot find the CNI plugin absent in .*bin of this node"):
        await node.executor.status(node.config({"type": "absent"}), "")
    with pytest.raises(PluginError, match="cannot find the CNI plugin nowhere"):
        await node.executor.status(node.config({"ipam": {"type": "nowhere"}}), "")
    old = node.plugin("old")
    path = node.directory / "bin" / old
    path.write_text(path.read_text().replace('"1.0.0", "1.1.0"]', "]"))
    with pytest.raises(PluginError, match=r"old speaks 0\.1\.0, .*0\.4\.0, not 1\.1\.0"):
        await node.executor.status(node.config({"type": "old"}), "")


async def test_versions_are_asked_once_for_each_state_of_the_file(node: Node) -> None:
    path = node.directory / "bin" / "shell"
    path.write_text(f'#!/bin/sh\ncat >/dev/null\necho >>{node.record} \'{{"program":"shell","env":{{}}}}\'\n'
                    """echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'\n""")  # fmt: skip
    path.chmod(0o755)
    for _ in range(3):
        assert await node.runner.versions("shell") == {"0.4.0", "1.0.0"}
    assert len(node.calls()) == 1
    path.write_text('#!/bin/sh\necho \'{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}\'\nexit 1\n')
    assert await node.runner.versions("shell") == {"0.1.0"}


async def test_gc_names_the_valid_attachments_and_goes_on(node: Node) -> None:
    bad = {"status": 1, "print": {"code": 999, "msg": "stuck"}}
    config = node.config({}, _broken("GC", bad), {"type": "third"})
    for number in (1, 2):
        await node.executor.add(asked(interface=f"net{number}"), config, "")
    other = json.loads(config) | {"name": "net-b"}
    await node.executor.add(asked(interface="net3"), json.dumps(other), "")
    with pytest.raises(CniError, match="stuck"):
        await node.executor.collect(config, "")
    assert node.commands()[-3:] == ["GC debug", "GC second", "GC third"]
    valid = [{"containerID": "sandbox1", "ifname": f"net{number}"} for number in (1, 2)]
    assert [call["stdin"][VALID_ATTACHMENTS] for call in node.calls()[-3:]] == [valid] * 3
    assert set(node.calls()[-1]["env"]) == {"CNI_COMMAND", "CNI_PATH"}
    count = len(node.calls())
    await node.executor.collect(node.config(disableGC=True), "")
    await node.executor.collect(node.config(version="1.0.0"), "")
    assert len(node.calls()) == count


async def test_gc_never_runs_beside_an_add_of_its_network(node: Node) -> None:
    config = node.config({"behave": {"ADD": {"sleep": 0.3}, "GC": {"sleep": 0.3}}})
    started = time.monotonic()
    await asyncio.gather(
        node.executor.add(asked(interface="net1"), config, ""),
        node.executor.add(asked(interface="net2"), config, ""),
        node.executor.collect(config, ""),
    )
    assert time.monotonic() - started > 0.6
    assert node.commands()[-1] == "GC debug"
    assert len(node.calls()[-1]["stdin"][VALID_ATTACHMENTS]) == 2


async def test_a_request_that_nobody_met_fails_and_is_undone(node: Node) -> None:
    """debug is no plugin that we know: CNI_ARGS carries the request, and the result shows that it was ignored."""
    with pytest.raises(PluginError, match=r"debug did not do what CNI_ARGS asked for: mac: the interface has 02:00"):
        await node.executor.add(asked(mac="02:00:00:00:00:99"), node.config(), "")
    assert node.commands() == ["ADD debug", "DEL debug"]
    added = await node.executor.add(asked(mac="02:00:00:00:00:01"), node.config(), "")
    assert len(added.warnings) == 1
    with pytest.raises(RequestError, match="capability portMappings"):
        await node.executor.add(asked(capabilities={"portMappings": [{}]}), node.config(), "")


async def test_configurations_of_the_node(node: Node) -> None:
    directory = node.directory / "net.d"
    (directory / "00-bad.conf").write_text("{")
    (directory / "10-a.conflist").write_text(node.config({"mark": "list"}))
    (directory / "20-b.conf").write_text(json.dumps({"name": "net-b", "type": "debug", "record": str(node.record)}))
    (directory / "net-a").mkdir()
    (directory / "net-a" / "10.conf").write_text(json.dumps({"type": "second", "record": str(node.record)}))
    await node.executor.add(asked(), "", "net-a")
    await node.executor.add(asked(interface="net2"), "  ", "net-b")
    assert node.commands() == ["ADD debug", "ADD second", "ADD debug"]
    node.restart()
    await node.executor.delete("sandbox1", "net1")
    assert node.commands()[3:] == ["DEL second", "DEL debug"]
    (directory / "10-a.conflist").write_text(node.config(loadOnlyInlinedPlugins=True))
    await node.executor.add(asked(interface="net3"), "", "net-a")
    assert node.commands()[5:] == ["ADD debug"]
    with pytest.raises(ConfigError, match="cannot find a CNI configuration"):
        await node.executor.add(asked(), "", "net-c")


async def test_a_program_that_is_being_written_is_tried_again(node: Node) -> None:
    # Only what the kernel itself loads is busy; a script is not.
    target = node.directory / "bin" / "loaded"
    target.write_bytes(Path("/bin/true").read_bytes())
    target.chmod(0o755)
    with target.open("r+b"):
        calling = asyncio.ensure_future(node.runner.call("loaded", "DEL", {}, b"{}"))
        await asyncio.sleep(0.3)
        assert not calling.done()
    assert await calling == b""


async def test_a_plugin_that_does_not_read_and_writes_too_much(node: Node) -> None:
    path = node.directory / "bin" / "loud"
    path.write_text("#!/bin/sh\nexec head -c 20000000 /dev/zero\n")
    path.chmod(0o755)
    out = await node.runner.call("loud", "ADD", {}, b" " * 1_000_000)
    assert len(out) < 5_000_000


async def test_not_executable_and_not_there(node: Node) -> None:
    (node.directory / "bin" / "plain").write_text("#!/bin/sh\n")
    for name in ("plain", "absent"):
        with pytest.raises(PluginError, match=f"cannot find the CNI plugin {name}") as caught:
            await node.runner.call(name, "ADD", {}, b"{}")
        assert caught.value.code == Code.INVALID_ENVIRONMENT
