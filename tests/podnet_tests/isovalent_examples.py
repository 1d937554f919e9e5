"""Objects of Isovalent Enterprise with every field of their formats."""

from __future__ import annotations

from typing import Any

from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import DECIDED, Object, item, pod

KEY = "network.v1alpha1.isovalent.com/pod-networks"


def network(name: str, pool: str = "pool", mode: str = "multi-pool", **spec: Any) -> Object:
    """An IsovalentPodNetwork."""
    annotations = spec.pop("annotations", {})
    given = {"ipam": {"mode": mode, "pool": {"name": pool}}, **spec}
    return item("isovalent.com/v1alpha1", "IsovalentPodNetwork", name, given, annotations=annotations)


def pool(name: str = "pool", **spec: Any) -> Object:
    """A CiliumPodIPPool."""
    given = spec or {"ipv4": {"cidrs": ["192.168.16.0/20"], "maskSize": 27}}
    return item("cilium.io/v2alpha1", "CiliumPodIPPool", name, given)


ROUTE = {"destination": "192.168.0.0/16", "gateway": "192.168.0.1"}
JUPITER = network("jupiter", routes=[ROUTE])
POOL = pool(
    ipv4={"cidrs": ["192.168.16.0/20"], "maskSize": 27},
    ipv6={"cidrs": [{"cidr": "fd00:10::/112"}], "maskSize": 120},
    podSelector={"matchLabels": {"app": "x"}},
    namespaceSelector={"matchLabels": {"team": "x"}},
)
PODS = pod({KEY: "default,jupiter"})
EXAMPLES = (
    Example("isovalent network", [JUPITER, POOL],
            more=[network("jupiter", routes=[ROUTE], annotations={DECIDED: "by-hand"}), network("default")],
            refused=[(("spec", "ipam", "novel"), 1), (("spec", "novel"), 1)],
            fields=frozenset(["spec.ipam.mode", "spec.ipam.pool.name", "spec.routes[].destination",
                              "spec.routes[].gateway"])),
    Example("isovalent pool", [POOL, JUPITER],
            fields=frozenset(["spec.ipv4.cidrs", "spec.ipv4.maskSize", "spec.ipv6.cidrs", "spec.ipv6.maskSize",
                              "spec.podSelector", "spec.namespaceSelector"])),
    Example("isovalent pod", [PODS, JUPITER, POOL], fields=frozenset([f"metadata.annotations[{KEY}]"])),
)  # fmt: skip
