"""The container engine of our own: Debian's dockerd and our containerd, for a machine that has none.

One per user, shared by the clusters of all checkouts. It changes nothing on the host but what it takes back when it
stops: no packet filter rules (published ports go through docker-proxy), no default bridge, its own cgroup parent.
Everything is known by pid file; a process is ours only if its start time is the one that we wrote down.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

from podnet_hack import command, debian, errors, packages, paths, progress
from podnet_hack.localcluster import components, versions

CGROUP_PARENT = "podnet"
START_SECONDS = 60
STOP_SECONDS = 30
# Each node runs systemd, a kubelet and a containerd, and each of them takes several: 128 are used up by two clusters.
INOTIFY_INSTANCES = 8192
INOTIFY = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")


def home() -> pathlib.Path:
    """What outlives a stop: images."""
    return paths.cache() / "engine"


def run_directory() -> pathlib.Path:
    """What does not: sockets, pid files, containerd's state."""
    return home() / "run"


def socket() -> pathlib.Path:
    """Where dockerd listens."""
    return run_directory() / "docker.sock"


def programs() -> pathlib.Path:
    """The directory with dockerd, docker, docker-proxy, docker-init and runc."""

    def make(target: pathlib.Path) -> None:
        with progress.step("fetching a container engine from Debian"):
            tree = target / "tree"
            debian.unpack(versions.ENGINE_SUITE, ("docker.io", "docker-cli", "tini"), tree)
            debian.unpack(versions.NODE_SUITE, ("runc",), tree)
            for path in _programs_in(tree):
                shutil.copy2(path, target / _PLAIN_NAMES.get(path.name, path.name))
            shutil.rmtree(tree)

    return paths.once(f"engine-{versions.ENGINE_SUITE}-{versions.NODE_SUITE}", make)


_PLAIN_NAMES = {"tini-static": "docker-init"}
_WANTED = ("dockerd", "docker", "docker-proxy", "runc", "tini-static")


def _programs_in(tree: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in tree.rglob("*") if path.name in _WANTED and path.is_file() and os.access(path, os.X_OK)]


