"""Objects for tests, as users write them: JSON with the least that is needed."""

import json
from typing import Any

from podnet_api import names
from podnet_hack import image

Object = dict[str, Any]


def network(name: str, config: str = "", **spec: Any) -> Object:
    """A PodNetwork of our provider, with a NetworkConfig of the same name unless told otherwise."""
    ref = {"group": names.KNI_GROUP, "kind": "NetworkConfig", "name": config or name}
    return _object(names.API_VERSION, "PodNetwork", name, {"provider": names.PROVIDER, "parametersRefs": [ref]} | spec)


def config(name: str, **spec: Any) -> Object:
    """A NetworkConfig; ``on``: the nodes that carry the network."""
    nodes = spec.pop("on", None)
    if nodes is not None:
        wanted = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
        spec["nodeSelector"] = {"matchExpressions": [wanted]}
    return _object(names.KNI_API_VERSION, "NetworkConfig", name, spec)


def attachment(name: str, to: str, **spec: Any) -> list[Object]:
    """A PodNetworkAttachment to a network, and its AttachmentConfig."""
    ref = {"group": names.KNI_GROUP, "kind": "AttachmentConfig", "name": name}
    body = {"podNetworkName": to, "parametersRefs": [ref]}
    return [
        _object(names.KNI_API_VERSION, "AttachmentConfig", name, spec),
        _object(names.API_VERSION, "PodNetworkAttachment", name, body),
    ]


def pool(*cidrs: str, **more: Any) -> Object:
    """An ipam of whole subnets."""
    return {"ranges": [{"cidr": cidr} for cidr in cidrs]} | more


def pod(name: str, *networks: str | Object, **spec: Any) -> Object:
    """A Pod that asks for networks: names of PodNetworks, or whole entries."""
    annotations = {names.NETWORKS_ANNOTATION: listed(*networks)} if networks else {}
    container = {"name": "app", "image": image.TEST}
    made = _object("v1", "Pod", name, {"terminationGracePeriodSeconds": 1, "containers": [container]} | spec)
    made["metadata"]["annotations"] = annotations
    return made


def deployment(name: str, replicas: int, *networks: str | Object, **spec: Any) -> Object:
    """A Deployment of such Pods."""
    template = pod(name, *networks, **spec)
    template["metadata"]["labels"] = {"app": name}
    del template["metadata"]["name"], template["apiVersion"], template["kind"]
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return _object("apps/v1", "Deployment", name, body)


def listed(*networks: str | Object) -> str:
    """The text of the annotation."""
    return json.dumps([{"podNetworkName": one} if isinstance(one, str) else one for one in networks])


def on_node(node: str) -> Object:
    """Part of a Pod's spec that has it placed on a node by the scheduler."""
    return {"nodeSelector": {"kubernetes.io/hostname": node}}


def _object(version: str, kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
