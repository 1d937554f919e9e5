"""The process of a node's KNI server, to be stopped, killed and cut off by tests. Signals go by way of the node."""

import ctypes
import os
import pathlib
import re
import socket

from podnet_hack.demo.world import World

_PIDFD_GETFD = 438
"""The same number on every architecture (asm-generic/unistd.h)."""
NRI_SOCKET = "nri.sock"


def pid(seen: World, node: str) -> str:
    """The process's number on the node; empty while there is none."""
    server = seen.kni_server(node)
    statuses = server["status"].get("containerStatuses", ()) if server else ()
    running = [one["containerID"].split("//")[1] for one in statuses if "running" in one["state"]]
    tasks = seen.on_node(node, "ctr", "--namespace=k8s.io", "tasks", "list") if running else ""
    found = re.search(rf"^{running[0]}\s+(\d+)\s+RUNNING", tasks, re.MULTILINE) if running else None
    return found[1] if found else ""


def send(seen: World, node: str, number: str, name: str) -> None:
    """A signal, by its name."""
    seen.on_node(node, "kill", f"-{name}", number)


def on_host(node: str) -> int:
    """The number that the process has here; 0 where the nodes are on another machine."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            ours = b"podnet-kni-server" in (entry / "cmdline").read_bytes()
            if ours and f"NODE_NAME={node}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except OSError:
            continue  # it ended meanwhile
    return 0


def cut_nri(number: int) -> int:
    """Shut the process's connections to the runtime, as a lost peer would; how many there were."""
    libc = ctypes.CDLL(None, use_errno=True)
    process, cut = os.pidfd_open(number), 0
    try:
        for name in os.listdir(f"/proc/{number}/fd"):
            copied = libc.syscall(_PIDFD_GETFD, process, int(name), 0)
            if copied >= 0:
                cut += _cut(copied)
    finally:
        os.close(process)
    return cut


def _cut(copied: int) -> bool:
    """Shut the socket behind ``copied`` if it leads to the runtime; close the copy in any case."""
    try:
        held = socket.socket(fileno=copied)
    except OSError:
        os.close(copied)
        return False
    with held:
        try:
            ours = held.family == socket.AF_UNIX and str(held.getpeername()).endswith(NRI_SOCKET)
            if ours:
                held.shutdown(socket.SHUT_RDWR)
            return ours
        except OSError:
            return False
