"""A list that cannot be right is refused at once, every fault with its field."""

import json

import pytest
from conformance import kit

REQUIREMENTS = (10,)
A, B = {"podNetworkName": "conformance-a"}, {"podNetworkName": "conformance-b"}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([A, A], "Duplicate value"),
        ([A | {"isDefaultGW4": True}, B | {"isDefaultGW4": True}], "isDefaultGW4"),
        ([A | {"interfaceName": "x"}, B | {"interfaceName": "x"}], "interfaceName"),
        ([A | {"interfaceName": "no/slash"}], "interfaceName"),
        ([A | {"podNetworkAttachmentName": "b"}], "podNetworkAttachmentName"),
        ([{}], "podNetworkName"),
    ],
)
def test_it(place: kit.Place, entries: list[dict[str, object]], words: str) -> None:
    pod = place.get("pod/twice")
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wrong"}, "spec": {"containers": []}}
    container = {key: pod["spec"]["containers"][0][key] for key in ("name", "image")}
    body["spec"] = {"containers": [container]}
    body["metadata"] = {"name": "wrong", "annotations": {kit.NETWORKS: json.dumps(entries)}}
    assert words in place.refused("create", "--filename=-", stdin=json.dumps(body))


def test_not_with_the_networks_of_the_node(place: kit.Place) -> None:
    pod = place.get("pod/twice")
    spec = {"hostNetwork": True, "containers": [{"name": "a", "image": pod["spec"]["containers"][0]["image"]}]}
    meta = {"name": "wrong", "annotations": {kit.NETWORKS: json.dumps([A])}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    assert "hostNetwork" in place.refused("create", "--filename=-", stdin=json.dumps(body))
