"""What compat makes of NetworkAttachmentDefinitions and Pods, before the rules of a real API server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_api import core
from podnet_api.kube import manifest
from podnet_api.meta import ObjectMeta
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
