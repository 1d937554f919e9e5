"""Objects of DANM with every field of the format: for tests, for the walk, and as seeds of the fuzz."""

from __future__ import annotations

import copy
import json
from typing import Any

from podnet_tests.fieldwalk import Example

Object = dict[str, Any]


def network(kind: str, name: str, namespace: str = "", spec: Object | None = None, **options: Any) -> Object:
    """A network object."""
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "danm.io/v1",
        "kind": kind,
        "metadata": meta,
        "spec": {"NetworkID": "nid", **(spec or {}), "Options": options},
    }


def pod(annotation: Any, namespace: str, key: str = "danm.io/interfaces", labels: Object | None = None) -> Object:
    """A Pod with the annotation, written as text or as JSON."""
    text = annotation if isinstance(annotation, str) else json.dumps(annotation)
    meta = {"name": "p", "namespace": namespace, "annotations": {key: text}, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "c"}]}}


def tenant_config(devices: list[Object], **ids: str) -> Object:
    """A TenantConfig."""
    meta = {"name": "tc"}
    return {
        "apiVersion": "danm.io/v1",
        "kind": "TenantConfig",
        "metadata": meta,
        "hostDevices": devices,
        "networkIds": ids,
    }


SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "s",
        "namespace": "a",
        "annotations": {"danm.io/selector": '{"app":"front"}', "danm.io/network": "n"},
    },
    "spec": {"clusterIP": "None", "ports": [{"name": "diameter", "port": 3868, "protocol": "TCP"}]},
}


def service(**networks: str) -> Object:
    """A Service with other keys: ``__`` in one stands for the slash behind the group, ``_`` for its dots."""
    keys = {f"{group.replace('_', '.')}/{word}": text for key, text in networks.items()
            for group, _, word in (key.partition("__"),)}  # fmt: skip
    made = copy.deepcopy(SERVICE)
    made["metadata"]["annotations"] = keys
    made["spec"]["ports"][0] |= {"targetPort": 3900, "appProtocol": "diameter"}
    made["spec"] |= {"type": "ClusterIP", "clusterIP": "10.96.0.9"}
    return made


_FRONT = '{"app":"front"}'
_SERVICES = [
    service(danm_io__selector=_FRONT, danm_io__tenantNetwork="t"),
    service(danm_io__selector=_FRONT, danm_io__clusterNetwork="c"),
    service(danm_k8s_io__selector=_FRONT, danm_k8s_io__network="n"),
    service(danm_k8s_io__selector=_FRONT, danm_k8s_io__tenantNetwork="t"),
    service(danm_k8s_io__selector=_FRONT, danm_k8s_io__clusterNetwork="c"),
]
_SERVED = [
    network("DanmNet", "n", "a", host_device="ens4", cidr="10.0.0.0/24"),
    network("TenantNetwork", "t", "a", host_device="ens5", cidr="10.3.0.0/24"),
    network("ClusterNetwork", "c", host_device="ens6", cidr="10.4.0.0/24"),
    pod([{"network": "n", "ip": "10.0.0.9"}, {"tenantNetwork": "t", "ip": "10.3.0.9"},
         {"clusterNetwork": "c", "ip": "10.4.0.9"}], "a", labels={"app": "front"}),
]  # fmt: skip
_OPTIONS = {
    "host_device": "ens4",
    "cidr": "10.1.0.0/24",
    "allocation_pool": {"start": "10.1.0.10", "end": "10.1.0.200", "lastIp": "10.1.0.11"},
    "net6": "fd00::/64",
    "allocation_pool_v6": {"cidr": "fd00::/106", "start": "fd00::10", "end": "fd00::99", "lastIp": "fd00::11"},
    "container_prefix": "ext",
    "rt_tables": 201,
    "routes": {"10.20.0.0/24": "10.1.0.1", "0.0.0.0/0": "10.1.0.2"},
    "routes6": {"fd01::/64": "fd00::1"},
    "vlan": 50,
    "alloc": "gAAA",
    "alloc6": "gAAB",
}
_VXLAN = {key: value for key, value in _OPTIONS.items() if key != "vlan"} | {"vxlan": 70}
_SRIOV = {key: value for key, value in _OPTIONS.items() if key != "host_device"} | {"device_pool": "x.io/vf"}
_FIELDS = frozenset(f"spec.Options.{key}" for key in (*_OPTIONS, "vxlan", "device_pool")) | {
    "spec.NetworkID",
    "spec.NetworkType",
    "spec.AllowedTenants",
    *(f"spec.Options.allocation_pool.{key}" for key in ("start", "end", "lastIp")),
    *(f"spec.Options.allocation_pool_v6.{key}" for key in ("cidr", "start", "end", "lastIp")),
}
"""Field names of DanmNetSpec and DanmNetOption."""


def _network(kind: str, name: str, type_: str, options: Object, namespace: str = "a") -> Object:
    made = network(kind, name, namespace, {"NetworkType": type_, "NetworkID": "nid"}, **options)
    if kind == "ClusterNetwork":
        made["spec"]["AllowedTenants"] = ["a", "b"]
    return made


