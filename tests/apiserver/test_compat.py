"""What compat makes of NetworkAttachmentDefinitions and Pods, before the rules of a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_api import core
from podnet_api.meta import ObjectMeta, manifest
from podnet_compat import nad as nads
from podnet_compat import names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec

_IPAM = {"type": "host-local", "subnet": "10.1.0.0/24"}
_ALL = {"ips": True, "mac": True, "portMappings": True, "bandwidth": True}
_ENTRY = {
    "name": "x", "namespace": "default", "mac": "02:00:00:00:00:01", "ips": ["10.1.0.9/24"],
    "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "udp", "hostIP": "10.0.0.1"}],
    "bandwidth": {"ingressRate": 1000, "ingressBurst": 10}, "cni-args": {"a.b/C": {"d": [1]}},
    "deviceID": "0000:03:02.3",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("native", {"type": "bridge", "isGateway": True, "macspoofchk": True, "ipam": _IPAM}),
        ("single", {"type": "mynet", "capabilities": _ALL}),
        ("chain", {"plugins": [{"type": "ptp", "ipam": _IPAM, "capabilities": _ALL}, {"type": "tuning"}]}),
        ("file", None),
    ],
)
def test_what_compat_makes_is_taken(apiserver: Any, name: str, config: Any) -> None:
    text = json.dumps(config) if config else None
    nad = Nad(metadata=ObjectMeta(name=name, namespace="default", uid="u"), spec=NadSpec(config=text))
    meta = ObjectMeta(name="web", namespace="default", annotations={names.NETWORKS: json.dumps([_ENTRY])})
    wanted = pods.read(core.Pod(metadata=meta, spec=core.PodSpec()), "default")
    made = nads.translate(nad)
    [pair] = pods.translate(wanted, lambda namespace, name: nad).attachments
    for item in (made.config, made.network, pair.config, pair.attachment):
        path = item.resource.path(item.metadata.namespace)
        answer = apiserver.send("POST", path, manifest(item), query={"dryRun": "All"})
        assert answer.code == 201, answer.message


_WHEREABOUTS = {
    "type": "whereabouts", "range": "10.1.0.0/24", "exclude": ["10.1.0.9", "10.2.0.0/16"], "network_name": "red",
    "ipRanges": [{"range": "fd00::/64"}], "gateway": "10.1.0.1",
}  # fmt: skip
_LINKS = [{"name": "net1"}, {"name": "net2"}]
_ON = {"master": "eth1"}
_BRIDGE = {"type": "bridge", "isGateway": True, "ipam": _IPAM}


@pytest.mark.parametrize(
    "config",
    [
        {"type": "macvlan", **_ON, "mode": "private", "ipam": _WHEREABOUTS},
        {"type": "macvlan", **_ON, "ipam": {"type": "dhcp"}},
        {"type": "bridge", "vlan": 5, "macspoofchk": True},
        {"type": "vlan", **_ON, "vlanId": 5, "ipam": _WHEREABOUTS},
        {"type": "ipvlan", **_ON, "mode": "l3", "ipam": _WHEREABOUTS},
        {"type": "ptp", "mtu": 1400, "ipam": _IPAM},
        {"type": "bond", "mode": "802.3ad", "linksInContainer": True, "miimon": "100", "links": _LINKS},
        {"type": "bond", "mode": "active-backup", "linksInContainer": True, "miimon": "0", "failOverMac": 1,
         "links": _LINKS, "ipam": _WHEREABOUTS},
        {"type": "host-device", "pciBusID": "0000:3b:00.1", "ipam": _WHEREABOUTS},
        {"type": "host-device", "hwaddr": "02:00:00:00:00:01"},
        {"type": "sriov", "vlan": 5, "vlanQoS": 3, "vlanProto": "802.1ad", "trust": "on", "ipam": _WHEREABOUTS},
        {"plugins": [_BRIDGE, {"type": "tuning", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}, "mtu": 1400},
                     {"type": "bandwidth", "ingressRate": 9, "ingressBurst": 9}, {"type": "portmap"}]},
        {"plugins": [{"type": "ptp", "ipam": _IPAM}, {"type": "sbr"}, {"type": "tuning", "allmulti": True}]},
    ],
    ids=lambda config: str(config.get("type", "chain")),
)  # fmt: skip
def test_every_native_form_is_taken(apiserver: Any, config: Any) -> None:
    annotations = {names.RESOURCE_NAME: "intel.com/sriov"} if config.get("type") == "sriov" else {}
    annotations |= {names.STICKY: "true"} if "whereabouts" in json.dumps(config) else {}
    meta = ObjectMeta(name="form", namespace="default", annotations=annotations, uid="u")
    made = nads.translate(Nad(metadata=meta, spec=NadSpec(config=json.dumps(config))))
    assert made.config.spec.cni is None
    for item in (made.config, made.network):
        path = item.resource.path(item.metadata.namespace)
        answer = apiserver.send("POST", path, manifest(item), query={"dryRun": "All"})
        assert answer.code == 201, answer.message


def test_what_is_for_plugins_alone_is_taken(apiserver: Any) -> None:
    """A GUID, no default routes, devices of a resource."""
    config = {"type": "ib-sriov", "capabilities": {"infinibandGUID": True}}
    meta = ObjectMeta(name="ib", namespace="default", uid="u", annotations={names.RESOURCE_NAME: "nvidia.com/ib"})
    nad = Nad(metadata=meta, spec=NadSpec(config=json.dumps(config)))
    entry = {"name": "ib", "infiniband-guid": "C2:11:22:33:44:55:66:77", "default-route": []}
    pod = ObjectMeta(name="web", namespace="default", annotations={names.NETWORKS: json.dumps([entry])})
    wanted = pods.read(core.Pod(metadata=pod, spec=core.PodSpec()), "default")
    made = nads.translate(nad)
    [pair] = pods.translate(wanted, lambda namespace, name: nad).attachments
    assert (pair.config.spec.infiniband_guid, pair.config.spec.no_other_default_routes) == (
        "c2:11:22:33:44:55:66:77",
        True,
    )
    assert made.config.spec.cni is not None
    assert made.config.spec.cni.resource == "nvidia.com/ib"
    for item in (made.config, pair.config):
        path = item.resource.path(item.metadata.namespace)
        answer = apiserver.send("POST", path, manifest(item), query={"dryRun": "All"})
        assert answer.code == 201, answer.message
