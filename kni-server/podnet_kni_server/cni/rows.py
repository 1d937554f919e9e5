"""From a result of plugins to the rows of NPWG's network-status. Pure; called by `attach`.

One row for each interface in the Pod, addresses by the index of their interface (multi-net-spec 1.3, section 5). An
address without an index belongs to the last of them, as tools know it. No interface: no row.
"""

from podnet_kni_server.cni.result import Dns, Ip, Result, Route
from podnet_kni_server.datapath.model import Address
from podnet_kni_server.details import NpwgRow


def rows(made: Result) -> tuple[NpwgRow, ...]:
    """The rows of `made`, in the order of its interfaces."""
    inside = made.inside()
    gateways = [str(gateway) for route in made.routes if (gateway := _default_gateway(made, route)) is not None]
    return tuple(
        NpwgRow(
            interface=link.name,
            ips=[str(ip.address.ip) for ip in made.ips if _is_of(ip, index, last=place == len(inside) - 1)],
            mac=link.mac,
            mtu=link.mtu,
            gateway=gateways,
            dns=_dns(made.dns),
        )
        for place, (index, link) in enumerate(inside)
    )


def _default_gateway(made: Result, route: Route) -> Address | None:
    """Where a default route leads. One without a gateway takes that of an address (CNI 1.1.0, section 5)."""
    if route.destination.prefixlen:
        return None
    given = (ip.gateway for ip in made.ips if ip.address.version == route.destination.version)
    return route.gateway or next((gateway for gateway in given if gateway is not None), None)


def _is_of(ip: Ip, index: int, *, last: bool) -> bool:
    return last if ip.link is None else ip.link == index


def _dns(dns: Dns) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {
        "nameservers": list(dns.nameservers),
        "domain": dns.domain,
        "search": list(dns.search),
        "options": list(dns.options),
    }
    return {key: value for key, value in found.items() if value}