_PODS = [
    pod([{"network": "m"}, {key: "n", "ip": "dynamic"}], "a") for key in ("clusterNetwork", "network", "tenantNetwork")
]
_M = network("DanmNet", "m", "a", host_device="ens7")
_STATIC = {**_OPTIONS, "routes": {"10.20.0.0/24": "10.1.0.1"}}
_ENTRIES = [
    {"network": "m", "ip": "10.2.0.9", "ip6": "fd02::9"},
    {
        "network": "n",
        "ip": "10.1.0.9",
        "ip6": "fd00::9",
        "proutes": {"10.30.0.0/16": "10.1.0.3"},
        "proutes6": {"fd30::/64": "fd00::3"},
    },
    {"tenantNetwork": "t", "ip": "dynamic"},
    {"clusterNetwork": "c", "ip6": "none"},
]
_AROUND = [
    network("DanmNet", "m", "a", host_device="ens7", cidr="10.2.0.0/24", net6="fd02::/64"),
    _network("DanmNet", "n", "ipvlan", _OPTIONS),
    network("TenantNetwork", "t", "a", host_device="ens5", cidr="10.3.0.0/24"),
    network("ClusterNetwork", "c", host_device="ens6"),
]
_RELEASED = [{**item, "apiVersion": "danm.k8s.io/v1"} for item in _AROUND]
_DEVICES = [
    {"name": "ens4", "alloc": "gAAA", "vniType": "vlan", "vniRange": "2000-2500,2601"},
    {"name": "ens5"},
]
EXAMPLES = [
    Example("ClusterNetwork", [_network("ClusterNetwork", "n", "macvlan", _OPTIONS, ""), _PODS[0], _M],
            more=[_network("ClusterNetwork", "n", "macvlan", _VXLAN, ""),
                  _network("ClusterNetwork", "n", "sriov", _SRIOV, ""),
                  _network("ClusterNetwork", "n", "flannel", _STATIC, "")],
            refused=[(("spec", "Options", "device_pool"), "x/y"), (("spec", "more"), "x"),
                     (("spec", "Options", "more"), "x")], fields=_FIELDS),
    Example("DanmNet", [_network("DanmNet", "n", "macvlan", _OPTIONS), _PODS[1], _M],
            more=[_network("DanmNet", "n", "macvlan", _VXLAN), _network("DanmNet", "n", "sriov", _SRIOV),
                  _network("DanmNet", "n", "flannel", _STATIC)],
            refused=[(("spec", "AllowedTenants", 0), "a")], fields=_FIELDS),
    Example("TenantNetwork", [_network("TenantNetwork", "n", "macvlan", _OPTIONS), _PODS[2], _M],
            more=[_network("TenantNetwork", "n", "macvlan", _VXLAN), _network("TenantNetwork", "n", "sriov", _SRIOV),
                  _network("TenantNetwork", "n", "flannel", _STATIC)],
            refused=[(("spec", "AllowedTenants", 0), "a")], fields=_FIELDS),
    Example("TenantConfig", [tenant_config(_DEVICES, flannel="f1", weave="w1"),
                             network("TenantNetwork", "t", "a", host_device="ens5"),
                             network("TenantNetwork", "u", "a", {"NetworkType": "flannel"})],
            refused=[(("hostDevices", 0, "more"), "x")],
            fields=frozenset({"hostDevices[].name", "hostDevices[].vniType", "hostDevices[].vniRange",
                              "hostDevices[].alloc", "networkIds.flannel"})),
    Example("interfaces", [pod(_ENTRIES, "a"), *_AROUND], texts=["danm.io/interfaces"],
            refused=[(("metadata", "annotations", "danm.io/interfaces", 0, "more"), "x")]),
    Example("interfaces of the released versions", [pod(_ENTRIES, "a", "danm.k8s.io/interfaces"), *_RELEASED],
            texts=["danm.k8s.io/interfaces"],
            refused=[(("metadata", "annotations", "danm.k8s.io/interfaces", 0, "more"), "x")]),
    Example("interfaces of a static network", [
        pod([{"network": "n", "ip": "10.1.0.9", "ip6": "dynamic", "proutes": {"10.30.0.0/16": "10.1.0.3"}}], "a"),
        _network("DanmNet", "n", "flannel", _STATIC)], texts=["danm.io/interfaces"]),
    Example("Service", [SERVICE, *_SERVED], more=_SERVICES, texts=["danm.io/selector", "danm.k8s.io/selector"],
            refused=[(("spec", "selector", "app"), "x")],
            marks=[("metadata", "labels"), ("spec", "type")]),  # the Service stays, with its type
    Example("DanmEp", [{"apiVersion": "danm.io/v1", "kind": "DanmEp", "metadata": {"name": "e", "namespace": "a"},
                        "spec": {"NetworkName": "n", "Interface": {"Name": "eth0", "Address": "10.0.0.9/24"}}}]),
]  # fmt: skip