@dataclasses.dataclass(frozen=True)
class Daemon:
    """One of the engine's two processes."""

    name: str
    argv: tuple[str, ...]

    @property
    def pid_file(self) -> pathlib.Path:
        """Its pid and start time, written by us."""
        return run_directory() / f"{self.name}.started"

    def pid(self) -> int | None:
        """The pid, if the process that we started still runs."""
        try:
            pid, started = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _start_time(int(pid)) == started else None

    def start(self, env: dict[str, str]) -> None:
        """Starts it apart from our own process group and terminal."""
        with (run_directory() / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.argv,
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{process.pid} {_start_time(process.pid)}\n")

    def stop(self) -> None:
        """Asks it to end, and makes it end."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self.pid()
            if pid is None:
                break
            os.kill(pid, number)
            _wait_until_gone(pid, STOP_SECONDS)
        self.pid_file.unlink(missing_ok=True)


def present() -> bool:
    """Whether an engine of ours runs, or ran and was not stopped."""
    return run_directory().is_dir()


def start() -> None:
    """Makes the engine answer: adopts what a run that was killed left, starts what is missing."""
    with paths.locked("engine"):
        containerd, dockerd = _daemons()
        _forget_other_boot()
        if containerd.pid() and dockerd.pid() and _answers():
            return
        packages.ensure("iptables", "modprobe")
        with progress.step("starting a container engine"):
            _write_configuration()
            _raise_inotify()
            _start_both(containerd, dockerd)


def stop() -> None:
    """Stops the engine and takes back what it changed; containers must be gone before."""
    with paths.locked("engine"), progress.step("stopping the container engine"):
        if _answers():
            command.run(*client(), "network", "prune", "--force")
        for daemon in reversed(_daemons()):
            daemon.stop()
        _unmount_below(home())
        _remove_cgroups()
        _restore_inotify()
        shutil.rmtree(run_directory(), ignore_errors=True)
        _remove_empty_directories()


def client() -> list[str]:
    """The docker command that talks to this engine."""
    return [str(programs() / "docker"), "--host", f"unix://{socket()}"]


def _daemons() -> tuple[Daemon, Daemon]:
    run = run_directory()
    containerd = components.build(components.CONTAINERD) / "containerd"
    return (
        Daemon("containerd", (str(containerd), "--config", str(run / "containerd.toml"))),
        Daemon("dockerd", (str(programs() / "dockerd"), "--config-file", str(run / "dockerd.json"))),
    )


def _write_configuration() -> None:
    run = run_directory()
    run.mkdir(parents=True, exist_ok=True)
    (run / "boot").write_text(_boot())
    (run / "containerd.toml").write_text(_containerd_configuration(run))
    (run / "dockerd.json").write_text(json.dumps(_dockerd_configuration(run), indent=2))


def _containerd_configuration(run: pathlib.Path) -> str:
    # The Kubernetes plugins belong to the containerds inside the nodes; "opt" would create /opt/containerd.
    unused = (
        "io.containerd.cri.v1.images",
        "io.containerd.cri.v1.runtime",
        "io.containerd.grpc.v1.cri",
        "io.containerd.nri.v1.nri",
        "io.containerd.internal.v1.opt",
    )
    return f"""version = 3
root = "{home()}/containerd"
state = "{run}/containerd"
temp = "{run}/tmp"
disabled_plugins = {json.dumps(unused)}

[grpc]
address = "{run}/containerd.sock"

[ttrpc]
address = "{run}/containerd.sock.ttrpc"
"""


def _dockerd_configuration(run: pathlib.Path) -> dict[str, object]:
    return {
        "data-root": str(home() / "docker"),
        "exec-root": str(run / "docker"),
        "pidfile": str(run / "dockerd.pid"),
        "hosts": [f"unix://{socket()}"],
        "containerd": f"{run}/containerd.sock",
        "storage-driver": "overlay2",
        # A dockerd that adopts running containers cannot give them their name server back: its rules in their network
        # namespace exist already. So a dockerd that follows one that was killed stops its nodes; they start anew.
        "live-restore": False,
        "cgroup-parent": f"/{CGROUP_PARENT}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "userland-proxy-path": str(programs() / "docker-proxy"),
        "init-path": str(programs() / "docker-init"),
    }


def _start_both(containerd: Daemon, dockerd: Daemon) -> None:
    # docker before the user's own, and our shim and runc before Debian's.
    search = [str(programs()), str(pathlib.Path(containerd.argv[0]).parent), "/usr/sbin", "/sbin"]
    env = os.environ | {"PATH": os.pathsep.join([*search, os.environ["PATH"]])}
    if not containerd.pid():
        dockerd.stop()
        containerd.start(env)
    _wait_for((run_directory() / "containerd.sock").exists, containerd)
    if not dockerd.pid():
        # dockerd refuses to start beside a pid file whose number some other process has by now.
        (run_directory() / "dockerd.pid").unlink(missing_ok=True)
        dockerd.start(env)
    _wait_for(_answers, dockerd)


def _wait_for(condition: Callable[[], bool], daemon: Daemon) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if daemon.pid() is None or time.monotonic() > deadline:
            log = (run_directory() / f"{daemon.name}.log").read_text(errors="replace")
            raise errors.NotReadyError(f"cannot start {daemon.name}; its log ends with\n{log[-2000:]}")
        time.sleep(0.1)


def _answers() -> bool:
    return socket().exists() and command.succeeds(*client(), "info", timeout=20)


def _forget_other_boot() -> None:
    """After a reboot nothing in the run directory is true any more."""
    boot = run_directory() / "boot"
    if boot.exists() and boot.read_text() != _boot():
        shutil.rmtree(run_directory())


def _boot() -> str:
    return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/<pid>/stat; None if there is no such process, or only its remains."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def _wait_until_gone(pid: int, seconds: float) -> None:
    started = _start_time(pid)
    deadline = time.monotonic() + seconds
    while _start_time(pid) == started is not None and time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)


def _unmount_below(top: pathlib.Path) -> None:
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    for point in reversed([point for point in points if point.startswith(f"{top}/")]):
        command.succeeds("umount", "--lazy", point)


def _remove_cgroups() -> None:
    for top in pathlib.Path("/sys/fs/cgroup").glob(f"**/{CGROUP_PARENT}"):
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                pathlib.Path(directory).rmdir()


def _remove_empty_directories() -> None:
    # dockerd and containerd's shims make these outside of any configured directory; another engine's are not empty.
    for name in ("containerd/s", "containerd/fifo", "containerd", "docker/plugins", "docker"):
        with contextlib.suppress(OSError):
            pathlib.Path("/run", name).rmdir()


def _raise_inotify() -> None:
    kept = run_directory() / "inotify"
    if not kept.exists() and int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
        kept.write_text(INOTIFY.read_text())
        INOTIFY.write_text(str(INOTIFY_INSTANCES))


def _restore_inotify() -> None:
    kept = run_directory() / "inotify"
    if kept.exists():
        INOTIFY.write_text(kept.read_text())
