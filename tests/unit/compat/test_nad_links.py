"""NADs of vlan, ipvlan, ptp, bond, host-device, sriov, of chains and of dhcp: native, or by plugins with a reason."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from podnet_api import kni
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import nad as nads
from podnet_compat import names
from podnet_compat.legacy import Nad, NadSpec

W = {"type": "whereabouts", "range": "10.1.0.0/24"}
HOST_LOCAL = {"type": "host-local", "subnet": "10.1.0.0/24"}
POOL = {"ranges": [{"cidr": "10.1.0.0/24"}]}
NODE_POOL = {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}], "scope": "node"}
UPLINK = {"interface": "eth1"}
BRIDGE = {"type": "bridge", "bridge": "br1"}
GATEWAY = {**BRIDGE, "isGateway": True, "ipam": HOST_LOCAL}
GATEWAY_MADE = {"bridge": {"name": "br1", "gateway": True}, "ipam": NODE_POOL}
VLAN = {"type": "vlan", "master": "eth1", "vlanId": 5}
VLAN_MADE = {"vlan": {"vid": 5, "mode": "direct"}, "uplink": UPLINK}
BOND = {"type": "bond", "mode": "active-backup", "linksInContainer": True, "miimon": "100",
        "links": [{"name": "net1"}, {"name": "net2"}]}  # fmt: skip
SRIOV = {"type": "sriov"}
OF_RESOURCE = {names.RESOURCE_NAME: "intel.com/sriov"}
MACVLAN = {"type": "macvlan", "master": "eth1"}
SYSCTL = {"net.ipv4.conf.IFNAME.arp_filter": "1"}


def native(config: Any, annotations: dict[str, str] | None = None) -> nads.Native:
    meta = ObjectMeta(name="net1", namespace="test", annotations=annotations or {}, uid="u")
    return nads.translate(Nad(metadata=meta, spec=NadSpec(config=json.dumps(config))))


def spec(expected: dict[str, Any]) -> kni.NetworkConfigSpec:
    return msgspec.convert({**expected, "antiSpoof": False}, kni.NetworkConfigSpec)


def chain(*plugins: dict[str, Any]) -> dict[str, Any]:
    return {"cniVersion": "1.0.0", "name": "list", "plugins": list(plugins)}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (VLAN, VLAN_MADE),
        ({**VLAN, "mtu": 1400, "ipam": W}, {**VLAN_MADE, "mtu": 1400, "ipam": POOL}),
        ({"type": "ipvlan", "master": "eth1"}, {"ipvlan": {}, "uplink": UPLINK}),
        ({"type": "ipvlan", "master": "eth1", "mode": "l3s", "mtu": 1400},
         {"ipvlan": {"mode": "l3s"}, "uplink": UPLINK, "mtu": 1400}),
        ({"type": "ptp", "ipam": HOST_LOCAL, "mtu": 1400}, {"routed": {}, "ipam": NODE_POOL, "mtu": 1400}),
        ({"type": "ptp", "ipam": W}, {"routed": {}, "ipam": POOL}),
        (BOND, {"bond": {"links": ["net1", "net2"]}}),
        ({**BOND, "mode": "802.3ad", "miimon": "50", "xmitHashPolicy": "layer3+4", "mtu": 1400, "ipam": W},
         {"bond": {"links": ["net1", "net2"], "mode": "802.3ad", "miimon": 50, "xmitHashPolicy": "layer3+4"},
          "mtu": 1400, "ipam": POOL}),
        ({**BOND, "failOverMac": 1}, {"bond": {"links": ["net1", "net2"], "failOverMac": "active"}}),
        ({"type": "host-device", "device": "eth7"}, {"hostDevice": {"name": "eth7"}}),
        ({"type": "host-device", "hwaddr": "02-00-00-00-00-0A"}, {"hostDevice": {"mac": "02:00:00:00:00:0a"}}),
        ({"type": "host-device", "pciBusID": "0000:3B:00.1", "ipam": W},
         {"hostDevice": {"pciAddress": "0000:3b:00.1"}, "ipam": POOL}),
        ({**MACVLAN, "ipam": {"type": "dhcp"}}, {"macvlan": {}, "uplink": UPLINK, "ipam": {"dhcp": {}}}),
        ({**BRIDGE, "ipam": {"type": "dhcp"}}, {"bridge": {"name": "br1"}, "ipam": {"dhcp": {}}}),
        (chain(MACVLAN, {"type": "tuning", "sysctl": SYSCTL, "promisc": True, "allmulti": True, "mtu": 1400}),
         {"macvlan": {}, "uplink": UPLINK, "sysctls": SYSCTL, "promiscuous": True, "allMulticast": True, "mtu": 1400}),
        (chain({"type": "cnv-bridge", "bridge": "br1"}, {"type": "cnv-tuning"}), {"bridge": {"name": "br1"}}),
        (chain(BRIDGE, {"type": "bandwidth", "ingressRate": 10**10, "ingressBurst": 2000, "egressRate": 1,
                        "egressBurst": 2}),
         {"bridge": {"name": "br1"},
          "bandwidth": {"ingressRate": 10**10, "ingressBurst": 2000, "egressRate": 1, "egressBurst": 2}}),
        (chain(BRIDGE, {"type": "bandwidth", "capabilities": {"bandwidth": True}}), {"bridge": {"name": "br1"}}),
        (chain(GATEWAY, {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}), GATEWAY_MADE),
        (chain({"type": "ptp", "ipam": HOST_LOCAL}, {"type": "portmap", "backend": "iptables"}),
         {"routed": {}, "ipam": NODE_POOL}),
        (chain(VLAN, {"type": "sbr"}), {**VLAN_MADE, "policyRouting": True}),
        (chain(GATEWAY, {"type": "sbr"}, {"type": "tuning", "sysctl": SYSCTL}),
         {**GATEWAY_MADE, "policyRouting": True, "sysctls": SYSCTL}),
    ],
)  # fmt: skip
def test_becomes(config: Any, expected: dict[str, Any]) -> None:
    assert native(config).config.spec == spec(expected)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {}),
        ({"vlan": 0, "spoofchk": "on", "trust": "off", "link_state": "auto", "logLevel": "debug"}, {}),
        ({"vlan": 100, "vlanQoS": 3, "vlanProto": "802.1AD", "spoofchk": "off", "trust": "on", "link_state": "enable",
          "min_tx_rate": 10, "max_tx_rate": 20},
         {"vlan": 100, "qos": 3, "vlanProtocol": "802.1ad", "spoofCheck": False, "trust": True,
          "linkState": "enable", "minTxRate": 10, "maxTxRate": 20}),
    ],
)  # fmt: skip
def test_sriov_of_a_resource(keys: dict[str, Any], expected: dict[str, Any]) -> None:
    made = native({**SRIOV, **keys, "ipam": W}, OF_RESOURCE)
    assert made.config.spec == spec({"sriov": {"resource": "intel.com/sriov", **expected}, "ipam": POOL})


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        (SRIOV, "metadata.annotations[k8s.v1.cni.cncf.io/resourceName]", "is absent"),
        ({**SRIOV, "deviceID": "0000:3b:00.1"}, ".deviceID", "one node"),
        ({**SRIOV, "mac": "02:00:00:00:00:01"}, ".mac", "same for every Pod"),
        ({**VLAN, "linkInContainer": True}, ".linkInContainer", "does not cover"),
        ({**VLAN, "vlanId": 0}, ".vlanId", "begins with 1"),
        ({"type": "vlan", "vlanId": 5}, ".master", "default route"),
        ({"type": "ipvlan"}, ".master", "default route"),
        ({"type": "ptp"}, ".ipam", "nothing without addresses"),
        ({"type": "ptp", "ipMasq": True, "ipam": HOST_LOCAL}, ".ipMasq", "does not masquerade"),
        ({"type": "ptp", "ipam": {"type": "dhcp"}}, ".ipam.type", "routed link"),
        ({**BRIDGE, "macspoofchk": True, "ipam": {"type": "dhcp"}}, ".ipam.type", "held to the one"),
        ({**GATEWAY, "ipam": {"type": "dhcp"}}, ".ipam.type", "is its gateway"),
        ({**MACVLAN, "ipam": {"type": "dhcp", "daemonSocketPath": "/x"}}, ".ipam.daemonSocketPath", "by itself"),
        ({**MACVLAN, "ipam": {"type": "dhcp", "request": [{"skipDefault": True}]}}, ".ipam.request", "not cover"),
        ({**BOND, "linksInContainer": False}, ".linksInContainer", "of the node"),
        ({**BOND, "links": [{"name": "net1"}]}, ".links", "two to eight"),
        ({**BOND, "miimon": "x"}, ".miimon", "string of digits"),
        ({**BOND, "mode": "802.3ad", "miimon": "0"}, ".miimon", "look at its links"),
        ({**BOND, "mode": "balance-rr", "failOverMac": 2}, ".failOverMac", "needs mode"),
        ({**BOND, "allSlavesActive": 1}, ".allSlavesActive", "not cover"),
        ({"type": "host-device"}, "", "names no device"),
        ({"type": "host-device", "device": "a", "hwaddr": "02:00:00:00:00:01"}, "", "one is enough"),
        ({"type": "host-device", "kernelpath": "/sys/x"}, ".kernelpath", "not cover"),
        ({"type": "host-device", "pciBusID": "3b:00.1"}, ".pciBusID", "whole address"),
        ({"type": "tap"}, ".type", "ends in the Pod"),
        ({"type": "dummy"}, ".type", "dummy"),
        (chain(MACVLAN, {"type": "vrf", "vrfname": "red"}), ".plugins[1].type", "an entry of its own"),
        (chain(MACVLAN, {"type": "tuning", "mac": "02:00:00:00:00:01"}), ".plugins[1].mac", "every Pod"),
        (chain(MACVLAN, {"type": "tuning", "txQLen": 5}), ".plugins[1].txQLen", "not cover"),
        (chain(MACVLAN, {"type": "tuning", "sysctl": {"kernel.x": "1"}}), ".plugins[1].sysctl.kernel.x", "net."),
        (chain(MACVLAN, {"type": "bandwidth", "ingressRate": 1, "ingressBurst": 1}), ".plugins[1]", "no end"),
        (chain(BRIDGE, {"type": "bandwidth", "unshapedSubnets": ["10.0.0.0/8"]}), ".plugins[1].unshapedSubnets", "not"),
        (chain(BRIDGE, {"type": "portmap"}), ".plugins[1]", "no address in this network"),
        (chain(GATEWAY, {"type": "portmap", "snat": False}), ".plugins[1].snat", "way back"),
        (chain(GATEWAY, {"type": "portmap", "conditionsV4": ["x"]}), ".plugins[1].conditionsV4", "not cover"),
        (chain(MACVLAN, {"type": "sbr", "table": 5}), ".plugins[1].table", "number"),
        (chain(MACVLAN, {"type": "tuning", "sysctls": {}}), ".plugins[1].sysctls", "did you mean 'sysctl'"),
    ],
)  # fmt: skip
def test_what_is_not_native_goes_to_the_plugins_and_says_why(config: Any, path: str, words: str) -> None:
    made = native(config)
    assert made.config.spec.cni is not None
    assert json.loads(made.config.spec.cni.config) == {"name": "net1", **config}
    at = path if path.startswith("metadata") else nads.PATH + path
    [why] = [warning for warning in made.warnings if warning.startswith(f"{at}: the CNI plugins of the nodes")]
    assert words in why


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({**VLAN, "vlanId": 4095}, ".vlanId", "between 0 and 4094"),
        ({**VLAN, "vlanId": "5"}, ".vlanId", "must be a number"),
        ({"type": "ipvlan", "master": "eth1", "mode": "l4"}, ".mode", "one of l2, l3, l3s"),
        ({**BOND, "mode": "fast"}, ".mode", "one of balance-rr"),
        ({**BOND, "links": [{}, {"name": "net1"}]}, ".links[0].name", "must be named"),
        ({"type": "host-device", "hwaddr": "x"}, ".hwaddr", "MAC address"),
        ({**SRIOV, "spoofchk": "yes"}, ".spoofchk", "on or off"),
        ({**SRIOV, "vlanQoS": 3}, ".vlanQoS", "needs a vlan"),
        ({**SRIOV, "vlan": 5, "vlanProto": "x"}, ".vlanProto", "802.1ad"),
        ({**SRIOV, "link_state": "up"}, ".link_state", "one of auto"),
        (chain(MACVLAN, {"type": "tuning", "sysctl": {"net.a": 1}}), ".plugins[1].sysctl.net.a", "must be a string"),
        (chain(BRIDGE, {"type": "bandwidth", "ingressRate": 1}), ".plugins[1].ingressBurst", "wants both"),
        (chain(BRIDGE, {"type": "bandwidth", "egressBurst": 1}), ".plugins[1].egressBurst", "needs egressRate"),
        (chain(BRIDGE, {}), ".plugins[1].type", "must name the type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_name(config: Any, path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        native(config, OF_RESOURCE if config["type"] == "sriov" else {}) if "type" in config else native(config)
    assert nads.PATH + path in [fault.path for fault in caught.value.faults]
    assert words in str(caught.value)


def test_of_a_chain_every_capability_counts() -> None:
    made = native(chain({**GATEWAY, "capabilities": {"ips": True}}, {"type": "portmap", "capabilities": {
        "portMappings": True, "mac": False}}))  # fmt: skip
    assert made.capabilities == {"ips", "portMappings"}


@pytest.mark.parametrize(
    ("keys", "space"),
    [
        ({}, ""),
        ({"network_name": "red"}, "red"),
        ({"enable_overlapping_ranges": True}, ""),
    ],
)
def test_a_network_name_is_an_address_space(keys: dict[str, Any], space: str) -> None:
    pool = native({**MACVLAN, "ipam": {**W, **keys}}).config.spec.ipam
    assert pool is not None
    assert pool.space == space


def test_without_a_look_at_overlapping_ranges_only_equal_ranges_are_one_space() -> None:
    def space(**keys: Any) -> str:
        pool = native({**MACVLAN, "ipam": {**W, "enable_overlapping_ranges": False, **keys}}).config.spec.ipam
        assert pool is not None
        return pool.space

    assert space() == space() != ""
    assert len({space(), space(range="10.1.0.0/25"), space(network_name="Under_score")}) == 3


@pytest.mark.parametrize(
    ("config", "text", "sticky"),
    [({**MACVLAN, "ipam": W}, "true", True), ({**MACVLAN, "ipam": W}, "false", False), (GATEWAY, "true", False)],
)
def test_sticky_is_said_by_the_nad(config: Any, text: str, sticky: bool) -> None:
    made = native(config, {names.STICKY: text})
    assert made.config.spec.ipam is not None
    assert made.config.spec.ipam.sticky == sticky
    assert any("counted once in the cluster" in w for w in made.warnings) == (config is GATEWAY)


def test_sticky_is_true_or_false() -> None:
    with pytest.raises(InvalidError, match="must be true or false"):
        native({**MACVLAN, "ipam": W}, {names.STICKY: "yes"})


# Every key of the plugins' own types (containernetworking/plugins, sriov-cni, bond-cni as of 2026), with a value that
# says something; the least configuration that is translated stands before.
_KEYS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (VLAN, {"master": "eth9", "vlanId": 9, "mtu": 1400, "linkInContainer": True}),
    ({"type": "ipvlan", "master": "eth1"}, {"master": "eth9", "mode": "l3", "mtu": 1400, "linkInContainer": True}),
    ({"type": "ptp", "ipam": HOST_LOCAL}, {"ipMasq": True, "ipMasqBackend": "nftables", "mtu": 1400, "ipam": W}),
    (BOND, {"mode": "broadcast", "linksInContainer": False, "failOverMac": 1, "miimon": "7", "mtu": 1400,
            "links": [{"name": "a"}, {"name": "b"}], "allSlavesActive": 1, "tlbDynamicLb": 1,
            "xmitHashPolicy": "layer2+3"}),
    ({"type": "host-device", "device": "eth7"},
     {"device": "eth9", "hwaddr": "02:00:00:00:00:01", "kernelpath": "/sys/x", "pciBusID": "0000:3b:00.1"}),
    (SRIOV, {"vlan": 5, "vlanQoS": 3, "vlanProto": "802.1ad", "deviceID": "0000:3b:00.1", "mac": "02:00:00:00:00:01",
             "min_tx_rate": 1, "max_tx_rate": 2, "spoofchk": "off", "trust": "on", "link_state": "enable",
             "logLevel": "debug", "logFile": "/x"}),
    (chain(MACVLAN, {"type": "tuning"}), {"dataDir": "/x", "sysctl": SYSCTL, "mac": "02:00:00:00:00:01",
                                         "promisc": True, "mtu": 1400, "txQLen": 5, "allmulti": True}),
    (chain(BRIDGE, {"type": "bandwidth"}), {"ingressRate": 1, "ingressBurst": 1, "egressRate": 1, "egressBurst": 1,
                                            "shapedSubnets": ["10.0.0.0/8"], "unshapedSubnets": ["10.0.0.0/8"]}),
    (chain(GATEWAY, {"type": "portmap"}), {"backend": "nftables", "snat": False, "conditionsV4": ["x"],
                                           "conditionsV6": ["x"], "masqAll": True, "markMasqBit": 5,
                                           "externalSetMarkChain": "x"}),
    (chain(MACVLAN, {"type": "sbr"}), {"table": 5, "gateways": ["10.1.0.1"], "addSourceHints": True}),
    ({**MACVLAN, "ipam": {"type": "dhcp"}}, {"ipam": {"type": "dhcp", "daemonSocketPath": "/x"}}),
    ({**MACVLAN, "ipam": {"type": "dhcp"}}, {"ipam": {"type": "dhcp", "provide": [{"option": "host-name"}]}}),
    ({**MACVLAN, "ipam": {"type": "dhcp"}}, {"ipam": {"type": "dhcp", "request": [{"option": "routers"}]}}),
    ({**MACVLAN, "ipam": {"type": "dhcp"}}, {"ipam": {"type": "dhcp", "priority": 5}}),
]  # fmt: skip


def outcome(config: dict[str, Any]) -> tuple[object, ...]:
    """What is made, said and refused. What goes to the plugins goes there whole: why is what counts."""
    kind = config.get("type", "")
    try:
        made = native(config, OF_RESOURCE if kind == "sriov" else {})
    except InvalidError as error:
        return tuple(map(str, error.faults))
    return (made.config.spec if made.config.spec.cni is None else "cni", made.warnings)


@pytest.mark.parametrize(
    ("base", "key", "value"), [(base, key, value) for base, keys in _KEYS for key, value in keys.items()]
)
def test_no_key_vanishes(base: dict[str, Any], key: str, value: object) -> None:
    changed = {**base, key: value}
    if "plugins" in base:
        changed = {**base, "plugins": [*base["plugins"][:-1], {**base["plugins"][-1], key: value}]}
    assert outcome(base)[0] != "cni", "the least of it is native"
    assert outcome(changed) != outcome(base)
