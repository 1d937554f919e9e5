"""What an entry of ``danm.io/interfaces`` asks for beyond its network: addresses and policy routes. Pure.

``ip`` and ``ip6`` are ``dynamic``, ``none`` or an address; DANM reads no address as none.
"""

from __future__ import annotations

from podnet_api import kni

from podnet_compat import addresses, ranges
from podnet_compat.reader import Reader
from podnet_compat.systems.danm import addressing
from podnet_compat.systems.danm.network import Network

DYNAMIC, _NONE = "dynamic", "none"
_FAMILIES = ((4, "ip", "proutes"), (6, "ip6", "proutes6"))


def read(reader: Reader, found: Network | None) -> kni.AttachmentConfigSpec | None:
    """What an entry asks for beyond its network."""
    given: list[str] = []
    routes: list[kni.Route] = []
    for version, key, route_key in _FAMILIES:
        asked = reader.string(key)
        held = [one for one in (_address(reader, key, asked, version, found),) if one]
        given += held
        routes += _routes(reader, route_key, version, bool(held) or asked == DYNAMIC, found)
    spec = kni.AttachmentConfigSpec(addresses=given, routes=routes)
    return None if spec == kni.AttachmentConfigSpec() else spec


def _address(reader: Reader, key: str, asked: str, version: int, found: Network | None) -> str:
    """The fixed address of a family; "" for none or one from the pool."""
    subnet = found.addressing.subnet(version) if found else None
    if found is not None and found.by_plugins:
        return _by_plugins(reader, key, asked, version, found)
    if asked in {"", _NONE}:
        if subnet is not None:
            message = f"asks for no IPv{version} address, but every Pod of the network gets one of {subnet}"
            reader.notes.warn(reader.at(key), message)
        elif asked:
            reader.notes.warn(reader.at(key), f"is so: the network gives no IPv{version} address")
        return ""
    if asked == DYNAMIC:
        _check_dynamic(reader, key, version, found)
        return ""
    return _fixed(reader, key, version, found)


def _check_dynamic(reader: Reader, key: str, version: int, found: Network | None) -> None:
    if found is not None and found.addressing.subnet(version) is None:
        message = f"cannot be allocated: {found.origin.subject} has no IPv{version} subnet"
        reader.notes.fault(reader.at(key), message, DYNAMIC)


def _fixed(reader: Reader, key: str, version: int, found: Network | None) -> str:
    """A prefix length is left out, as DANM does: that of the subnet holds."""
    wanted = ranges.read(reader, key, lambda text: addresses.address(text.partition("/")[0]))
    if wanted is None or found is None:
        return ""
    subnet = found.addressing.subnet(version)
    if wanted.version != version:
        reader.notes.fault(reader.at(key), f"must be an IPv{version} address", str(wanted))
    elif subnet is None:
        reader.notes.fault(reader.at(key), f"{found.origin.subject} has no IPv{version} subnet", str(wanted))
    elif wanted not in subnet:
        reader.notes.fault(reader.at(key), f"is outside the network's {subnet}", str(wanted))
    return str(wanted)


def _by_plugins(reader: Reader, key: str, asked: str, version: int, found: Network) -> str:
    """On a static network DANM puts its own IPAM into the file's configuration; that of the file stays here."""
    if asked in {"", DYNAMIC, _NONE}:
        if asked:
            reader.notes.warn(reader.at(key), "is up to the plugins of the nodes' file, not to a subnet of the network")
        return ""
    reader.notes.warn(reader.at(key), "is asked of the plugins of the nodes' file (ips), whose IPAM has to honour it")
    wanted, subnet = ranges.read(reader, key, lambda text: addresses.address(text.partition("/")[0])), found.addressing
    inside = subnet.subnet(version)
    return f"{wanted}/{inside.prefixlen}" if wanted and inside else str(wanted or "")


def _routes(reader: Reader, key: str, version: int, has_address: bool, found: Network | None) -> list[kni.Route]:
    """Policy routes: DANM makes them where the network has rt_tables and the interface an address."""
    if not reader.mapping(key) or found is None:
        return []
    subnet = found.addressing.subnet(version)
    led = addressing.parse_routes(reader, key, None)
    if any(net.version != version for net, _ in led):
        reader.notes.fault(reader.at(key), f"must hold IPv{version} routes")
        return []
    if found.by_plugins:
        reader.notes.warn(reader.at(key), "has no effect: there is no policy routing on what plugins attach")
        return []
    if not found.has_table or not has_address:
        missing = f"an IPv{version} address" if found.has_table else f"rt_tables in {found.origin.subject}"
        reader.notes.warn(reader.at(key), f"has no effect, as with DANM: it needs {missing}")
        return []
    for net, via in led:
        if subnet is not None and via not in subnet:
            reader.notes.warn(f"{reader.at(key)}[{net}]", f"the gateway {via} is outside the network's {subnet}")
    return [kni.Route(destination=str(net), gateway=str(via)) for net, via in led]
