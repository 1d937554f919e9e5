"""The keys of the CNI plugin userspace -> datapath userspace. Pure; listed in ``datapath``.

Format: intel/userspace-cni-network-plugin, pkg/types/types.go. The plugin makes the socket and programs the switch of
the node: an interface, its bridge or VLAN. Datapath userspace makes the socket's place and describes it for a switch
that looks there. So native is only a socket with nothing behind it to be programmed; all else stays the plugin's.
"""

from __future__ import annotations

from typing import Literal

from podnet_api import kni

from podnet_compat.links import Datapath, choice
from podnet_compat.reader import Reader

Role = Literal["server", "client"]
_ENGINES = ("vpp", "ovs-dpdk")
_TYPES = ("memif", "vhostuser")
_PLUGIN = "the plugin userspace programs the switch"


def userspace(reader: Reader) -> Datapath:
    """A socket that Pod and switch share."""
    host, pod = reader.child("host"), reader.child("container")
    kinds = [choice(side, "iftype", _TYPES, "-") for side in (host, pod)]
    kind = next((one for one in reversed(kinds) if one != "-"), "")
    if not kind:
        reader.notes.fault(host.at("iftype"), f"must be one of {', '.join(_TYPES)}", kind)
    role = _role(host, pod, kind)
    for side in (host, pod):
        _side(side, kind)
    reader.refuse("sharedDir", why="the socket's directory is podnet's own with datapath userspace")
    reader.ignore("kubeconfig", why="podnet needs no rights: the directory is at /run/podnet/<interface> in containers")
    reader.ignore("logFile", "logLevel", why="the plugin is not run")
    if reader.child("ipam").has("routes"):
        reader.notes.unsupported(f"{reader.at('ipam')}.routes", message="a socket has no routes")
    made = kni.Userspace(type="memif" if kind == "memif" else "vhost-user", role=role)
    return Datapath(kni.NetworkConfigSpec(userspace=made, anti_spoof=False))


def _side(side: Reader, kind: str) -> None:
    """What one end asks for beyond the socket."""
    engine = choice(side, "engine", _ENGINES, "-")
    if engine != "-":
        message = f"{engine} is programmed by nobody: it must take the socket by the description beside it"
        side.notes.warn(side.at("engine"), message)
    if side.string("netType") not in {"", "none"}:
        side.notes.unsupported(side.at("netType"), side.string("netType"), _PLUGIN)
    if side.has("bridge"):
        side.notes.unsupported(side.at("bridge"), message=_PLUGIN)
    side.accept("bridge", "memif", "vhost")
    memif, vhost = side.child("memif"), side.child("vhost")
    memif.accept("role")
    vhost.accept("mode")
    if memif.string("mode") not in {"", "ethernet"}:
        memif.notes.unsupported(memif.at("mode"), memif.string("mode"), "datapath userspace knows ethernet alone")
    vhost.refuse("group", why="the socket's group is the Pod's affair")
    for end, own in ((memif, "memif"), (vhost, "vhostuser")):
        end.refuse("socketfile", why="the socket has a name of its own with datapath userspace")
        if end.written() and own != kind:
            end.notes.warn(end.path, f"has no effect: the interface is of type {kind}")
        end.finish(refuse=True)
    side.finish(refuse=True)


def _role(host: Reader, pod: Reader, kind: str) -> Role:
    """Who makes the socket. Each end is the other's opposite, unless both are said."""
    part, key, makes = ("memif", "role", "master") if kind == "memif" else ("vhost", "mode", "server")
    known = ("master", "slave") if kind == "memif" else ("server", "client")
    own, theirs = (choice(side.child(part), key, known, "-") for side in (pod, host))
    if own != "-" and own == theirs:
        pod.notes.fault(f"{pod.at(part)}.{key}", "must not be that of the host", own)
    if own == "-" and theirs == "-":
        path = f"{host.at(part)}.{key}"
        host.notes.unsupported(path, message="who makes the socket is the plugin's to choose")
    return "server" if own == makes or (own == "-" and theirs not in {makes, "-"}) else "client"
