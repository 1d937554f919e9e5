"""From the datapath's Link to what plugins are asked for. Pure; called by `attach`."""

import msgspec

from podnet_kni_server.cni.errors import RequestError
from podnet_kni_server.cni.request import DEVICE_INFO, Pod, Request
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.details import CniDetail, PortRecord, ShapingRecord

_BURST_LIMIT = 2**32 - 1
"""Bits; the plugin bandwidth takes no more."""


def detail_of(link: Link) -> CniDetail:
    """What the link's own part says."""
    if not isinstance(link.detail, CniDetail):
        raise RequestError(f"cannot attach {link.name}: it has no configuration of plugins")
    return link.detail


def request(netns: str, link: Link, device: str = "", device_info: str = "") -> Request:
    """What the plugins are asked for; ``device``: in place of the link's; ``device_info``: path of a file about it.

    Raises RequestError.
    """
    detail = detail_of(link)
    ports = [_port(one) for one in detail.ports]
    limits = _limits(detail.shaping) if detail.shaping else None
    given: dict[str, object] = {
        "portMappings": ports,
        "bandwidth": limits,
        "infinibandGUID": detail.guid,
        DEVICE_INFO: device_info,
    }
    return Request(
        pod=Pod(detail.sandbox, detail.namespace, detail.pod, detail.uid),
        netns=netns,
        interface=link.name,
        mac=link.mac,
        addresses=tuple(detail.ips),
        args={key: _value(link, key, text) for key, text in detail.args.items()},
        capabilities={key: value for key, value in given.items() if value},
        device=device or detail.device_id,
    )


def _value(link: Link, key: str, text: str) -> object:
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestError(f"cannot attach {link.name}: cniArgs[{key}] is no JSON: {error}") from error
    return value


def _port(port: PortRecord) -> dict[str, object]:
    """An element of portMappings (CNI conventions); plugins compare the protocol in small letters."""
    made: dict[str, object] = {
        "hostPort": port.host_port,
        "containerPort": port.container_port,
        "protocol": port.protocol.lower(),
    }
    return made | ({"hostIP": port.host_ip} if port.host_ip else {})


def _limits(shaping: ShapingRecord) -> dict[str, object]:
    """`bandwidth` (CNI conventions): a rate needs a burst; without one, what flows in a second."""
    return {
        "ingressRate": shaping.ingress_rate,
        "ingressBurst": shaping.ingress_burst or min(shaping.ingress_rate, _BURST_LIMIT),
        "egressRate": shaping.egress_rate,
        "egressBurst": shaping.egress_burst or min(shaping.egress_rate, _BURST_LIMIT),
    }
