"""Runs one command in the VM: its output as it comes, its exit status, and an end however it goes.

One VM at a time in a checkout. QEMU is told to die with us, so that a run that is killed leaves no process, and what
it leaves in build/vm is overwritten by the next.
"""

import contextlib
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

from podnet_hack import errors, packages, paths
from podnet_hack.vm import initramfs, machine

SHARE = paths.BUILD / "vm"
"""The one directory that the VM may write; it has the same path on both sides."""
CONSOLE = "console.log"
"""What the VM's kernel says, and QEMU itself."""
INSIDE = "PODNET_VM"
"""Environment variable that is set in the VM."""
DEADLINE = 480.0
"""Seconds that a run may take."""
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "CI", "PYTEST_ADDOPTS", "PYTHONPATH", "XDG_CACHE_HOME")


def run(argv: Sequence[str], *, deadline: float = DEADLINE, env: Mapping[str, str] | None = None) -> int:
    """Runs a command in the VM, in the same directory, and returns its exit status.

    Raises: MissingError where there is no VM, NotReadyError when it has not ended after `deadline` seconds,
    CommandError when the VM ended without an answer.
    """
    made = machine.fetch()
    packages.ensure("setpriv")
    with paths.locked(f"vm-{paths.CHECKOUT.name}-{os.stat(paths.CHECKOUT).st_ino}"):
        _prepare(made, argv, env or {})
        _boot(made, deadline)
        return _status()


def _prepare(made: machine.Machine, argv: Sequence[str], env: Mapping[str, str]) -> None:
    SHARE.mkdir(parents=True, exist_ok=True)
    for name in ("status", CONSOLE):
        (SHARE / name).unlink(missing_ok=True)
    (SHARE / "start.sh").write_text(_script(argv, env))
    settings = {"SHARE": str(SHARE), "MODULES": str(made.modules)}
    (SHARE / "initramfs.gz").write_bytes(initramfs.build(made, settings))


def _script(argv: Sequence[str], env: Mapping[str, str]) -> str:
    """What runs as the VM's first process, once the root is there."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    every = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", **passed, **env, "TMPDIR": "/run/tmp", INSIDE: "1"}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in every.items())
    # The port has no name of its own without udev; there is only this one.
    return f"""{exports}
set -- /dev/vport*p1
exec < /dev/null > "$1" 2>&1
ip link set lo up
modprobe --all br_netfilter igb igbvf tun
cd {shlex.quote(str(pathlib.Path.cwd()))}
{shlex.join(argv)}
echo $? > {shlex.quote(str(SHARE / "status"))}
echo o > /proc/sysrq-trigger
sleep 60
"""


def _boot(made: machine.Machine, deadline: float) -> None:
    qemu = machine.arguments(made, SHARE / "initramfs.gz", SHARE, SHARE / CONSOLE)
    command = ["setpriv", "--pdeathsig", "KILL", *qemu]
    log = (SHARE / CONSOLE).open("ab")
    with log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as vm:
        late = threading.Event()

        def end() -> None:
            late.set()
            vm.kill()

        timer = threading.Timer(deadline, end)
        timer.start()
        try:
            _show(vm)
        finally:
            timer.cancel()
            with contextlib.suppress(ProcessLookupError):
                vm.send_signal(signal.SIGKILL)
    if late.is_set():
        raise errors.NotReadyError(f"cannot finish in the VM within {deadline:.0f} s{_console()}")


def _show(vm: subprocess.Popen[bytes]) -> None:
    assert vm.stdout is not None
    while chunk := os.read(vm.stdout.fileno(), 65536):
        sys.stdout.write(chunk.decode(errors="replace"))
        sys.stdout.flush()
    vm.wait()


def _status() -> int:
    try:
        return int((SHARE / "status").read_text())
    except (FileNotFoundError, ValueError) as cause:
        raise errors.CommandError(f"cannot learn how the command in the VM ended{_console()}") from cause


def _console() -> str:
    with contextlib.suppress(FileNotFoundError):
        lines = (SHARE / CONSOLE).read_text(errors="replace").splitlines()
        return "; its console ends with\n" + "\n".join(lines[-20:])
    return ""
