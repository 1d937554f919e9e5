"""The VM's first file system and its verdict; that it boots is shown by `make vm`."""

import gzip
import os
import pathlib
import platform

import pytest
from podnet_hack import errors
from podnet_hack.vm import initramfs, suite
from podnet_hack.vm.machine import Machine

DEPENDENCIES = """kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/fs/netfs/netfs.ko.xz:
kernel/fs/overlayfs/overlay.ko.xz:
"""
IN_ORDER = ["9pnet", "9pnet_virtio", "netfs", "9p", "overlay"]


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Machine:
    made = Machine(tmp_path, "6.12")
    for line in DEPENDENCIES.splitlines():
        module = made.modules / line.partition(":")[0]
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(module.name)
    (made.modules / "modules.dep").write_text(DEPENDENCIES)
    made.busybox.parent.mkdir(parents=True)
    made.busybox.write_text("a program")
    return made


def test_modules_come_after_what_they_need(machine: Machine) -> None:
    order = initramfs.load_order(machine.modules, initramfs.MODULES)
    assert [pathlib.Path(path).name.partition(".")[0] for path in order] == IN_ORDER


def test_the_archive_holds_what_init_needs(machine: Machine) -> None:
    files = _unpacked(gzip.decompress(initramfs.build(machine, {"SHARE": "/somewhere"})))
    assert files["settings"] == (0o100644, b"SHARE='/somewhere'\n")
    assert files["init"] == (0o100755, initramfs.INIT.read_bytes())
    assert files["bin/busybox"] == (0o100755, b"a program")
    modules = [content.decode() for name, (_, content) in sorted(files.items()) if name.startswith("modules/")]
    assert [module.partition(".")[0] for module in modules] == IN_ORDER


def _unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, read as the kernel reads the "new" ASCII format."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        assert archive[at : at + 6] == b"070701"
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[start : start + size])
        at = (start + size + 3) & ~3


def test_a_test_that_ran_nowhere_fails_the_job() -> None:
    assert suite.judge(["a", "b"], ["b", "a"]) == 0
    with pytest.raises(errors.HackError, match=r"ran nowhere:\nb$"):
        suite.judge(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("ci", "fits", "status"), [("true", True, 1), ("true", False, 0), ("", True, 0), ("", False, 0)]
)
def test_a_job_that_is_skipped_says_why_and_fails_where_it_could_have_run(
    ci: str, fits: bool, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64" if fits else "riscv64")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert suite.run() == status
    assert capsys.readouterr().out.startswith("vm: skipped: needs " + ("root" if fits else "Linux on x86-64"))
