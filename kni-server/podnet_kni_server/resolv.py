"""The resolv.conf of a Pod whose default route leads over networks of ours that have name servers. Pure.

The kubelet writes the file, the runtime mounts it, and neither knows of our networks. What the Pod says itself comes
first: dnsPolicy None or a dnsConfig leave the file as it is. ClusterFirst means what it says: the cluster's servers are
asked before the network's; with Default the network's stand before the node's. Format: resolv.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podnet_api import core, names

from podnet_kni_server.records import InterfaceRecord, Record, State

PATH = "/etc/resolv.conf"
SERVERS = 3
"""More than these no resolver asks (MAXNS of resolv.h); the kubelet keeps to it, too."""
_DEFAULT, _NONE = "Default", "None"


@dataclass(frozen=True)
class Dns:
    """What stands in a resolv.conf, in order."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.nameservers or self.search or self.options)


def wanted(record: Record) -> Dns:
    """What the networks that the Pod's default route leads over say, in the order of its list."""
    leading = [interface for interface in record.interfaces if interface.resolv_conf and _leads(interface)]
    return Dns(
        _once(server for interface in leading for server in interface.nameservers),
        _once(word for interface in leading for word in interface.search),
        _once(word for interface in leading for word in interface.dns_options),
    )


def _leads(interface: InterfaceRecord) -> bool:
    primary = interface.link.name == names.DEFAULT_INTERFACE
    return interface.state is State.ATTACHED and (primary or bool(interface.default_versions))


def decides_itself(spec: core.PodSpec) -> bool:
    """Whether the Pod says what is to stand in its resolv.conf."""
    return spec.dns_policy == _NONE or bool(spec.dns_config)


def merged(text: str, own: Dns, policy: str) -> tuple[str, tuple[str, ...]]:
    """The kubelet's file ``text`` with ``own``, for a Pod with this dnsPolicy; and the servers for which there was no
    place."""
    theirs = parse(text)
    first, second = (own, theirs) if policy == _DEFAULT else (theirs, own)
    servers = _once((*first.nameservers, *second.nameservers))
    search = _once((*first.search, *second.search))
    options = {word.partition(":")[0]: word for word in first.options}
    for word in second.options:
        options.setdefault(word.partition(":")[0], word)
    return render(Dns(servers[:SERVERS], search, tuple(options.values()))), servers[SERVERS:]


def parse(text: str) -> Dns:
    """What a resolv.conf says. Of several search lines the last one counts; ``domain`` is a search list of one."""
    servers: list[str] = []
    search: Sequence[str] = ()
    options: list[str] = []
    for line in text.splitlines():
        keyword, *words = line.split() or [""]
        if keyword == "nameserver":
            servers += words[:1]
        elif keyword in {"search", "domain"}:
            search = words
        elif keyword == "options":
            options += words
    return Dns(_once(servers), _once(search), _options(options))


def render(dns: Dns) -> str:
    """The file."""
    lines = [f"search {' '.join(dns.search)}"] if dns.search else []
    lines += [f"nameserver {server}" for server in dns.nameservers]
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "".join(f"{line}\n" for line in lines)


def _options(words: Iterable[str]) -> tuple[str, ...]:
    """Of an option that comes twice, with another value, the last one counts."""
    return tuple({word.partition(":")[0]: word for word in words}.values())


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
