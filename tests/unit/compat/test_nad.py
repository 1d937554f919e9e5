"""NADs as tables: what is native, what goes to CNI plugins, what is refused, and that no key vanishes.

Longer than our files are: one table for each form of a NAD, side by side.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import kni, pools
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import legacy, names
from podnet_compat import nad as nads
from podnet_compat.legacy import Nad, NadSpec

HOST_LOCAL = {"type": "host-local", "subnet": "10.1.0.0/24"}


def make_nad(config: Any, name: str = "net1", namespace: str = "test", **annotations: str) -> Nad:
    text = config if isinstance(config, str) or config is None else json.dumps(config)
    meta = ObjectMeta(name=name, namespace=namespace, annotations=annotations, uid=f"uid-{name}")
    return Nad(metadata=meta, spec=NadSpec(config=text))


def bridge(ipam: Any = None, **keys: Any) -> dict[str, Any]:
    return {
        "cniVersion": "0.3.1",
        "type": "bridge",
        "bridge": "br1",
        "ipam": HOST_LOCAL if ipam is None else ipam,
        **keys,
    }


def macvlan(ipam: Any = None, **keys: Any) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "type": "macvlan",
        "master": "eth1",
        "ipam": HOST_LOCAL if ipam is None else ipam,
        **keys,
    }


def native(config: Any, **annotations: str) -> nads.Native:
    return nads.translate(make_nad(config, **annotations))


HOST_RANGE = {"subnet": "10.1.0.0/24"}
W = {"type": "whereabouts", "range": "10.1.0.0/24"}
NODE_POOL = {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}], "scope": "node"}
CLUSTER_POOL = {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}]}


def spec(config: Any) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(native(config).config.spec)
    return made


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (bridge(), {"bridge": {"name": "br1"}, "ipam": NODE_POOL}),
        ({"type": "bridge"}, {"bridge": {"name": "cni0"}}),
        ({"type": "cnv-bridge", "bridge": "br1"}, {"bridge": {"name": "br1"}}),
        (bridge(isGateway=True, ipMasq=True),
         {"bridge": {"name": "br1", "gateway": True, "ipMasq": True}, "ipam": NODE_POOL}),
        (bridge(isDefaultGateway=True), {"bridge": {"name": "br1", "gateway": True}, "ipam": NODE_POOL}),
        (bridge({}, isGateway=True), {"bridge": {"name": "br1"}}),
        (bridge({}, mtu=9000, hairpinMode=True, vlan=5, portIsolation=True),
         {"bridge": {"name": "br1", "hairpin": True, "vlan": 5, "portIsolation": True}, "mtu": 9000}),
        (bridge({}, mtu=0, vlan=0, promiscMode=False, forceAddress=False, vlanTrunk=[]), {"bridge": {"name": "br1"}}),
        (bridge({}, dns={"nameservers": ["10.0.0.10"], "search": ["a.b"]}),
         {"bridge": {"name": "br1"}, "dns": {"nameservers": ["10.0.0.10"], "search": ["a.b"], "resolvConf": False}}),
        ({"name": "list", "plugins": [bridge()]}, {"bridge": {"name": "br1"}, "ipam": NODE_POOL}),
        ({"TYPE": "bridge", "Bridge": "br1", "MTU": 1400}, {"bridge": {"name": "br1"}, "mtu": 1400}),
        (macvlan(), {"macvlan": {"mode": "bridge"}, "uplink": {"interface": "eth1"}, "ipam": CLUSTER_POOL}),
        (macvlan({}, mode="private", mtu=1400),
         {"macvlan": {"mode": "private"}, "uplink": {"interface": "eth1"}, "mtu": 1400}),
    ],
)  # fmt: skip
def test_becomes(config: Any, expected: dict[str, Any]) -> None:
    got = spec(config)
    got.get("macvlan", {}).setdefault("mode", "bridge")
    assert got == {**expected, "antiSpoof": False}


def test_macspoofchk_is_anti_spoof() -> None:
    assert native(bridge(macspoofchk=True)).config.spec.anti_spoof


@pytest.mark.parametrize(
    ("ipam", "expected"),
    [
        ({**HOST_LOCAL, "rangeStart": "10.1.0.20", "rangeEnd": "10.1.0.30", "gateway": "10.1.0.254"},
         [{"cidr": "10.1.0.0/24", "start": "10.1.0.20", "end": "10.1.0.30", "gateway": "10.1.0.254"}]),
        ({"type": "host-local", "ranges": [[HOST_RANGE], [{"subnet": "fd00::/64", "gateway": "fd00::9"}]]},
         [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}, {"cidr": "fd00::/64", "gateway": "fd00::9"}]),
        ({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.2.0.0/24"}]]},
         [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}, {"cidr": "10.2.0.0/24", "gateway": "10.2.0.1"}]),
        ({**HOST_LOCAL, "ranges": [[{"subnet": "fd00::/64"}]]},
         [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}, {"cidr": "fd00::/64", "gateway": "fd00::1"}]),
        ({"type": "whereabouts", "range": "10.1.0.225/28"}, [{"cidr": "10.1.0.224/28"}]),
        ({"type": "whereabouts", "range": "010.001.000.000/24"}, [{"cidr": "10.1.0.0/24"}]),
        ({"type": "whereabouts", "range": "10.1.0.5-10.1.0.9/24",
          "exclude": ["10.1.0.7/32", "10.1.0.9", "10.1.0.66/30"]},
         [{"cidr": "10.1.0.0/24", "start": "10.1.0.5", "end": "10.1.0.9",
           "exclude": ["10.1.0.7/32", "10.1.0.9/32", "10.1.0.64/30"]}]),
        ({"type": "whereabouts", "range": "10.1.0.0/24", "exclude": ["10.1.0.7", "10.1.0.7/32", "10.2.0.0/16"]},
         [{"cidr": "10.1.0.0/24", "exclude": ["10.1.0.7/32"]}]),
        ({"type": "whereabouts", "range": "10.1.0.0/24", "range_start": "10.1.0.5", "range_end": "10.1.0.9",
          "gateway": "10.1.0.1"},
         [{"cidr": "10.1.0.0/24", "start": "10.1.0.5", "end": "10.1.0.9", "gateway": "10.1.0.1"}]),
        ({**W, "ipRanges": [{"range": "fd00::/120", "exclude": ["fd00::/124"]}]},
         [{"cidr": "10.1.0.0/24"}, {"cidr": "fd00::/120", "exclude": ["fd00::/124"]}]),
        ({"type": "whereabouts", "range": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]},
         [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}]),
    ],
)  # fmt: skip
def test_ranges(ipam: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    made = native(macvlan(ipam)).config
    assert msgspec.to_builtins(made.spec)["ipam"] == {"ranges": expected}
    assert pools.pool_of(made) is not None


@pytest.mark.parametrize(
    ("config", "scope"),
    [
        (bridge(), "node"),
        (macvlan(), "cluster"),
        (bridge({"type": "whereabouts", "range": "10.1.0.0/24"}), "cluster"),
        (macvlan({"type": "whereabouts", "range": "10.1.0.0/24"}), "cluster"),
    ],
)
def test_scope(config: Any, scope: str) -> None:
    made = native(config)
    assert made.config.spec.ipam is not None
    assert made.config.spec.ipam.scope == scope
    counted_otherwise = any("counts per node" in warning for warning in made.warnings)
    assert counted_otherwise == (config["type"] == "macvlan" and config["ipam"]["type"] == "host-local")


@pytest.mark.parametrize(
    ("ipam", "routes"),
    [
        ({**HOST_LOCAL, "routes": [{"dst": "192.168.0.0/16"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.7"}]},
         [("192.168.0.0/16", "10.1.0.1"), ("10.9.0.0/16", "10.1.0.7")]),
        ({**HOST_LOCAL, "routes": [{"dst": "0.0.0.0/0"}]}, []),
        ({**W, "routes": [{"dst": "192.168.0.0/16"}]}, [("192.168.0.0/16", None)]),
        ({"type": "static", "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
          "routes": [{"dst": "192.168.1.1/16"}]}, [("192.168.0.0/16", "10.1.0.1")]),
    ],
)  # fmt: skip
def test_routes(ipam: dict[str, Any], routes: list[tuple[str, str | None]]) -> None:
    assert [(r.destination, r.gateway) for r in native(macvlan(ipam)).config.spec.routes] == routes


def test_static_addresses_are_no_pool_unless_the_node_holds_the_gateway() -> None:
    ipam = {
        "type": "static",
        "addresses": [{"address": "10.1.0.5/24"}, {"address": "fd00::5/64", "gateway": "fd00::9"}],
    }
    plain, gateway = native(bridge(ipam)), native(bridge(ipam, isGateway=True))
    assert plain.config.spec.ipam is None
    assert [str(a) for a in plain.addressing.static] == ["10.1.0.5/24", "fd00::5/64"]
    assert gateway.config.spec.ipam == kni.Ipam(
        ranges=[kni.Range(cidr="10.1.0.0/24", gateway="10.1.0.1"), kni.Range(cidr="fd00::/64", gateway="fd00::9")],
        scope="node",
    )


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ("{", "", "line 1, column 2"),
        ('{"type":"bridge",}', "", "comma too many"),
        ("[]", "", "JSON object"),
        ({}, ".type", "must name the type"),
        ({"plugins": []}, ".plugins", "must hold one plugin"),
        ({"type": 5}, ".type", "must be a string"),
        (bridge(vlan=4095), ".vlan", "between 1 and 4094"),
        (bridge(mtu=20), ".mtu", "between 68 and 65535"),
        (bridge(mtu="1500"), ".mtu", "must be a number"),
        (bridge(isGateway="true"), ".isGateway", "must be a boolean"),
        (bridge(bridge="much-too-long-name"), ".bridge", "15 bytes"),
        (bridge(ipam=[]), ".ipam", "must be a JSON object"),
        (macvlan(mode="vlan"), ".mode", "one of bridge"),
        (bridge({"type": "host-local"}), ".ipam", "needs a subnet or ranges"),
        (bridge({**HOST_LOCAL, "subnet": "10.1.0.1/24"}), ".ipam.subnet", "host bits"),
        (bridge({**HOST_LOCAL, "subnet": "10.1.0.0/31"}), ".ipam.subnet", "too small"),
        (bridge({**HOST_LOCAL, "subnet": "10.1.0.0"}), ".ipam.subnet", "prefix length"),
        (bridge({**HOST_LOCAL, "rangeStart": "10.2.0.5"}), ".ipam.rangeStart", "address of 10.1.0.0/24"),
        (bridge({**HOST_LOCAL, "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.5"}), ".ipam", "gives no address"),
        (bridge({**HOST_LOCAL, "gateway": "10.2.0.1"}), ".ipam.gateway", "address of 10.1.0.0/24"),
        (bridge({"type": "host-local", "ranges": [[{}]]}), ".ipam.ranges[0][0].subnet", "needs a subnet"),
        (bridge({"type": "host-local", "ranges": [{"subnet": "10.1.0.0/24"}]}), ".ipam.ranges[0]", "must be a list"),
        (bridge({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/25"}]]}),
         ".ipam", "overlap"),
        (bridge({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}),
         ".ipam.ranges", "one family"),
        (bridge({**HOST_LOCAL, "routes": [{"gw": "10.1.0.1"}]}), ".ipam.routes[0].dst", "destination"),
        (bridge({**HOST_LOCAL, "routes": [{"dst": "x"}]}), ".ipam.routes[0].dst", "prefix length"),
        (bridge({**HOST_LOCAL, "routes": [{"dst": "10.0.0.0/8", "gw": "fd00::1"}]}), ".ipam.routes[0].gw", "IPv4"),
        (macvlan({"type": "whereabouts"}), ".ipam.range", "needs a range"),
        (macvlan({**W, "range": "10.1.0.0"}), ".ipam.range", "prefix length"),
        (macvlan({**W, "range": "10.2.0.1-10.1.0.9/24"}), ".ipam.range", "must start with"),
        (macvlan({**W, "exclude": ["x"]}), ".ipam.exclude[0]", "IPv4 or IPv6"),
        (macvlan({**W, "gateway": "10.2.0.1"}), ".ipam.gateway", "address of a range"),
        (macvlan({"type": "static", "addresses": [{"address": "10.1.0.5"}]}), ".ipam.addresses[0].address", "prefix"),
        (macvlan({"type": "static", "addresses": [{"gateway": "10.1.0.1"}]}), ".ipam.addresses[0].address", "needs"),
        (bridge({}, dns={"nameservers": ["x"]}), ".dns.nameservers[0]", "IPv4 or IPv6"),
        (macvlan({**W, "exclude": ["10.1.0.0/16"]}), ".ipam.exclude[0]", "leaves nothing"),
        (macvlan({**W, "ipRanges": [{"range": "fd00::/64"}]}, mtu=1000), ".mtu", "1280"),
    ],
)  # fmt: skip
def test_is_refused_by_name(config: Any, path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        native(config)
    assert caught.value.subject == "NetworkAttachmentDefinition test/net1"
    assert [fault.path for fault in caught.value.faults] == [nads.PATH + path]
    assert words in str(caught.value.faults[0])


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        (None, "", "'net1'"),
        ("", "", "'net1'"),
        (" \n", "", "'net1'"),
        ({"plugins": [bridge(), {"type": "firewall"}]}, ".plugins[1].type", "only tuning, cnv-tuning, bandwidth"),
        ({"plugins": [{"type": "flannel"}]}, ".plugins[0].type", "have a native datapath"),
        ({"type": "flannel"}, ".type", "have a native datapath"),
        (bridge({"type": "calico-ipam"}), ".ipam.type", "only dhcp, host-local"),
        (bridge({"subnet": "10.1.0.0/24"}), ".ipam.type", "only dhcp, host-local"),
        (bridge(promiscMode=True), ".promiscMode", "does not cover"),
        (bridge(forceAddress=True), ".forceAddress", "does not cover"),
        (bridge(vlanTrunk=[{"id": 5}]), ".vlanTrunk", "does not cover"),
        (bridge(enabledad=True), ".enabledad", "does not cover"),
        (bridge(disableContainerInterface=True), ".disableContainerInterface", "does not cover"),
        (bridge(ipMasq=True), ".ipMasq", "needs isGateway"),
        (bridge(isGateway=True, vlan=5), ".vlan", "cannot have a name"),
        (bridge(isGatway=True), ".isGatway", "did you mean 'isGateway'?"),
        (bridge(args={"cni": {"ips": ["10.1.0.5"]}}), ".args", "does not cover"),
        (macvlan(master=""), ".master", "default route"),
        (macvlan(linkInContainer=True), ".linkInContainer", "does not cover"),
        (macvlan(mac="02:00:00:00:00:01"), ".mac", "does not cover"),
        (macvlan(bcqueuelen=5), ".bcqueuelen", "does not cover"),
        (macvlan(isGateway=True), ".isGateway", "unknown key"),
        (bridge({"type": "host-local", "rangeStart": "10.1.0.5", "ranges": [[HOST_RANGE]]}),
         ".ipam.rangeStart", "needs a subnet"),
        (bridge({**HOST_LOCAL, "range": "x"}), ".ipam.range", "unknown key"),
        (bridge({**HOST_LOCAL, "ranges": [[{"subnet": "10.2.0.0/24"}]]}), ".ipam", "one IPv4 address"),
        (bridge({**HOST_LOCAL, "routes": [{"dst": "10.0.0.0/8", "mtu": 1400}]}), ".ipam.routes[0].mtu", "not cover"),
        (bridge({**HOST_LOCAL, "routes": [{"dst": "10.0.0.0/8", "table": 5}]}), ".ipam.routes[0].table", "not cover"),
        (macvlan({**W, "ipRanges": [{"range": "10.2.0.0/24"}]}), ".ipam", "one IPv4 address"),
        (macvlan({**W, "addresses": [{"address": "10.1.0.5/24"}]}), ".ipam.addresses", "not cover"),
        (macvlan({"type": "static", "addresses": [{"address": "10.1.0.5/24"}, {"address": "10.1.0.6/24"}]}),
         ".ipam.addresses", "several are not covered"),
    ],
)  # fmt: skip
def test_what_is_not_native_goes_to_the_plugins_and_says_why(config: Any, path: str, words: str) -> None:
    made = native(config)
    assert made.config.spec.cni is not None
    sent = json.loads(made.config.spec.cni.config)
    written = config if isinstance(config, dict) else {}
    assert sent == {"name": "net1", **written}
    [why] = [warning for warning in made.warnings if warning.startswith(nads.PATH + path + ": ")]
    assert "the CNI plugins of the nodes" in why
    assert words in why
    assert why in made.config.metadata.annotations[names.NOTES]


def test_more_than_the_native_type_holds_goes_to_the_plugins() -> None:
    made = native(macvlan({**W, "exclude": [f"10.1.0.{i}" for i in range(65)]}))
    assert made.config.spec.cni is not None
    assert "cannot be said by a NetworkConfig" in made.warnings[0]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{ "type":"mynet" }', '{"name": "net1", "type": "mynet"}'),
        ('{"type":"mynet","name":""}', '{"name": "net1", "type": "mynet"}'),
        ('{"Name":null,"type":"mynet"}', '{"name": "net1", "type": "mynet"}'),
        ('{"type" : "mynet",  "NAME":"own"}', '{"type" : "mynet",  "NAME":"own"}'),
        ('{"plugins":[{"type":"a"},{"type":"b"}]}', '{"name": "net1", "plugins": [{"type": "a"}, {"type": "b"}]}'),
        (None, '{"name": "net1"}'),
    ],
)
def test_plugins_read_what_was_written_under_the_name_that_it_has(text: str | None, sent: str) -> None:
    made = native(text)
    assert made.config.spec == kni.NetworkConfigSpec(
        cni=kni.Cni(config=sent), anti_spoof=False, dns=kni.Dns(resolv_conf=False)
    )


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({"type": "a/b"}, ".type", "name of a plugin"),
        ({"plugins": [{"type": "a"}, {"type": ".."}]}, ".plugins[1].type", "name of a plugin"),
        ({"plugins": [{"type": "a"}, {}]}, ".plugins[1].type", "name of a plugin"),
        ({"type": "a", "name": "no blanks"}, ".name", "letters, digits"),
        ({"type": "a", "cniVersion": "4.0.0"}, ".cniVersion", "no version of the CNI specification"),
        ({"type": "a", "capabilities": {"ips": "yes"}}, ".capabilities.ips", "boolean"),
        ({"type": "a", "x": "y" * 65536}, "", "at most 65536 bytes"),
    ],
)
def test_what_no_plugin_could_use_is_refused(config: Any, path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        native(config)
    assert [fault.path for fault in caught.value.faults] == [nads.PATH + path]
    assert words in str(caught.value.faults[0])


def test_of_a_chain_it_is_known_what_it_declares() -> None:
    plugins = [{"type": "macvlan", "capabilities": {"ips": True}}, {"type": "portmap", "capabilities": {
        "portMappings": True, "mac": False}}]  # fmt: skip
    made = native({"plugins": plugins, "mtu": 9000})
    assert made.config.spec.cni is not None, "macvlan without a master is that of the node's default route"
    assert made.types == ("macvlan", "portmap")
    assert made.capabilities == {"ips", "portMappings"}
    assert any("mtu: has no effect beside 'plugins'" in warning for warning in made.warnings)


def test_a_node_selector_counts_for_plugins_too() -> None:
    made = native({"type": "mynet"}, **{names.NODE_SELECTOR: "disk=ssd"})
    assert made.config.spec.node_selector == kni.NodeSelector(match_labels={"disk": "ssd"})
    with pytest.raises(InvalidError, match="one label"):
        native({"type": "mynet"}, **{names.NODE_SELECTOR: "a=b,c=d"})


# Every key that the plugins' own types decode (containernetworking/plugins 1.9, whereabouts 0.9), with a
# value that says something.
COMMON: dict[str, Any] = {
    "dns": {"nameservers": ["10.0.0.9"], "domain": "x", "search": ["y"], "options": ["z"]}, "args": {"cni": {"a": 1}},
    "prevResult": {"a": 1}, "runtimeConfig": {"mac": "x"}, "disableCheck": True, "disableGC": True,
}  # fmt: skip
KEYS: dict[str, dict[str, Any]] = {
    "bridge": {
        **COMMON, "bridge": "br7", "isGateway": True, "isDefaultGateway": True, "forceAddress": True, "ipMasq": True,
        "ipMasqBackend": "nftables", "mtu": 1400, "hairpinMode": True, "promiscMode": True, "vlan": 7,
        "vlanTrunk": [{"id": 5}], "preserveDefaultVlan": False, "macspoofchk": True, "enabledad": True,
        "disableContainerInterface": True, "portIsolation": True,
    },
    "macvlan": {**COMMON, "master": "eth7", "mode": "private", "mtu": 1400, "mac": "02:00:00:00:00:01",
                "linkInContainer": True, "bcqueuelen": 7},
}  # fmt: skip
_ROUTE = [{"dst": "192.168.0.0/16", "gw": "10.1.0.1"}]
IPAM_KEYS: dict[str, dict[str, Any]] = {
    "host-local": {"rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.19", "gateway": "10.1.0.2", "routes": _ROUTE,
                   "ranges": [[{"subnet": "fd00::/64"}]], "dataDir": "/x", "resolvConf": "/y", "name": "z"},
    "static": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}], "routes": _ROUTE,
               "dns": {"nameservers": ["10.0.0.9"]}},
    "whereabouts": {
        "range_start": "10.1.0.9", "range_end": "10.1.0.19", "exclude": ["10.1.0.10/32"], "gateway": "10.1.0.2",
        "routes": _ROUTE, "ipRanges": [{"range": "fd00::/64"}], "addresses": [{"address": "10.1.0.5/24"}],
        "dns": {"nameservers": ["10.0.0.9"]}, "enable_overlapping_ranges": False, "network_name": "x",
        "node_slice_size": "/28", "kubernetes": {"kubeconfig": "x"}, "log_file": "x", "log_level": "debug",
        "datastore": "etcd", "etcd_host": "x", "etcd_username": "x", "etcd_password": "x", "etcd_key_file": "x",
        "etcd_cert_file": "x", "etcd_ca_cert_file": "x", "configuration_path": "x", "sleep_for_race": 5,
        "leader_lease_duration": 5, "leader_renew_deadline": 5, "leader_retry_period": 5, "optimistic_ipam": True,
        "reconciler_cron_expression": "x", "name": "x",
    },
}  # fmt: skip
ROUTE_KEYS: dict[str, Any] = {"gw": "10.1.0.7", "mtu": 1, "advmss": 1, "priority": 1, "table": 1, "scope": 1}


def outcome(config: dict[str, Any]) -> tuple[Any, frozenset[str], frozenset[str]]:
    """The spec and addresses, the faults' and the warnings' texts."""
    try:
        made = native(config)
    except InvalidError as error:
        return None, frozenset(map(str, error.faults)), frozenset()
    return (made.config.spec, made.addressing.static), frozenset(), frozenset(made.warnings)


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in KEYS.items() for key in keys])
def test_no_key_of_a_plugin_vanishes(kind: str, key: str) -> None:
    base = bridge() if kind == "bridge" else macvlan()
    if key == "ipMasq":
        base["isGateway"] = True
    if key == "isDefaultGateway":
        base["isGateway"] = True  # it says no more than that, but for the default route
    assert outcome({**base, key: KEYS[kind][key]}) != outcome(base)


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in IPAM_KEYS.items() for key in keys])
def test_no_key_of_an_ipam_vanishes(kind: str, key: str) -> None:
    base = {"host-local": HOST_LOCAL, "whereabouts": W, "static": {"type": "static"}}[kind]
    assert outcome(macvlan({**base, key: IPAM_KEYS[kind][key]})) != outcome(macvlan(base))


@pytest.mark.parametrize("key", ROUTE_KEYS)
def test_no_key_of_a_route_vanishes(key: str) -> None:
    with_key = {**HOST_LOCAL, "routes": [{"dst": "192.168.0.0/16", key: ROUTE_KEYS[key]}]}
    assert outcome(bridge(with_key)) != outcome(bridge({**HOST_LOCAL, "routes": [{"dst": "192.168.0.0/16"}]}))


def test_keys_beside_plugins_are_warned_of() -> None:
    made = native({"name": "x", "cniVersion": "4.0.0", "mtu": 9000, "disableCheck": True, "plugins": [bridge()]})
    assert [warning.split(":")[0] for warning in made.warnings] == [
        "spec.config.cniVersion", "spec.config.disableCheck", "spec.config.mtu"]  # fmt: skip


def test_warnings_stand_on_the_object() -> None:
    made = native(macvlan())
    assert "counts per node" in made.config.metadata.annotations[names.NOTES]
    assert names.NOTES not in native(bridge()).config.metadata.annotations


@pytest.mark.parametrize(
    ("text", "labels"),
    [("disk=ssd", {"disk": "ssd"}), ("kubernetes.io/os = linux", {"kubernetes.io/os": "linux"}), ("gpu", {"gpu": ""})],
)
def test_node_selector(text: str, labels: dict[str, str]) -> None:
    made = native(bridge(), **{names.NODE_SELECTOR: text})
    assert made.config.spec.node_selector == kni.NodeSelector(match_labels=labels)


def test_other_annotations_of_a_nad() -> None:
    with pytest.raises(InvalidError, match="one label"):
        native(bridge(), **{names.NODE_SELECTOR: "a=b,c=d"})
    made = native(bridge(), **{names.RESOURCE_NAME: "x/y"})
    assert made.config.spec.bridge is not None
    assert "hands bridge no device" in made.warnings[0]
    made = native({"type": "host-device", "device": "eth7"}, **{names.RESOURCE_NAME: "x/y"})
    assert made.config.spec.cni is not None
    assert "deviceID" in made.warnings[0]


def test_names_and_links_of_the_objects() -> None:
    made = nads.translate(make_nad(bridge(), "net.1", "blue"))
    assert made.network.metadata.name == made.config.metadata.name == "blue.net.1"
    assert made.network.spec.parameters_refs[0].name == "blue.net.1"
    assert made.network.metadata.labels == {"multinetwork.x-k8s.io/generated-by": "compat"}
    source = made.network.metadata.annotations["multinetwork.x-k8s.io/source"]
    assert legacy.key_of(source) == ("blue", "net.1")


@pytest.mark.parametrize(
    "item",
    [
        {"metadata": {"name": "a", "namespace": "b", "labels": None, "annotations": {"x": None}}},
        {"metadata": {"name": "a", "namespace": "b"}, "spec": None},
        {"metadata": {"name": "a", "namespace": "b"}, "spec": {}},
        {"metadata": {"name": "a", "namespace": "b"}, "spec": {"config": None}},
        {"metadata": {"name": "a", "namespace": "b"}, "spec": {"spec": {"config": "{}"}}},
    ],
)
def test_a_nad_may_lack_everything(item: dict[str, Any]) -> None:
    made = nads.translate(legacy.nad(item))
    assert made.config.spec.cni == kni.Cni(config='{"name": "a"}')


def test_a_nad_of_the_wrong_shape() -> None:
    with pytest.raises(InvalidError, match="cannot accept NetworkAttachmentDefinition b/a"):
        legacy.nad({"metadata": {"name": "a", "namespace": "b"}, "spec": {"config": {"type": "bridge"}}})


_values = st.none() | st.booleans() | st.integers(-5, 5000) | st.sampled_from(
    ["", "eth1", "10.1.0.0/24", "10.1.0.5", "fd00::/64", "fd00::1", "x", "0.0.0.0/0"])  # fmt: skip
_objects = st.dictionaries(st.sampled_from(
    ["subnet", "range", "rangeStart", "rangeEnd", "range_start", "range_end", "gateway", "address", "dst", "gw",
     "exclude", "nameservers"]), _values | st.lists(_values, max_size=3), max_size=5)  # fmt: skip
_lists = st.lists(_objects | _values, max_size=3)
_ipam = st.fixed_dictionaries(
    {"type": st.sampled_from(["host-local", "static", "whereabouts"])},
    optional={
        "subnet": _values, "range": _values, "gateway": _values, "exclude": st.lists(_values, max_size=3),
        "rangeStart": _values, "range_start": _values, "range_end": _values, "ipRanges": _lists, "routes": _lists,
        "addresses": _lists, "ranges": st.lists(_lists | _values, max_size=3), "dns": _objects,
    },
)  # fmt: skip
_config = st.fixed_dictionaries(
    {"type": st.sampled_from(["bridge", "macvlan"]), "ipam": _ipam | _values},
    optional=dict.fromkeys([*KEYS["bridge"], *KEYS["macvlan"], "capabilities", "plugins", "name"], _values),
)


@given(_config)
def test_any_configuration_is_translated_or_refused(config: dict[str, Any]) -> None:
    try:
        made = native(config)
    except InvalidError:
        pass
    else:
        pools.pool_of(made.config)
        msgspec.json.decode(msgspec.json.encode(made.config), type=kni.NetworkConfig)


@given(
    st.text(max_size=50) | st.recursive(_values, lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_any_text_is_translated_or_refused(text: str) -> None:
    if text.strip():
        with pytest.raises(InvalidError):
            native(text)
    else:
        assert native(text).config.spec.cni is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type":"bridge",}', 'line 1, column 18, near "e\\":\\"bridge\\",}"'),
        ('{\n  "type": "bridge"\n  "bridge": "br1"\n}', "line 3, column 3, near"),
        ('{"type":"bridge", // mine\n "x":1}', "JSON has no comments"),
        ("{'type':'bridge'}", "single quotes"),
        ('{“type”:"bridge"}', "typographic quotes"),
        ('{"type":bridge}', "a bare word"),
        ('{"type":"bridge"', "ends too early"),
    ],
)
def test_broken_json_is_quoted_where_it_breaks(text: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        native(text)
    [fault] = caught.value.faults
    assert words in fault.message
