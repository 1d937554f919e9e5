"""Results of plugins: decoded from every version of the specification, and written in any. Pure.

0.1 and 0.2 have one address per family (ip4, ip6); 0.3 and 0.4 have lists and say the family of an address; 1.0
does not; 1.1 adds properties of interfaces and routes. What an older version cannot say is left out of it.
"""

import ipaddress
from dataclasses import dataclass

from podnet_kni_server.cni import config, document
from podnet_kni_server.cni.document import Reader
from podnet_kni_server.cni.errors import ResultError
from podnet_kni_server.datapath.model import Address, Interface, Network

ROUTE_NUMBERS = ("mtu", "advmss", "priority", "table", "scope")


@dataclass(frozen=True)
class Link:
    """An interface that a plugin made. `sandbox`: path of its namespace; empty: on the node."""

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int = 0
    socket_path: str = ""
    pci_id: str = ""


@dataclass(frozen=True)
class Ip:
    """An address; `link` is the index of its interface."""

    address: Interface
    gateway: Address | None = None
    link: int | None = None


@dataclass(frozen=True)
class Route:
    """A route; `numbers` are the properties of 1.1 that were given, by their names."""

    destination: Network
    gateway: Address | None = None
    numbers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Dns:
    """Name servers."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What plugins made, of whatever version."""

    version: str
    links: tuple[Link, ...] = ()
    ips: tuple[Ip, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: Dns = Dns()

    @property
    def gateways(self) -> tuple[Address, ...]:
        """Of its addresses, each once."""
        return tuple(dict.fromkeys(ip.gateway for ip in self.ips if ip.gateway is not None))

    def inside(self) -> tuple[tuple[int, Link], ...]:
        """The interfaces in the Pod, with their indices."""
        return tuple((i, link) for i, link in enumerate(self.links) if link.sandbox)


def decode(text: bytes | str, version: str, plugin: str = "") -> Result:
    """A plugin's answer. `version` is that of the configuration it was given, which an answer without one has.

    Raises ResultError naming the field.
    """

    def fail(message: str) -> ResultError:
        return ResultError(f"cannot understand the result of the CNI plugin {plugin or '?'}: {message}", plugin)

    return read(document.decode(text, lambda message: fail(f"it {message}")), version, fail)


def read(raw: document.Object, version: str, fail: document.Fail) -> Result:
    """The result in an object. Raises what `fail` makes."""
    reader = Reader(raw, "", fail)
    spoken = reader.text("cniVersion") or version
    if spoken not in config.VERSIONS:
        raise reader.fail("cniVersion", f"{spoken!r} is no version of the CNI specification")
    ips, routes = _read_old(reader) if spoken < "0.3.0" else _read_new(reader)
    links = tuple(_link(entry) for entry in reader.objects("interfaces")) if spoken >= "0.3.0" else ()
    for i, ip in enumerate(ips):
        if ip.link is not None and not 0 <= ip.link < len(links):
            raise reader.fail(f"ips[{i}].interface", f"{ip.link} is no index of interfaces")
    return Result(spoken, links, ips, routes, _dns(reader.child("dns")))


def _read_new(reader: Reader) -> tuple[tuple[Ip, ...], tuple[Route, ...]]:
    return (
        tuple(_ip(entry) for entry in reader.objects("ips")),
        tuple(_route(entry) for entry in reader.objects("routes")),
    )


def _read_old(reader: Reader) -> tuple[tuple[Ip, ...], tuple[Route, ...]]:
    given = [reader.child(key) for key in ("ip4", "ip6") if reader.get(key) is not None]
    ips = tuple(Ip(_interface(entry, "ip"), _address(entry, "gateway")) for entry in given)
    return ips, tuple(_route(route) for entry in given for route in entry.objects("routes"))


def _link(entry: Reader) -> Link:
    if not entry.text("name"):
        raise entry.fail("name", "must be the name of an interface")
    return Link(
        name=entry.text("name"),
        mac=entry.text("mac").lower(),
        sandbox=entry.text("sandbox"),
        mtu=entry.number("mtu"),
        socket_path=entry.text("socketPath"),
        pci_id=entry.text("pciID"),
    )


def _ip(entry: Reader) -> Ip:
    index = entry.number("interface") if entry.get("interface") is not None else None
    # Some plugins of old say -1 for "none".
    return Ip(_interface(entry, "address"), _address(entry, "gateway"), None if index == -1 else index)


def _route(entry: Reader) -> Route:
    numbers = tuple((key, entry.number(key)) for key in ROUTE_NUMBERS if entry.get(key) is not None)
    return Route(_interface(entry, "dst").network, _address(entry, "gw"), numbers)


def _dns(entry: Reader) -> Dns:
    return Dns(entry.texts("nameservers"), entry.text("domain"), entry.texts("search"), entry.texts("options"))


def _interface(entry: Reader, key: str) -> Interface:
    """An address with the length of its prefix. Python would take netmasks, zones and bare addresses, too."""
    text = entry.text(key)
    host, slash, length = text.partition("/")
    try:
        if not (slash and length.isdecimal()) or "%" in host:
            raise ValueError("must be an address with the length of its prefix")
        return ipaddress.ip_interface(text)
    except ValueError as error:
        raise entry.fail(key, f"{text!r}: {error}") from error


def _address(entry: Reader, key: str) -> Address | None:
    text = entry.text(key)
    try:
        if "%" in text:
            raise ValueError("must be an address")
        return ipaddress.ip_address(text) if text else None
    except ValueError as error:
        raise entry.fail(key, f"{text!r}: {error}") from error


def encode(result: Result, version: str) -> dict[str, object]:
    """`result` as an object of `version`, e.g. for prevResult."""
    body = _old(result) if version < "0.3.0" else _new(result, version)
    return {"cniVersion": version, **body, "dns": _encode_dns(result.dns)}


def _old(result: Result) -> dict[str, object]:
    """The first address of each family."""
    found: dict[str, object] = {}
    for ip in result.ips:
        key = f"ip{ip.address.version}"
        routes = [_encode_route(r, ()) for r in result.routes if r.destination.version == ip.address.version]
        found.setdefault(key, _present(ip=str(ip.address), gateway=_text(ip.gateway), routes=routes))
    return found


def _new(result: Result, version: str) -> dict[str, object]:
    numbers = ROUTE_NUMBERS if version >= "1.1.0" else ()
    return _present(
        interfaces=[_encode_link(link, version) for link in result.links],
        ips=[_encode_ip(ip, version) for ip in result.ips],
        routes=[_encode_route(route, numbers) for route in result.routes],
    )


def _encode_link(link: Link, version: str) -> dict[str, object]:
    extra = _present(mtu=link.mtu, socketPath=link.socket_path, pciID=link.pci_id) if version >= "1.1.0" else {}
    return {"name": link.name, **_present(mac=link.mac, sandbox=link.sandbox), **extra}


def _encode_ip(ip: Ip, version: str) -> dict[str, object]:
    made = _present(address=str(ip.address), gateway=_text(ip.gateway))
    if ip.link is not None:
        made["interface"] = ip.link
    return {"version": str(ip.address.version), **made} if version < "1.0.0" else made


def _encode_route(route: Route, numbers: tuple[str, ...]) -> dict[str, object]:
    kept = {key: value for key, value in route.numbers if key in numbers}
    return {**_present(dst=str(route.destination), gw=_text(route.gateway)), **kept}


def _encode_dns(dns: Dns) -> dict[str, object]:
    lists = {"nameservers": dns.nameservers, "search": dns.search, "options": dns.options}
    return _present(domain=dns.domain, **{key: list(value) for key, value in lists.items()})


def _present(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value}


def _text(value: object) -> str:
    return "" if value is None else str(value)
