"""nftables scripts that are put together from what is wanted."""

from ipaddress import ip_network
from typing import Any

from podnet_kni_server.datapath import forward, nat
from podnet_kni_server.datapath.model import NodeLink


def test_masquerading_of_both_families() -> None:
    wanted = [NodeLink("bridge", "br0", masquerade=(ip_network("10.1.0.0/24"), ip_network("fd00:1::/64")))]
    script = nat.ruleset(wanted)
    assert 'oifname != "br0" ip saddr 10.1.0.0/24 ip daddr != 10.1.0.0/24 masquerade' in script
    assert 'oifname != "br0" ip6 saddr fd00:1::/64 ip6 daddr != fd00:1::/64 masquerade' in script


def test_without_masquerading_the_tables_go() -> None:
    script = nat.ruleset([NodeLink("bridge", "br0")])
    assert script.splitlines() == [
        "table ip podnet_nat", "delete table ip podnet_nat", "table ip6 podnet_nat", "delete table ip6 podnet_nat",
    ]  # fmt: skip


def _rule(name: str, handle: int, comment: str) -> dict[str, Any]:
    return {"rule": {"handle": handle, "comment": comment, "expr": [{"match": {"right": name}}, {"accept": None}]}}


def test_rules_of_the_firewall_are_changed_by_difference() -> None:
    listed = {"nftables": [{"chain": {}}, _rule("br0", 4, "podnet"), _rule("br1", 5, "podnet"), _rule("br2", 6, "x")]}
    found = forward.present(listed)
    assert found == {"br0": 4, "br1": 5}
    assert forward.changes("ip", found, {"br0", "br2"}).splitlines() == [
        "delete rule ip filter FORWARD handle 5",
        'insert rule ip filter FORWARD iifname "br2" oifname "br2" counter accept comment "podnet"',
    ]
    assert forward.changes("ip", found, {"br0", "br1"}) == ""


def test_rules_for_routed_links_stand_among_those_for_bridges() -> None:
    listed = {"nftables": [_rule("br0", 4, "podnet"), _rule("pnv*", 5, "podnet in")]}
    found = forward.present(listed)
    assert found == {"br0": 4, "podnet in": 5}
    assert forward.changes("ip6", found, forward.ROUTED).splitlines() == [
        "delete rule ip6 filter FORWARD handle 4",
        'insert rule ip6 filter FORWARD oifname "pnv*" counter accept comment "podnet out"',
    ]
    assert forward.changes("ip6", found, {"br0"}) == "delete rule ip6 filter FORWARD handle 5\n"
