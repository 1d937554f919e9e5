"""Validation as tables: each fault with its path, and all of them at once."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import addresses, kni, multinetwork, validation
from podnet_api.faults import Fault
from podnet_api.meta import ObjectMeta

META = {"metadata": {"name": "x", "namespace": "own"}}
OURS = "multinetwork.x-k8s.io/kni"


def paths(faults: list[Fault]) -> list[str]:
    return [fault.path for fault in faults]


def config(**spec: Any) -> list[Fault]:
    return validation.network_config_faults(msgspec.convert({**META, "spec": spec}, kni.NetworkConfig))


def ranges(*items: dict[str, Any], **ipam: Any) -> list[Fault]:
    return config(bridge={}, ipam={"ranges": list(items), **ipam})


R = "spec.ipam.ranges"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"cidr": "10.0.0.0/24"}, {"cidr": "10.0.1.0/24"}, {"cidr": "fd00::/64"}], []),
        ([{"cidr": "10.0.0.0/16"}, {"cidr": "10.0.1.0/24"}], [f"{R}[1]"]),
        ([{"cidr": "10.0.0.0/24", "end": "10.0.0.9"}, {"cidr": "10.0.0.0/24", "start": "10.0.0.10"}], []),
        ([{"cidr": "10.0.0.0/24", "end": "10.0.0.9"}, {"cidr": "10.0.0.0/24", "start": "10.0.0.9"}], [f"{R}[1]"]),
        ([{"cidr": "10.0.0.0/24"}, {"cidr": "10.0.0.0/24"}, {"cidr": "10.0.0.0/24"}], [f"{R}[1]", f"{R}[2]"]),
        ([{"cidr": "10.0.0.0/24", "start": "10.0.0.9", "end": "10.0.0.8"}], [f"{R}[0].end"]),
        ([{"cidr": "10.0.0.0/24", "gateway": "10.0.1.1"}], [f"{R}[0].gateway"]),
        ([{"cidr": "10.0.0.0/24", "gateway": "fd00::1"}], [f"{R}[0].gateway"]),
        ([{"cidr": "fe80::/64", "gateway": "fe80::1%eth0"}], [f"{R}[0].gateway"]),
        ([{"cidr": "10.0.0.1/24"}], [f"{R}[0].cidr"]),
        ([{"cidr": "10.0.0.0"}], [f"{R}[0].cidr"]),
        ([{"cidr": "10.0.0.0/255.0.0.0"}], [f"{R}[0].cidr"]),
        ([{"cidr": "10.0.0.0/024"}], [f"{R}[0].cidr"]),
        ([{"cidr": "::ffff:10.0.0.0/120"}], [f"{R}[0].cidr"]),
        ([{"cidr": "10.0.0.0/24", "exclude": ["10.0.0.5", "10.0.0.8/29", "10.0.1.0/24", "xyz"]}],
         [f"{R}[0].exclude[2]", f"{R}[0].exclude[3]"]),
        ([{"cidr": "10.0.0.0/24", "exclude": ["10.0.0.0/23"]}], [f"{R}[0].exclude[0]"]),
        ([{"cidr": "10.0.0.0/30", "exclude": ["10.0.0.0/30"]}], [f"{R}[0]"]),
        ([{"cidr": "10.0.0.4/32", "gateway": "10.0.0.4"}], [f"{R}[0]"]),
        ([{"cidr": "10.0.0.4/32"}], []),
        ([{"cidr": "10.0.0.1/24", "gateway": "xy"}, {"cidr": "10.0.0.0/24", "start": "11.0.0.1", "end": "xy"}],
         [f"{R}[0].cidr", f"{R}[1].start", f"{R}[1].end"]),
    ],
)  # fmt: skip
def test_ranges(items: list[dict[str, Any]], expected: list[str]) -> None:
    assert paths(ranges(*items)) == expected


@pytest.mark.parametrize(
    ("cidr", "ipam", "expected"),
    [
        ("10.0.0.0/24", {"blockPrefix4": 24}, []),
        ("10.0.0.0/24", {"blockPrefix4": 23}, ["spec.ipam.blockPrefix4"]),
        ("10.0.0.0/24", {"blockPrefix6": 32}, []),
        ("fd00::/64", {"blockPrefix6": 63}, ["spec.ipam.blockPrefix6"]),
    ],
)
def test_blocks_fit_into_ranges(cidr: str, ipam: dict[str, int], expected: list[str]) -> None:
    assert paths(ranges({"cidr": cidr}, **ipam)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["spec"]),
        ({"bridge": {}, "vxlan": {"vni": 1}}, ["spec"]),
        ({"hostDevice": {"name": "eth3"}}, []),
        ({"macvlan": {}}, ["spec.uplink"]),
        ({"macvlan": {}, "uplink": {"interface": "eth1"}}, []),
        ({"cni": {"config": "{{"}}, ["spec.cni.config"]),
        ({"cni": {"config": "[]"}}, ["spec.cni.config"]),
        ({"cni": {"config": '{"type":"x"}'}}, []),
        ({"bridge": {}, "mtu": 1279, "ipam": {"ranges": [{"cidr": "fd00::/64"}]}}, ["spec.mtu"]),
        ({"bridge": {}, "mtu": 1279, "ipam": {"ranges": [{"cidr": "10.0.0.0/24"}]}}, []),
        ({"bridge": {}, "routes": [{"destination": "default"}]}, ["spec.routes[0].destination"]),
        ({"bridge": {}, "routes": [{"destination": "0.0.0.0/0", "gateway": "fd00::1"}]}, ["spec.routes[0].gateway"]),
        ({"bridge": {}, "dns": {"nameservers": ["10.0.0.1", "a.b"]}}, ["spec.dns.nameservers[1]"]),
        ({"bridge": {}, "nodeSelector": {"matchExpressions": [{"key": "a", "operator": "NotIn"}]}},
         ["spec.nodeSelector.matchExpressions[0].values"]),
        ({"bridge": {}, "nodeSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
         ["spec.nodeSelector.matchExpressions[0].values"]),
    ],
)  # fmt: skip
def test_network_configs(spec: dict[str, Any], expected: list[str]) -> None:
    assert paths(config(**spec)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"addresses": ["10.0.0.1", "fd00::1/64"]}, []),
        ({"addresses": ["10.0.0.1", "10.0.0.2/24"]}, ["spec.addresses[1]"]),
        ({"addresses": ["10.0.0.256", "fe80::1%eth0", "::ffff:1.2.3.4"]},
         ["spec.addresses[0]", "spec.addresses[1]", "spec.addresses[2]"]),
        ({"mac": "01:00:5e:00:00:01"}, ["spec.mac"]),
        ({"mac": "00:00:00:00:00:00"}, ["spec.mac"]),
        ({"mac": "02:00:00:00:00:01"}, []),
        ({"sysctls": {"net.ipv4.conf.net1.rp_filter": "0", "net/ipv6/conf/a.b/forwarding": "1"}}, []),
        ({"sysctls": {"kernel.panic": "1"}}, ["spec.sysctls[kernel.panic]"]),
        ({"sysctls": {"net.../../kernel/panic": "1"}}, ["spec.sysctls[net.../../kernel/panic]"]),
        ({"routes": [{"destination": "10.0.0.1/8"}]}, ["spec.routes[0].destination"]),
        ({"portMappings": [{"hostPort": 1, "containerPort": 1, "hostIP": "xy"}]}, ["spec.portMappings[0].hostIP"]),
        ({"portMappings": [{"hostPort": 1, "containerPort": 1}, {"hostPort": 1, "containerPort": 2}]},
         ["spec.portMappings[1].hostPort"]),
        ({"portMappings": [{"hostPort": 1, "containerPort": 1}, {"hostPort": 1, "containerPort": 1,
                                                                "protocol": "UDP"}]}, []),
    ],
)  # fmt: skip
def test_attachment_configs(spec: dict[str, Any], expected: list[str]) -> None:
    made = msgspec.convert({**META, "spec": spec}, kni.AttachmentConfig)
    assert paths(validation.attachment_config_faults(made)) == expected


def ref(kind: str = "NetworkConfig", group: str = "kni.multinetwork.x-k8s.io", **more: str) -> dict[str, str]:
    return {"group": group, "kind": kind, "name": "x", **more}


P = "spec.parametersRefs"


@pytest.mark.parametrize(
    ("provider", "refs", "expected"),
    [
        (OURS, [ref()], []),
        (OURS, [], [P]),
        (OURS, [ref(), ref()], [f"{P}[1]"]),
        (OURS, [ref("Fabric", "example.com")], [f"{P}[0].group", f"{P}[0].kind"]),
        (OURS, [ref(namespace="other")], [f"{P}[0].namespace"]),
        ("example.com/x", [], []),
        ("example.com/x", [ref("F"), ref("G"), ref("F")], [f"{P}[2]"]),
        ("multinetwork.x-k8s.io/cluster", [], ["spec.provider"]),
    ],
)
def test_pod_networks(provider: str, refs: list[dict[str, str]], expected: list[str]) -> None:
    spec = {"provider": provider, "parametersRefs": refs}
    made = msgspec.convert({**META, "spec": spec}, multinetwork.PodNetwork)
    assert paths(validation.pod_network_faults(made)) == expected


@pytest.mark.parametrize(
    ("provider", "refs", "expected"),
    [
        (OURS, [], []),
        (OURS, [ref("AttachmentConfig", namespace="own")], []),
        (OURS, [ref("AttachmentConfig", namespace="other")], [f"{P}[0].namespace"]),
        (OURS, [ref("Fabric", "example.com")], [f"{P}[0].group", f"{P}[0].kind"]),
        (None, [ref("Fabric", "example.com")], []),
        (None, [ref()], [f"{P}[0].kind"]),
        ("example.com/x", [ref("Fabric", "example.com", namespace="other")], []),
    ],
)
def test_attachments(provider: str | None, refs: list[dict[str, str]], expected: list[str]) -> None:
    spec = {"podNetworkName": "blue", "parametersRefs": refs}
    made = msgspec.convert({**META, "spec": spec}, multinetwork.PodNetworkAttachment)
    assert paths(validation.pod_network_attachment_faults(made, provider)) == expected


SPAN = st.tuples(st.integers(1, 254), st.integers(1, 254)).map(sorted)


@given(st.lists(SPAN, min_size=1, max_size=5))
def test_overlap_is_what_sets_say(spans: list[list[int]]) -> None:
    items = [{"cidr": "10.0.0.0/24", "start": f"10.0.0.{a}", "end": f"10.0.0.{b}"} for a, b in spans]
    sets = [set(range(a, b + 1)) for a, b in spans]
    expected = [f"{R}[{i}]" for i, one in enumerate(sets) if any(one & other for other in sets[:i])]
    assert paths(ranges(*items)) == expected


TEXT = st.one_of(
    st.text(max_size=43),
    st.ip_addresses().map(str),
    st.from_regex(r"[0-9a-f:.]{2,20}(/[0-9]{1,3})?(%[a-z]+)?", fullmatch=True),
)


@given(TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_no_text_makes_validation_fail(cidr: str, start: str, gateway: str, exclude: list[str]) -> None:
    item = kni.Range(cidr=cidr, start=start, end=start, gateway=gateway, exclude=exclude)
    spec = kni.NetworkConfigSpec(bridge=kni.Bridge(), ipam=kni.Ipam(ranges=[item]))
    for fault in validation.network_config_faults(kni.NetworkConfig(metadata=ObjectMeta(name="x"), spec=spec)):
        assert fault.path.startswith("spec.")


@given(st.ip_addresses())
def test_addresses_are_read_as_ipaddress_reads_them(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if one.version == 6 and (one.ipv4_mapped or one.scope_id):
        return
    assert addresses.address(str(one)) == one
    assert addresses.interface(f"{one}/8").ip == one
