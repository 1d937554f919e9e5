"""DANM: the cases of the field notes, its networks, tenants and Services, and the walk through every field."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from podnet_compat.systems import Outcome, translate_objects
from podnet_tests import danm_examples, fieldwalk
from podnet_tests.danm_examples import network, pod, tenant_config
from podnet_tests.translated import lists, made, only

Object = dict[str, Any]

TENANTS = [
    network("TenantNetwork", "management", "default", host_device="ens4"),
    network("ClusterNetwork", "external", host_device="ens5", container_prefix="ext", cidr="10.2.0.0/24"),
    network("TenantNetwork", "internal", "default", host_device="ens6", container_prefix="int", cidr="10.3.0.0/24"),
]
FIRST = [
    {"tenantNetwork": "management"},
    {"clusterNetwork": "external", "ip": "dynamic"},
    {"tenantNetwork": "internal", "ip": "dynamic"},
]


def run(*objects: Object, **settings: str) -> Outcome:
    return translate_objects(objects, "default", settings={f"danm.{key}": value for key, value in settings.items()})


@pytest.mark.parametrize("group", ["danm.io", "danm.k8s.io"])
@pytest.mark.parametrize(("scheme", "names"), [("", ["eth0", "ext1", "int2"]), ("legacy", ["eth0", "ext", "int"])])
def test_names_of_interfaces(group: str, scheme: str, names: list[str]) -> None:
    objects = [{**item, "apiVersion": f"{group}/v1"} for item in TENANTS]
    outcome = run(*objects, pod(FIRST, "default", key=f"{group}/interfaces"), namingScheme=scheme)
    assert outcome.errors == []
    [listed] = lists(outcome)
    assert [(n["podNetworkName"], n["interfaceName"]) for n in listed] == list(
        zip(["default.management", "external", "default.internal"], names, strict=True)
    )


def test_the_naming_scheme_is_read_from_the_installer() -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "danm-installer-config", "namespace": "kube-system"},
        "data": {"cni_naming_scheme": "legacy"},
    }
    assert [n["interfaceName"] for n in lists(run(*TENANTS, config, pod(FIRST, "default")))[0]] == [
        "eth0",
        "ext",
        "int",
    ]


def test_static_addresses_and_policy_routes() -> None:
    entries = [
        {"network": "m", "ip": "dynamic"},
        {"network": "s", "ip": "10.0.0.9", "ip6": "none", "proutes": {"10.1.0.0/16": "10.0.0.1"}},
    ]
    nets = [
        network("DanmNet", "m", "a", host_device="ens4", cidr="10.9.0.0/24"),
        network("DanmNet", "s", "a", host_device="ens5", cidr="10.0.0.0/24", rt_tables=201),
    ]
    outcome = run(*nets, pod(entries, "a"))
    assert outcome.errors == []
    [listed] = lists(outcome)
    assert listed == [
        {"podNetworkName": "a.m", "interfaceName": "eth0"},
        {"podNetworkAttachmentName": "p-1", "interfaceName": "eth1"},
    ]
    attachment = only(outcome, "PodNetworkAttachment", "p-1")
    assert attachment["spec"]["podNetworkName"] == "a.s"
    assert only(outcome, "AttachmentConfig", "p-1")["spec"] == {
        "addresses": ["10.0.0.9"],
        "routes": [{"destination": "10.1.0.0/16", "gateway": "10.0.0.1"}],
    }
    assert "metadata.annotations[danm.io/interfaces][1].ip6: is so" in "\n".join(outcome.warnings)
    assert only(outcome, "NetworkConfig", "a.s")["spec"]["policyRouting"] is True


ONE = network("DanmNet", "n", "a", host_device="ens4", cidr="10.0.0.0/24")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (
            [{"network": "n", "clusterNetwork": "x"}],
            '[0]: Invalid value: ["network", "clusterNetwork"]: invalid number of network references:2',
        ),
        ([{"ip": "dynamic"}], "[0]: Invalid value: invalid number of network references:0"),
        ([{"network": "n", "ips": "dynamic"}], "[0].ips: Unsupported value: unknown key, did you mean 'ip'?"),
        ([{"network": "gone"}], 'Not found: "gone": the requested network gone of type DanmNet in namespace a'),
        ([{"clusterNetwork": "n"}], "the requested network n of type ClusterNetwork does not exist"),
        (
            [{"network": "n", "ip": "10.1.0.5"}],
            '[0].ip: Invalid value: "10.1.0.5": is outside the network\'s 10.0.0.0/24',
        ),
        ([{"network": "n", "ip": "dynamc"}], '[0].ip: Invalid value: "dynamc": must be an IPv4 or IPv6 address'),
        (
            [{"network": "n", "ip": "dynamic", "ip6": "dynamic"}],
            '[0].ip6: Invalid value: "dynamic": cannot be allocated',
        ),
        ([{"network": "n", "ip": 5}], "[0].ip: Invalid value: 5: must be a string"),
        ('[{"network":"n",}]', "is not JSON: line 1, column 17"),
        ({"network": "n"}, "must be a JSON list of objects"),
        (["n"], '[0]: Invalid value: "n": must be a JSON object'),
    ],
)
def test_what_is_refused(annotation: Any, words: str) -> None:
    outcome = run(ONE, pod(annotation, "a"))
    assert words in "\n".join(outcome.errors)
    assert "metadata.annotations[danm.io/interfaces]" in outcome.errors[0]


def test_a_pod_without_annotation_has_the_network_default() -> None:
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}}
    cluster = network("ClusterNetwork", "default", host_device="ens4", cidr="10.0.0.0/24")
    tenant = network("TenantNetwork", "default", "a", host_device="ens4", cidr="10.0.0.0/24")
    danm_net = network("DanmNet", "default", "a", host_device="ens4", cidr="10.0.0.0/24")
    for objects, name in [
        ([cluster], "danm-default"),
        ([cluster, tenant], "a.default"),
        ([cluster, danm_net], "a.default"),
    ]:
        [[entry]] = lists(run(*objects, bare))
        assert entry == {"podNetworkName": name, "interfaceName": "eth0"}
    assert run(bare).rest == [bare]
    [error] = run(pod([], "a")).errors
    assert "no DanmNet, TenantNetwork or ClusterNetwork is called 'default'" in error
    restricted = network(
        "ClusterNetwork", "default", spec={"AllowedTenants": ["b"]}, host_device="ens4", cidr="10.0.0.0/24"
    )
    [error] = run(restricted, bare).errors
    assert "namespace a is not in AllowedTenants of ClusterNetwork default (b)" in error


def test_allowed_tenants() -> None:
    shared = network("ClusterNetwork", "x", spec={"AllowedTenants": ["a"]}, host_device="ens4", cidr="10.0.0.0/24")
    entries = [{"clusterNetwork": "x", "ip": "dynamic"}]
    assert run(shared, pod(entries, "a")).errors == []
    [error] = run(shared, pod(entries, "b")).errors
    assert "namespace b is not in AllowedTenants of ClusterNetwork x (a)" in error
    [error] = run(network("DanmNet", "x", "a", spec={"AllowedTenants": ["a"]}, host_device="ens4")).errors
    assert 'spec.AllowedTenants: Invalid value: ["a"]: is for a ClusterNetwork only' in error


def test_default_routes() -> None:
    nets = [
        network(
            "DanmNet", name, "a", host_device="ens4", cidr=f"10.{place}.0.0/24", routes={"0.0.0.0/0": f"10.{place}.0.1"}
        )
        for place, name in enumerate(("m", "s"))
    ]
    outcome = run(*nets, pod([{"network": "s", "ip": "dynamic"}], "a"))
    assert lists(outcome) == [[{"podNetworkName": "a.s", "interfaceName": "eth0", "isDefaultGW4": True}]]
    assert only(outcome, "NetworkConfig", "a.s")["spec"]["ipam"]["ranges"] == [
        {"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}
    ]
    [error] = run(*nets, pod([{"network": "m", "ip": "dynamic"}, {"network": "s", "ip": "dynamic"}], "a")).errors
    assert "[1]: Duplicate value" in error
    assert "the IPv4 default route leads over metadata.annotations[danm.io/interfaces][0] already" in error


@pytest.mark.parametrize(
    ("spec", "options", "expected"),
    [
        ({}, {"host_device": "e1"}, {"ipvlan": {}, "uplink": {"interface": "e1"}}),
        (
            {"NetworkType": "macvlan"},
            {"host_device": "e1"},
            {"macvlan": {}, "uplink": {"interface": "e1"}, "mtu": 1500},
        ),
        ({}, {"host_device": "e1", "vlan": 50}, {"vlan": {"vid": 50}, "uplink": {"interface": "e1"}}),
        ({"NetworkType": "macvlan"}, {"host_device": "e1", "vxlan": 70}, {"vxlan": {"vni": 70}}),
        (
            {"NetworkType": "sriov"},
            {"device_pool": "x.io/vf", "vlan": 5},
            {"sriov": {"resource": "x.io/vf", "vlan": 5}},
        ),
        ({"NetworkType": "flannel"}, {}, {"cni": {"config": '{"name": "nid"}'}}),
    ],
)
def test_datapaths(spec: Object, options: Object, expected: Object) -> None:
    outcome = run(network("DanmNet", "n", "a", spec=spec, **options))
    assert outcome.errors == []
    assert only(outcome, "NetworkConfig", "a.n")["spec"] == {**expected, "antiSpoof": False}


@pytest.mark.parametrize(
    ("spec", "options", "words"),
    [
        ({}, {}, "spec.Options.host_device: Required value: NetworkType ipvlan needs it"),
        ({}, {"host_device": "e1", "vlan": 5, "vxlan": 6}, "spec.Options.vxlan: Invalid value: 6"),
        ({}, {"host_device": "e1", "vlan": 4095}, "spec.Options.vlan: Invalid value: 4095"),
        ({}, {"host_device": "e/1"}, "spec.Options.host_device"),
        ({}, {"host_device": "e1", "device_pool": "x/y"}, "spec.Options.device_pool"),
        ({"NetworkType": "sriov"}, {"host_device": "e1"}, "spec.Options.host_device"),
        ({"NetworkID": ""}, {"host_device": "e1"}, "spec.NetworkID: Required value"),
        ({"Colour": "red"}, {"host_device": "e1"}, "spec.Colour"),
        ({}, {"host_device": "e1", "colour": "red"}, "spec.Options.colour"),
        ({}, {"host_device": "e1", "cidr": "10.0.0.0"}, "spec.Options.cidr"),
        (
            {},
            {"host_device": "e1", "cidr": "fd00::/64"},
            'spec.Options.cidr: Invalid value: "fd00::/64": must be an IPv4',
        ),
        (
            {},
            {"host_device": "e1", "routes": {"10.0.0.0/8": "10.1.0.1"}},
            "spec.Options.routes: Invalid value: needs cidr",
        ),
        (
            {},
            {"host_device": "e1", "cidr": "10.1.0.0/24", "routes": {"10.0.0.0/8": "10.2.0.1"}},
            'spec.Options.routes[10.0.0.0/8]: Invalid value: "10.2.0.1": must be a gateway in 10.1.0.0/24',
        ),
        (
            {},
            {"host_device": "e1", "cidr": "10.1.0.0/24", "allocation_pool": {"start": "10.1.0.9", "end": "10.1.0.3"}},
            "spec.Options.allocation_pool.start",
        ),
    ],
)
def test_networks_that_are_refused(spec: Object, options: Object, words: str) -> None:
    assert words in "\n".join(run(network("DanmNet", "n", "a", spec=spec, **options)).errors)


@pytest.mark.parametrize(
    ("config", "options", "uplink"),
    [
        (tenant_config([{"name": "e1"}]), {}, "e1"),
        (tenant_config([{"name": "e1"}, {"name": "x.io/vf"}]), {}, "e1"),
        (tenant_config([{"name": "e1"}, {"name": "e2"}]), {"host_device": "e2"}, "e2"),
        (tenant_config([{"name": "e1", "vniType": "vlan", "vniRange": "5-9"}]), {"host_device": "e1", "vlan": 7}, "e1"),
    ],
)
def test_tenant_networks_take_what_their_config_leaves_no_choice_of(
    config: Object, options: Object, uplink: str
) -> None:
    outcome = run(config, network("TenantNetwork", "t", "a", **options))
    assert outcome.errors == []
    assert only(outcome, "NetworkConfig", "a.t")["spec"]["uplink"] == {"interface": uplink}


@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        (tenant_config([{"name": "e1"}, {"name": "e2"}]), {}, "hostDevices of TenantConfig tc at random (e1, e2)"),
        (tenant_config([{"name": "e1"}]), {"host_device": "e9"}, "is not one of the hostDevices of TenantConfig tc"),
        (tenant_config([{"name": "e1", "vniType": "vlan", "vniRange": "5-9"}]), {}, "DANM reserves one of 5-9"),
        (tenant_config([{"name": ""}]), {"vlan": 4, "host_device": "e1"}, "hostDevices[0].name: Invalid value"),
        (tenant_config([{"name": "e", "vniRange": "5"}]), {"vlan": 4, "host_device": "e"}, "vniType and vniRange"),
        (
            tenant_config([{"name": "e", "vniRange": "x", "vniType": "vlan"}]),
            {"vlan": 4, "host_device": "e"},
            "vniRange",
        ),
        (tenant_config([]), {"vlan": 4, "host_device": "e"}, "either hostDevices or networkIds"),
    ],
)
def test_tenant_networks_that_are_refused(config: Object, options: Object, words: str) -> None:
    assert words in "\n".join(run(config, network("TenantNetwork", "t", "a", **options)).errors)


def test_network_ids_of_tenants() -> None:
    config = tenant_config([], flannel="tenant1")
    outcome = run(config, network("TenantNetwork", "t", "a", spec={"NetworkType": "Flannel", "NetworkID": "own"}))
    assert json.loads(only(outcome, "NetworkConfig", "a.t")["spec"]["cni"]["config"]) == {"name": "tenant1"}


def test_an_address_that_is_not_wanted_is_told() -> None:
    outcome = run(ONE, pod([{"network": "n"}], "a"))
    assert "[0].ip: asks for no IPv4 address, but every Pod of the network gets one" in "\n".join(outcome.warnings)
    lacking = network("DanmNet", "n", "a", host_device="e1", cidr="10.0.0.0/24")
    proutes = [{"network": "n", "ip": "dynamic", "proutes": {"10.1.0.0/16": "10.0.0.1"}}]
    assert "[0].proutes: has no effect, as with DANM: it needs rt_tables" in "\n".join(
        run(lacking, pod(proutes, "a")).warnings
    )


def test_a_prefix_that_looks_like_the_first_interface() -> None:
    nets = [network("DanmNet", name, "a", host_device="e1", container_prefix="eth0") for name in ("m", "n")]
    both = pod([{"network": "m"}, {"network": "n"}], "a")
    assert [entry["interfaceName"] for entry in lists(run(*nets, both))[0]] == ["eth0", "eth01"]
    [error] = run(*nets, both, namingScheme="legacy").errors
    assert '[1]: Duplicate value: "eth0": is the interface of metadata.annotations[danm.io/interfaces][0]' in error


def test_services_with_fixed_addresses_have_endpoints() -> None:
    front = pod([{"network": "n", "ip": "10.0.0.9"}], "a", labels={"app": "front"})
    outcome = run(ONE, front, danm_examples.SERVICE)
    assert outcome.errors == []
    assert outcome.rest == [danm_examples.SERVICE]
    assert only(outcome, "EndpointSlice", "s-ipv4") == {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "s-ipv4",
            "namespace": "a",
            "labels": {"kubernetes.io/service-name": "s", "endpointslice.kubernetes.io/managed-by": "compat"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "diameter", "protocol": "TCP", "port": 3868}],
        "endpoints": [
            {
                "addresses": ["10.0.0.9"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "a", "name": "p"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Pod a/p gets its address on n only when it starts: podnet writes no endpoints"),
        ({"danm.io/selector": '{"app":"other"}'}, "no Pod among these objects has fixed addresses on n"),
        ({"danm.io/selector": "{app:front}"}, "metadata.annotations[danm.io/selector]: Invalid value: is not JSON"),
        ({"danm.io/selector": "{}"}, "selects no Pods"),
        ({"danm.io/network": ""}, "names no network"),
    ],
)
def test_services_that_are_refused(changes: dict[str, str], words: str) -> None:
    service = json.loads(json.dumps(danm_examples.SERVICE))
    service["metadata"]["annotations"] |= changes
    front = pod([{"network": "n", "ip": "dynamic"}], "a", labels={"app": "front"})
    assert words in "\n".join(run(ONE, front, service).errors)


def test_a_service_is_translated_once() -> None:
    """Afterwards its Pods have no annotation any more; a Pod that comes later is not forgotten."""
    front = pod([{"network": "n", "ip": "10.0.0.9"}], "a", labels={"app": "front"})
    there = only(run(ONE, front, danm_examples.SERVICE), "EndpointSlice", "s-ipv4")
    native = {**front, "metadata": {**front["metadata"], "annotations": {}}}
    again = run(native, danm_examples.SERVICE, there)
    assert (again.errors, again.made, again.rest) == ([], [], [native, danm_examples.SERVICE, there])
    assert "EndpointSlice s-ipv4 of an earlier translation holds the endpoints" in "\n".join(again.warnings)
    assert run(ONE, front, danm_examples.SERVICE, there).errors == []
    later = pod([{"network": "n", "ip": "10.0.0.10"}], "a", labels={"app": "front"})
    [error] = run(ONE, later, danm_examples.SERVICE, there).errors
    assert "EndpointSlice s-ipv4 of an earlier translation has other endpoints" in error


def test_whoever_writes_endpoints_says_so() -> None:
    front = pod([{"network": "n", "ip": "dynamic"}], "a", labels={"app": "front"})
    outcome = run(ONE, front, danm_examples.SERVICE, services="manual")
    assert outcome.errors == []
    assert "metadata.annotations[danm.io/selector]: Pod a/p gets its address on n only when it starts" in "\n".join(
        outcome.warnings
    )


def test_a_template_is_translated_in_its_place() -> None:
    template = {"metadata": pod([{"network": "n", "ip": "dynamic"}], "a")["metadata"], "spec": {}}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "a"},
        "spec": {"template": template},
    }
    [changed] = run(ONE, workload).changed
    assert "multinetwork.x-k8s.io/networks" in changed["spec"]["template"]["metadata"]["annotations"]
    assert "annotations" not in changed["metadata"]


def test_nothing_depends_on_order() -> None:
    nets = [*TENANTS, network("DanmNet", "default", "default", host_device="e1", cidr="10.7.0.0/24")]
    objects = [*nets, pod(FIRST, "default"), tenant_config([{"name": "ens4"}, {"name": "ens6"}])]
    results = set()
    for seed in range(20):
        shuffled = [_shuffled(item, random.Random(seed)) for item in objects]
        random.Random(seed).shuffle(shuffled)
        outcome = run(*shuffled)
        results.add(json.dumps([made(outcome), lists(outcome), sorted(outcome.warnings), sorted(outcome.errors)]))
    assert len(results) == 1


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: _shuffled(item, chance) for key, item in items}
    return value


@pytest.mark.parametrize("example", danm_examples.EXAMPLES, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
