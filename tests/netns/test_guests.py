"""Who may open a Pod's tap or macvtap, and how often: a guest as its own user, without privileges, with several queues.

The device node is made as the runtime makes it, of what the datapath tells; KubeVirt's QEMU does the rest.
"""

import contextlib
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from netns import lab as wire
from netns.kinds_lab import stage, tap, upon
from netns.lab import Lab, Place, link, sniffer
from podnet_kni_server.details import Device, MacvtapDetail, TapDetail

OWNER, GROUP, STRANGER = 107, 36, 1001
QUEUES = 3
MAC = "02:00:00:00:00:05"

GUEST = """
import fcntl, os, struct, sys, time
path, name, queues = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
flags = 0x0002 | 0x1000 | 0x4000 | 0x0100  # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE
opened = []
for _ in range(queues):
    opened.append(os.open(path, os.O_RDWR))
    fcntl.ioctl(opened[-1], 0x400454CA, struct.pack("16sH22x", name, flags))  # TUNSETIFF
print("open", flush=True)
head = bytes.fromhex(sys.argv[4])
end = time.monotonic() + 3
while time.monotonic() < end:
    for number, fd in enumerate(opened):
        try:
            os.write(fd, bytes(10) + (head + b"<queue %d>" % number).ljust(60, b"\\0"))
        except OSError:
            pass  # no carrier yet
    time.sleep(0.05)
"""
"""Opens every queue, and sends through each."""


@pytest.fixture
def devices() -> Iterator[pathlib.Path]:
    """Where a container's devices stand: everybody may pass."""
    path = pathlib.Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def _node(directory: pathlib.Path, device: Device) -> str:
    """The device as the container has it."""
    path = directory / "device"
    os.mknod(path, stat.S_IFCHR, os.makedev(device.major, device.minor))
    os.chown(path, device.owner, device.group)
    path.chmod(device.mode)
    return str(path)


@contextlib.contextmanager
def _guest(pod: Place, user: int, group: int, path: str, queues: int = QUEUES) -> Iterator[subprocess.Popen[str]]:
    unprivileged = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--bounding-set=-all"]
    head = wire.ethernet(MAC, 0x88B5, b"").hex()
    words = ["/usr/bin/env", "python3", "-c", GUEST, path, "net1", str(queues), head]
    command = ["ip", "netns", "exec", pod.name, *unprivileged, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def _refused(running: subprocess.Popen[str]) -> str:
    """What a guest that could not open its device said."""
    out, said = running.communicate(timeout=10)
    assert "open" not in out
    return said.strip().splitlines()[-1]


def _opens(running: subprocess.Popen[str]) -> bool:
    assert running.stdout is not None
    return running.stdout.readline().strip() == "open"


@pytest.mark.parametrize(
    ("detail", "user", "group", "why"),
    [
        (TapDetail(owner=OWNER, multi_queue=True), OWNER, OWNER, ""),
        (TapDetail(owner=OWNER, multi_queue=True), STRANGER, STRANGER, "PermissionError"),
        (TapDetail(group=GROUP, multi_queue=True), STRANGER, GROUP, ""),
        (TapDetail(group=GROUP, multi_queue=True), STRANGER, STRANGER, "PermissionError"),
        (TapDetail(owner=OWNER, group=GROUP, multi_queue=True), OWNER, OWNER, "PermissionError"),
        (TapDetail(owner=OWNER, group=GROUP, multi_queue=True), OWNER, GROUP, ""),
        (TapDetail(owner=OWNER), OWNER, OWNER, "OSError"),
    ],
)
async def test_a_tap_of_somebody(
    lab: Lab, devices: pathlib.Path, detail: TapDetail, user: int, group: int, why: str
) -> None:
    """The kernel asks for owner and group, and lets a tap without multi-queue be opened with one queue alone."""
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    (found,) = await on.datapath.attach(pod.path, [tap(5, detail=detail)])
    await on.datapath.attach(other.path, [link(6)])
    assert found.device is not None
    path = _node(devices, found.device)
    with sniffer(other, "net1") as heard, _guest(pod, user, group, path) as running:
        if why:
            assert _refused(running).startswith(why)
            return
        assert _opens(running)
        for number in range(QUEUES):
            assert heard(b"<queue %d>" % number, 3.0), number


@pytest.mark.needs("macvtap")
@pytest.mark.parametrize(
    ("user", "group", "may"), [(OWNER, OWNER, True), (STRANGER, GROUP, True), (STRANGER, STRANGER, False)]
)
async def test_a_macvtap_of_somebody(lab: Lab, devices: pathlib.Path, user: int, group: int, may: bool) -> None:
    """Its device is the owner's and the group's; as many queues as the guest opens."""
    on = await stage(lab)
    pod = lab.place()
    detail = MacvtapDetail(owner=OWNER, group=GROUP)
    (found,) = await on.datapath.attach(pod.path, [upon(5, "macvtap", detail=detail)])
    assert found.device is not None
    path = _node(devices, found.device)
    with sniffer(on.far, "up0") as heard, _guest(pod, user, group, path) as running:
        if not may:
            assert _refused(running).startswith("PermissionError")
            return
        assert _opens(running)
        for number in range(QUEUES):
            assert heard(b"<queue %d>" % number, 3.0), number
