"""Who places a Pod: the extender, or kube-scheduler alone by what nodes count."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from podnet_api import capacity, kni, multinetwork, names, networks
from podnet_api.admission import Allow
from podnet_api.meta import ObjectMeta
from podnet_api.webhook import placement, pods

BLUE, WIDE = names.attachments_resource("blue-config"), names.attachments_resource("wide-config")
SMALL = {"ranges": [{"cidr": "10.0.0.0/24"}]}
OWN = SMALL | {"scope": "node"}
HUGE = {"ranges": [{"cidr": "fd00::/64"}]}


def config(name: str, ipam: dict[str, Any] | None = None, limit: int | None = None) -> kni.NetworkConfig:
    spec: dict[str, Any] = {"bridge": {}} | ({"ipam": ipam} if ipam else {})
    spec |= {"capacity": {"attachments": limit}} if limit is not None else {}
    return kni.NetworkConfig(metadata=ObjectMeta(name=name), spec=msgspec.convert(spec, kni.NetworkConfigSpec))


class Known:
    """placement.Objects."""

    def __init__(self) -> None:
        self.configs = {c.metadata.name: c for c in (config("blue-config"), config("pool-config", SMALL))}
        self.configs["wide-config"] = config("wide-config", HUGE)
        self.refs = {"blue": "blue-config", "pool": "pool-config", "wide": "wide-config", "twin": "wide-config"}

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None:
        ref = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": self.refs.get(name, "none")}
        spec = {"provider": names.PROVIDER, "parametersRefs": [ref]}
        made = msgspec.convert({"metadata": {"name": name}, "spec": spec}, multinetwork.PodNetwork)
        return made if name in self.refs else None

    def sharing(self, config: str) -> int:
        return list(self.refs.values()).count(config)

    def config(self, name: str) -> kni.NetworkConfig | None:
        return self.configs.get(name)

    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None:
        refs = [] if name == "plain" else [{"group": names.KNI_GROUP, "kind": "AttachmentConfig", "name": name}]
        spec = {"podNetworkName": "blue", "parametersRefs": refs}
        made = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        return msgspec.convert(made, multinetwork.PodNetworkAttachment) if name != "none" else None

    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None:
        spec = {"mac": "02:00:00:00:00:01"} if name == "mac" else {"addresses": ["10.0.0.9"]}
        made = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        return msgspec.convert(made, kni.AttachmentConfig) if name in {"mac", "static"} else None


def entry(name: str) -> networks.Network:
    if name.startswith("@"):
        return networks.Network(pod_network_attachment_name=name[1:])
    return networks.Network(pod_network_name=name)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (["default", "blue"], {BLUE: "1"}),
        (["@plain"], {BLUE: "1"}),
        (["@mac"], {BLUE: "1"}),
        (["@static"], {BLUE: "1", names.RESOURCE: "0"}),
        (["@lost"], {BLUE: "1", names.RESOURCE: "0"}),
        (["@none"], {names.RESOURCE: "0"}),
        (["blue", "pool"], {BLUE: "1", names.RESOURCE: "0"}),
        (["pool"], {names.RESOURCE: "0"}),
        (["unheard-of", "blue"], {BLUE: "1", names.RESOURCE: "0"}),
        (["wide"], {WIDE: "1", names.RESOURCE: "0"}),
        (["wide", "twin"], {WIDE: "2", names.RESOURCE: "0"}),
    ],
)
def test_a_pod_asks_for_what_decides_on_it(listed: list[str], expected: dict[str, str]) -> None:
    decide = placement.hybrid("team", Known())
    assert decide([entry(name) for name in listed]).resources == expected


@pytest.mark.parametrize(
    ("made", "alone"),
    [
        (config("a"), True),
        (config("a", OWN), True),
        (config("a", SMALL), False),
        (config("a", HUGE), True),
        (config("a", HUGE | {"sticky": True}), False),
        (config("a", {"ranges": [*HUGE["ranges"], *SMALL["ranges"]]}), False),
        (config("a", {"ranges": [{"cidr": "10.0.0.0/8"}], "blockPrefix4": 32}), False),
        (config("a", {"ranges": [{"cidr": "10.0.0.0/8"}], "blockPrefix4": 32}, limit=1000), True),
        (config("a", {"ranges": [{"cidr": "10.0.0.0/8"}], "blockPrefix4": 28}, limit=1000), False),
        (config("a", {"ranges": [{"cidr": "10.0.0.0/8"}], "blockPrefix4": 28}, limit=60), True),
    ],
)
def test_nodes_count_alone_where_addresses_cannot_run_out_first(made: kni.NetworkConfig, alone: bool) -> None:
    assert capacity.by_node(made) is alone


def test_where_each_node_has_its_own_addresses_they_are_counted_too() -> None:
    assert capacity.on_node(config("a"), 1023) == 1023
    assert capacity.on_node(config("a", OWN), 1023) == 254
    assert capacity.on_node(config("a", OWN), 100) == 100


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (7, "7"), (1000, "1k"), (1023, "1023"), (12000, "12k"), (2_000_000, "2M"), (10**9, "1G")],
)
def test_quantities_are_written_as_the_api_server_does(number: int, text: str) -> None:
    assert capacity.quantity(number) == text


def nobody(_: str) -> str | None:
    """pods.Resolve."""
    return None


def pod(requests: dict[str, str] | None = None) -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": requests, "limits": requests}} if requests else {}
    annotations = {names.NETWORKS_ANNOTATION: '[{"podNetworkName":"blue"}]'}
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}


def requests(item: dict[str, Any], answer: object) -> dict[str, str]:
    patched = with_patch(item, answer)
    assert pods.final_faults(patched, nobody, placement.hybrid("team", Known())) == ()
    asked = patched["spec"]["containers"][0]["resources"]
    assert asked["requests"] == asked["limits"]
    found: dict[str, str] = asked["requests"]
    return found


@pytest.mark.parametrize("own", [None, {BLUE: "0"}])
def test_the_number_is_ours_to_say(own: dict[str, str] | None) -> None:
    item = pod(own)
    assert requests(item, pods.created(item, nobody, placement.hybrid("team", Known()))) == {BLUE: "1"}


@pytest.mark.parametrize("amount", ["0", "1"])
def test_a_pod_that_asks_for_the_extender_keeps_it(amount: str) -> None:
    item = pod({names.RESOURCE: amount})
    made = pods.created(item, nobody, placement.hybrid("team", Known()))
    assert requests(item, made) == {names.RESOURCE: amount, BLUE: "1"}


def test_affinity_only_beside_the_extender() -> None:
    """What nodes count is nowhere but where the network is; kube-scheduler would check each node twice."""
    decide = placement.hybrid("team", Known())
    counted, asked = pod(), pod()
    asked["metadata"]["annotations"][names.NETWORKS_ANNOTATION] = '[{"podNetworkName":"pool"}]'
    assert "affinity" not in with_patch(counted, pods.created(counted, nobody, decide))["spec"]
    assert "affinity" in with_patch(asked, pods.created(asked, nobody, decide))["spec"]


def test_nobody_gets_past_the_extender() -> None:
    known = Known()
    decide = placement.hybrid("team", known)
    item = pod()
    item["metadata"]["annotations"][names.NETWORKS_ANNOTATION] = '[{"podNetworkName":"pool"}]'
    item = with_patch(item, pods.created(item, nobody, decide))
    item["spec"]["containers"][0]["resources"] = {"requests": {BLUE: "1"}, "limits": {BLUE: "1"}}
    assert pods.final_faults(item, nobody, decide)
    del known.configs["pool-config"]  # another replica may not have seen it yet
    assert not pods.final_faults(item, nobody, decide)


def with_patch(item: dict[str, Any], answer: object) -> dict[str, Any]:
    assert isinstance(answer, Allow)
    made = copy.deepcopy(item)
    for step in answer.patch:
        *path, last = step["path"].removeprefix("/").replace("~1", "~").split("/")
        target: Any = made
        for key in path:
            target = target[int(key) if key.isdecimal() else key]
        target[last.replace("~", "/")] = step["value"]
    return made
