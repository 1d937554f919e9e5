"""The socket that a Pod and a user-space switch share: frames go between two real ends, each of another user."""

import asyncio
import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import msgspec
import pytest
from netns.kinds_lab import stage, userspace
from netns.lab import Lab
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import UserspaceDetail
from podnet_tests import memif, vhost_user

POD, SWITCH = 1001, 1002
"""Users, neither of them root's."""


@pytest.fixture
def open_directory() -> Iterator[pathlib.Path]:
    """A directory that other users may pass through."""
    path = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def _link(directory: pathlib.Path, protocol: str, role: str) -> tuple[Link, pathlib.Path]:
    """What a Pod gets, and where its socket will be."""
    made = userspace(5, directory)
    assert isinstance(made.detail, UserspaceDetail)
    detail = msgspec.structs.replace(made.detail, protocol=protocol, role=role, socket=f"{protocol}.sock")
    return dataclasses.replace(made, detail=detail), pathlib.Path(detail.directory) / detail.socket


@contextlib.contextmanager
def _program(user: int, source: str | None, *words: str) -> Iterator[subprocess.Popen[str]]:
    """One end, which has nothing of this project but its own file."""
    assert source is not None
    text = pathlib.Path(source).read_text()
    start = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "/usr/bin/env", "python3", "-c", text]
    with subprocess.Popen([*start, *words], stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


async def _appears(path: pathlib.Path, maker: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert maker.poll() is None
        await asyncio.sleep(0.02)


async def test_what_switch_and_pod_share(lab: Lab, tmp_path: pathlib.Path) -> None:
    on = await stage(lab)
    pod = lab.place()
    (found,) = await on.datapath.attach(pod.path, [userspace(5, tmp_path)])
    assert (found.kind, found.index, found.mac) == ("userspace", 0, "02:00:00:00:00:05")
    directory = tmp_path / "userspace" / "sandbox-5"
    assert (directory.stat().st_mode & 0o777, (directory / "net1").stat().st_mode & 0o777) == (0o711, 0o777)
    described = json.loads((directory / "net1.json").read_text())
    assert described == {
        "pod": "ns/p", "network": "fast", "interface": "net1", "type": "vhost-user", "role": "server",
        "socket": "vhost-user.sock", "mac": "02:00:00:00:00:05", "mtu": 1500,
        "addresses": ["10.1.0.5/24", "fd00:1::5/64"],
    }  # fmt: skip
    (directory / "net1" / "vhost-user.sock").write_bytes(b"")
    (directory / "net1" / "elsewhere").symlink_to(tmp_path)
    await on.datapath.detach(pod.path, [userspace(5, tmp_path)])
    assert tmp_path.exists()
    assert not directory.exists()


async def test_a_frame_by_memif_through_the_directory(lab: Lab, open_directory: pathlib.Path) -> None:
    """The Pod's program has the socket."""
    on = await stage(lab)
    pod = lab.place()
    wanted, path = _link(open_directory, "memif", "server")
    await on.datapath.attach(pod.path, [wanted])
    with _program(POD, memif.__file__, "master", str(path)) as inside:
        await _appears(path, inside)
        with _program(SWITCH, memif.__file__, "slave", str(path)) as switch:
            assert switch.communicate(timeout=20)[0].strip() == memif.FRAME[::-1].hex()
        assert inside.communicate(timeout=20)[0].strip() == memif.FRAME.hex()
    await on.datapath.detach(pod.path, [wanted])
    assert not path.exists()


@pytest.mark.parametrize(("role", "other"), [("server", "client"), ("client", "server")])
async def test_a_frame_by_vhost_user_through_the_directory(
    lab: Lab, open_directory: pathlib.Path, role: str, other: str
) -> None:
    """Features are agreed on, memory and queues handed over, a frame goes there and back, whoever has the socket."""
    on = await stage(lab)
    pod = lab.place()
    wanted, path = _link(open_directory, "vhost-user", role)
    await on.datapath.attach(pod.path, [wanted])
    with (
        _program(SWITCH, vhost_user.__file__, "back", other, str(path)) as switch,
        _program(POD, vhost_user.__file__, "front", role, str(path)) as inside,
    ):
        await _appears(path, inside if role == "server" else switch)
        assert path.stat().st_uid == (POD if role == "server" else SWITCH)
        assert inside.communicate(timeout=30)[0].strip() == vhost_user.FRAME[::-1].hex()
        assert switch.communicate(timeout=30)[0].strip() == vhost_user.FRAME.hex()
    await on.datapath.detach(pod.path, [wanted])
    assert not path.parent.exists(), "the socket went with the directory"
