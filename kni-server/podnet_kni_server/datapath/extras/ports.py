"""Ports of the node that lead to Pods: one nftables table with maps, to which an attach adds elements, never rules.

A question from the Pod's own subnet, or from the Pod itself, would be answered past the node: there the node's
address in the network stands in for who asks. It does for everybody unless the network has a table of its own in the
Pod (policy.py), as the Pod's default route may lead elsewhere. Loopback addresses of the node do not lead to Pods:
letting them (route_localnet) would open what listens there to the neighbours.
"""

import dataclasses
import errno
import json
from collections.abc import Collection, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from podnet_kni_server.datapath import inet, links, nat, observe, spoof
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.extras import flows, listening
from podnet_kni_server.datapath.model import Interface, Link, Route
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import PortRecord

TABLE = "podnet_ports"
_COMMENT_LIMIT = 127
_FAMILIES = {4: "ip", 6: "ip6"}


def _maps(version: int) -> str:
    kind = f"ipv{version}_addr"
    return f"""
  map any{version} {{ type inet_proto . inet_service : {kind} . inet_service; }}
  map one{version} {{ type {kind} . inet_proto . inet_service : {kind} . inet_service; }}
  map near{version} {{ type {kind} . {kind} : {kind}; flags interval; }}
  map hide{version} {{ type {kind} : {kind}; }}"""


# Whole in one transaction, and the same again with every attach: maps that are there keep their elements.
RULESET = f"""
table inet {TABLE} {{{_maps(4)}{_maps(6)}
  chain translate {{ }}
  chain prerouting {{ type nat hook prerouting priority -100; policy accept; }}
  chain output {{ type nat hook output priority -100; policy accept; }}
  chain postrouting {{ type nat hook postrouting priority 90; policy accept; }}
  chain redirects {{ type filter hook output priority 0; policy accept; }}
}}
flush chain inet {TABLE} translate
flush chain inet {TABLE} prerouting
flush chain inet {TABLE} output
flush chain inet {TABLE} postrouting
flush chain inet {TABLE} redirects
table inet {TABLE} {{
  chain translate {{
    meta l4proto != {{ tcp, udp, sctp }} return
    ip daddr 127.0.0.0/8 return
    ip6 daddr ::1 return
    fib daddr type != local return
    dnat ip to ip daddr . meta l4proto . th dport map @one4
    dnat ip to meta l4proto . th dport map @any4
    dnat ip6 to ip6 daddr . meta l4proto . th dport map @one6
    dnat ip6 to meta l4proto . th dport map @any6
  }}
  chain prerouting {{ jump translate; }}
  chain output {{ jump translate; }}
  chain postrouting {{
    ct status & dnat == 0 return
    snat ip to ip saddr . ip daddr map @near4
    snat ip to ip daddr map @hide4
    snat ip6 to ip6 saddr . ip6 daddr map @near6
    snat ip6 to ip6 daddr map @hide6
  }}
  chain redirects {{
    icmp type redirect ct status & dnat != 0 drop
    icmpv6 type nd-redirect ct status & dnat != 0 drop
  }}
}}
"""


_CHAINS = {"translate", "prerouting", "output", "postrouting", "redirects"}


@dataclasses.dataclass(frozen=True)
class Element:
    """One element of a map, as nft writes it; `owner` is the name of a host end and the Pod's."""

    where: str
    key: str
    value: str
    owner: str

    @property
    def host_name(self) -> str:
        """Of the link that it belongs to."""
        return self.owner.split(" ")[0]

    @property
    def ports(self) -> tuple[str, str, str]:
        """Protocol, port and address ("" for all) on the node, with the family; of no meaning for other maps."""
        *address, protocol, port = self.key.split(" . ")
        return protocol, port, address[0] if address else ""


