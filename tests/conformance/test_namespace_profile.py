"""A Namespace gives its Pods networks, and no manifest changes."""

import json

from conformance import kit

REQUIREMENTS = (23,)
STORIES = (6,)


def test_it(place: kit.Place) -> None:
    image = place.cluster.image
    container = {"name": "app", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "86400"]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "unaware"}, "spec": {"containers": [container]}}
    inner = kit.Place(place.cluster, f"{place.namespace}-profile")
    kit.eventually(lambda: inner.kubectl("get", "serviceaccount", "default", "--ignore-not-found"))
    inner.kubectl("create", "--filename=-", stdin=json.dumps(body))
    [pod] = inner.running("unaware")
    assert [entry["podNetworkName"] for entry in kit.listed(pod)] == ["default", "conformance-b"]
    assert set(kit.attached(pod)) == {"conformance-b"}
    inner.kubectl("delete", "pod", "unaware", "--grace-period=0", "--force")
