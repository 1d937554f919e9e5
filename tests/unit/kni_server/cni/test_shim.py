"""The shim itself: a static program that hands calls over a socket, and what it says when nobody is there."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from podnet_hack import shim
from podnet_kni_server.cni import default
from podnet_kni_server.cni.errors import Code, PluginError, TryLaterError
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.runtime_calls import Call, RuntimeCalls
from podnet_kni_server.second_hook import Listener, SecondHook

pytestmark = [pytest.mark.needs("go"), pytest.mark.skipif(shutil.which("go") is None, reason="needs the program go")]

VARIABLES = {"CNI_CONTAINERID": "s1", "CNI_NETNS": "/n", "CNI_IFNAME": "eth0", "CNI_ARGS": "K8S_POD_NAME=p"}


class Echo(RuntimeCalls):
    """Answers with what it was called with, or refuses."""

    def __init__(self) -> None:
        self.refuse: PluginError | None = None

    async def answer(self, call: Call) -> dict[str, object] | None:
        if self.refuse:
            raise self.refuse
        seen = {"command": call.command, "netns": call.netns, "interface": call.interface, "pod": call.pod.name}
        return {"cniVersion": call.version, "seen": seen} if call.command == "ADD" else None


@pytest.fixture
def runner() -> Runner:
    return Runner([str(shim.build().parent)])


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[Echo]:
    made = Echo()
    listener = Listener(tmp_path / "cni.sock", made)
    await listener.start()
    yield made
    await listener.stop()


async def _call(runner: Runner, command: str, directory: Path, **config: Any) -> bytes:
    whole = {"cniVersion": "1.1.0", "name": "podnet", "socket": str(directory / "cni.sock"), **config}
    return await runner.call(shim.PROGRAM, command, VARIABLES, json.dumps(whole).encode(), 20)


async def test_a_call_and_its_answer(runner: Runner, echo: Echo, tmp_path: Path) -> None:
    out = json.loads(await _call(runner, "ADD", tmp_path))
    assert out == {
        "cniVersion": "1.1.0",
        "seen": {"command": "ADD", "netns": "/n", "interface": "eth0", "pod": "p"},
    }
    for command in ("DEL", "CHECK", "STATUS", "GC"):
        assert await _call(runner, command, tmp_path) == b""
    assert await runner.versions(shim.PROGRAM) == {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
    assert (tmp_path / "cni.sock").stat().st_mode & 0o777 == 0o600


async def test_a_refusal_keeps_its_code_and_words(runner: Runner, echo: Echo, tmp_path: Path) -> None:
    echo.refuse = PluginError("cannot attach Pod ns/p: no", 7)
    with pytest.raises(PluginError, match="cannot attach Pod ns/p: no") as caught:
        await _call(runner, "ADD", tmp_path)
    assert caught.value.code == 7


async def test_without_a_server(runner: Runner, tmp_path: Path) -> None:
    for command in ("ADD", "DEL", "CHECK", "GC"):
        with pytest.raises(TryLaterError, match="cannot reach the KNI server of this node"):
            await _call(runner, command, tmp_path)
    with pytest.raises(PluginError) as caught:
        await _call(runner, "STATUS", tmp_path)
    assert caught.value.code == Code.UNAVAILABLE


async def test_what_it_cannot_do(runner: Runner, echo: Echo, tmp_path: Path) -> None:
    with pytest.raises(PluginError) as caught:
        await _call(runner, "PAINT", tmp_path)
    assert caught.value.code == Code.INVALID_ENVIRONMENT
    with pytest.raises(PluginError) as caught:
        await runner.call(shim.PROGRAM, "ADD", VARIABLES, b"{", 20)
    assert caught.value.code == Code.DECODING_FAILURE


async def test_it_is_static(runner: Runner) -> None:
    process = await asyncio.create_subprocess_exec(
        "ldd", str(shim.build()), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert b"not a dynamic executable" in out or b"statically linked" in out


async def test_the_hook_is_on_the_node_while_it_serves(
    echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configurations, programs = tmp_path / "net.d", tmp_path / "bin"
    configurations.mkdir()
    (configurations / "10-own.conf").write_text('{"cniVersion": "1.0.0", "name": "own", "type": "bridge"}')
    monkeypatch.setattr(default, "SHIM", shim.build())
    serving = asyncio.create_task(SecondHook(echo, configurations, programs, tmp_path / "other.sock").run())
    while not (configurations / default.FILE).exists():
        await asyncio.sleep(0.01)
    given = json.loads((configurations / default.FILE).read_text())
    assert given["plugins"][0]["socket"] == str(tmp_path / "other.sock")
    assert (programs / shim.PROGRAM).exists()
    serving.cancel()
    await asyncio.wait([serving])
    assert [path.name for path in configurations.iterdir()] == ["10-own.conf"]
    assert list(programs.iterdir()) == []
    assert not (tmp_path / "other.sock").exists()