class Ports:
    """See extra.Extra."""

    def apply(self, node: Node, pod: Pod, link: Link) -> None:
        """See Extra."""
        wanted = list(elements(link))
        if not wanted:
            return
        present = _present()
        for text in conflicts(wanted, present):
            raise DatapathError(f"cannot map ports to {link.name}: {text}")
        own = {element for element in present if element.host_name == link.host_name}
        for port in listening.taken(link.extras.ports if link.extras and not own else ()):
            raise DatapathError(f"cannot map ports to {link.name}: a process of the node listens on {port}")
        nat.forward({4 if element.where.endswith("4") else 6 for element in wanted}, "map ports")
        spoof.nft(RULESET + script(wanted, own), f"map ports to {link.name}")
        flows.forget(node, link.extras.ports if link.extras else ())
        _find_back(pod, link)
        if link.kind == "veth":
            _let_return(node, link)

    def lost(self, node: Node, pod: Pod, link: Link) -> Iterator[str]:
        """See Extra. A chain without rules has lost them all: the table is only ever written whole."""
        wanted = list(elements(link))
        if not wanted:
            return
        listed = _listed()
        there = list(parse(listed))
        gone = [one for one in wanted if one not in there]
        yield from (f"had lost {_words(one)}" for one in gone if one.where[:3] in ("any", "one"))
        ruled = {entry["rule"]["chain"] for entry in listed["nftables"] if "rule" in entry}
        if ruled != _CHAINS or any(one.where[:3] not in ("any", "one") for one in gone):
            yield "had lost the rules of its ports"

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Extra."""
        if link.extras and link.extras.ports:
            _delete([element for element in _present() if element.host_name == link.host_name])
            flows.forget(node, link.extras.ports)


def _let_return(node: Node, link: Link) -> None:
    """With net.bridge.bridge-nf-call-iptables, which Kubernetes nodes have, a bridge sends a translated frame on by
    itself: one from the Pod to itself leaves through the port where it came in."""
    host = node.index_of(link.host_name)
    node.route.run(links.set_port(dataclasses.replace(link, hairpin=True), host))


def _find_back(pod: Pod, link: Link) -> None:
    """The Pod's way to the node's address where no subnet of the link has it; it goes with the link."""
    index = observe.need_link(pod.channel, link.name).index
    hops = [ip_address(text) for text in link.extras.gateways] if link.extras else []
    missing = [hop for hop in hops if hop.version == 4 and not any(hop in a.network for a in link.addresses)]
    routes = [inet.add_route(index, link.name, Route(ip_network(hop)), ()) for hop in missing]
    for error in pod.channel.batch(routes).errors.values():
        if error.errno != errno.EEXIST:
            raise error


def sweep(keep: Collection[str]) -> None:
    """Remove the elements of links that are not in `keep`."""
    _delete([element for element in _present() if element.host_name not in keep])


def elements(link: Link) -> Iterator[Element]:
    """What a link puts into the maps. Pure."""
    if link.extras is None or not link.extras.ports:
        return
    owner = f"{link.host_name} {link.extras.pod}"[:_COMMENT_LIMIT]
    gateways = [ip_address(text) for text in link.extras.gateways]
    for address in link.addresses:
        mapped = [_mapped(port, address, owner) for port in link.extras.ports if _meant(port, address)]
        yield from mapped
        gateway = next((g for g in gateways if g.version == address.version), None)
        if mapped and gateway is not None:
            alone = address.network.prefixlen == address.max_prefixlen
            near = address.ip if alone else address.network
            yield Element(f"near{address.version}", f"{near} . {address.ip}", str(gateway), owner)
            if link.extras.hidden:
                yield Element(f"hide{address.version}", str(address.ip), str(gateway), owner)


def _meant(port: PortRecord, address: Interface) -> bool:
    return not port.host_ip or ip_address(port.host_ip).version == address.version


def _mapped(port: PortRecord, address: Interface, owner: str) -> Element:
    key = f"{port.protocol.lower()} . {port.host_port}"
    value = f"{address.ip} . {port.container_port}"
    if port.host_ip:
        return Element(f"one{address.version}", f"{ip_address(port.host_ip)} . {key}", value, owner)
    return Element(f"any{address.version}", key, value, owner)


def conflicts(wanted: Collection[Element], present: Collection[Element]) -> Iterator[str]:
    """What of the node's ports others have. Pure."""
    held = [one for one in present if one.where[:3] in ("any", "one")]
    for element in wanted:
        if element.where[:3] not in ("any", "one"):
            continue
        for other in held:
            if other.host_name != element.host_name and _meet(element, other):
                holder = other.owner.partition(" ")[2]
                protocol, port, _ = element.ports
                yield f"{protocol.upper()} port {port} of the node leads to Pod {holder} already"


def _meet(one: Element, other: Element) -> bool:
    if one.where[-1] != other.where[-1] or one.ports[:2] != other.ports[:2]:
        return False
    return not one.ports[2] or not other.ports[2] or one.ports[2] == other.ports[2]


def script(wanted: Collection[Element], own: Collection[Element]) -> str:
    """The nft script that makes `own`, the link's elements that there are, into `wanted`. Pure."""
    stale = [element for element in own if element not in wanted]
    fresh = [element for element in wanted if element not in own]
    added = "".join(
        f'add element inet {TABLE} {e.where} {{ {e.key} comment "{e.owner}" : {e.value} }}\n' for e in fresh
    )
    return _deletions(stale) + added


def _deletions(unwanted: Collection[Element]) -> str:
    return "".join(f"delete element inet {TABLE} {e.where} {{ {e.key} }}\n" for e in unwanted)


def _delete(unwanted: Collection[Element]) -> None:
    if unwanted:
        spoof.nft(_deletions(unwanted), "take ports away")


def _present() -> list[Element]:
    """Every element there is."""
    return list(parse(_listed()))


def _listed() -> Any:
    """The table, as nft tells it."""
    try:
        return json.loads(spoof.run_nft(["-j", "list", "table", "inet", TABLE], "list the ports"))
    except DatapathError:
        return {"nftables": []}  # no table, so nothing in it


def _words(element: Element) -> str:
    protocol, port, _ = element.ports
    return f"{protocol.upper()} port {port} of the node"


def parse(listed: Any) -> Iterator[Element]:
    """The elements of the table as nft lists it. Pure."""
    for entry in listed["nftables"]:
        found = entry.get("map", {})
        for key, value in found.get("elem", []):
            inner = key.get("elem", {"val": key})
            yield Element(found["name"], _written(inner["val"]), _written(value), inner.get("comment", ""))


def _written(value: Any) -> str:
    if isinstance(value, dict) and "concat" in value:
        return " . ".join(_written(part) for part in value["concat"])
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    return str(value)
