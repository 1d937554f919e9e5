"""Services of DANM: without spec.selector, with ``danm.io/selector`` and the network of the Pods' addresses. Pure.

DANM writes Endpoints of the addresses that the selected Pods have on that network. podnet writes none for networks
other than the default. What stands in the manifests can be said: where every selected Pod has fixed addresses there,
an EndpointSlice holds them. Else the Service is refused, with the way to find the addresses. Once translated the Pods
have no annotation any more: the EndpointSlice that is there then says what they had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from podnet_api import names as api_names
from podnet_api.errors import InvalidError
from podnet_api.faults import FaultType

from podnet_compat import jsontext, names
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import base, workloads
from podnet_compat.systems.base import Made, Objects, Source
from podnet_compat.systems.danm import keys, pods

_NETWORKS = {
    "network": keys.DANM_NET,
    "tenantNetwork": keys.TENANT_NETWORK,
    "clusterNetwork": keys.CLUSTER_NETWORK,
}
_UNREADY = "service.alpha.kubernetes.io/tolerate-unready-endpoints"
_SELECTOR = "selector"


def is_one(origin: Source, _: Objects) -> bool:
    """Whether a Service is one of DANM."""
    return any(key in origin.annotations for key in _all_keys())


def _all_keys() -> list[str]:
    return [f"{group}/{word}" for group in keys.GROUPS for word in (_SELECTOR, *_NETWORKS)]


def translate(origin: Source, objects: Objects) -> Made:
    """EndpointSlices for the Service. Raises InvalidError with every fault."""
    notes = Notes()
    selector, wanted = _selector(origin, notes), _networks(origin, notes)
    spec = origin.part("spec", notes)
    ports = [_port(item) for item in spec.children("ports")]
    if spec.mapping("selector"):
        notes.fault("spec.selector", "a Service of DANM has none: Kubernetes would add the Pods' default addresses")
    if spec.string("type") == "ExternalName":
        notes.warn("spec.type", "an ExternalName has no endpoints: the Service stays as it is")
        base.check(origin, notes)
        return Made(warnings=tuple(notes.warnings))
    if spec.string("clusterIP") != "None":
        notes.warn("spec.clusterIP", "is not None: kube-proxy would send to addresses that the node may not reach")
    there = _there(origin, objects)
    found = _fixed(origin, selector, wanted, objects, notes, bool(there)) if not notes.faults else {}
    made = _slices(origin, ports, found)
    _check_earlier(origin, made, there, notes)
    if origin.annotations.get(_UNREADY) != "true":
        notes.warn("metadata.annotations", f"without {_UNREADY} DANM leaves out Pods that are not ready; these stay")
    base.check(origin, notes)
    return Made(warnings=tuple(notes.warnings), manifests=() if there else made)


def _there(origin: Source, objects: Objects) -> list[Source]:
    """The EndpointSlices of an earlier translation."""
    listed = [one for one in objects.all("discovery.k8s.io", "EndpointSlice") if one.namespace == origin.namespace]
    wanted = _labels(origin).items()
    return [one for one in listed if wanted <= dict(one.labels).items()]


def _check_earlier(origin: Source, made: tuple[Mapping[str, Any], ...], there: list[Source], notes: Notes) -> None:
    """What is there must say what is known now: of Pods that were translated before, nothing is."""
    if there and not made:
        named = ", ".join(one.name for one in there)
        notes.warn("metadata.annotations", f"EndpointSlice {named} of an earlier translation holds the endpoints")
    known = {(one.name, json.dumps(one.body.get("endpoints"), sort_keys=True)) for one in there}
    for one in made if there else ():
        name = one["metadata"]["name"]
        if (name, json.dumps(one["endpoints"], sort_keys=True)) not in known:
            message = f"EndpointSlice {name} of an earlier translation has other endpoints: add those by hand"
            notes.fault("metadata.annotations", message)


def _selector(origin: Source, notes: Notes) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in _present(origin, _SELECTOR):
        path, text = f"metadata.annotations[{key}]", origin.annotations[key]
        try:
            value = jsontext.load(text or "{}")
        except jsontext.BrokenJsonError as error:
            notes.fault(path, str(error))
            continue
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            notes.fault(path, "must be a JSON object of labels", text)
            continue
        found |= value
    if not found and not notes.faults:
        notes.fault(f"metadata.annotations[{keys.GROUPS[0]}/{_SELECTOR}]", "selects no Pods", type_=FaultType.REQUIRED)
    return found


def _networks(origin: Source, notes: Notes) -> set[tuple[str, str]]:
    """Kind and name of the networks; with several, DANM takes addresses of any of them."""
    found = {
        (kind, origin.annotations[key])
        for word, kind in _NETWORKS.items()
        for key in _present(origin, word)
        if origin.annotations[key]
    }
    if not found:
        path = f"metadata.annotations[{keys.GROUPS[0]}/network]"
        notes.fault(path, "names no network: one of network, tenantNetwork, clusterNetwork", type_=FaultType.REQUIRED)
    return found


def _present(origin: Source, word: str) -> list[str]:
    return [key for group in keys.GROUPS if (key := f"{group}/{word}") in origin.annotations]


def _port(item: Reader) -> dict[str, Any]:
    """An endpoint's port: DANM takes ``port``, not targetPort."""
    given = {"name": item.string("name"), "protocol": item.string("protocol"), "port": item.integer("port", 1, 65535)}
    if item.has("targetPort"):
        item.notes.warn(item.at("targetPort"), "has no effect: DANM sends to port")
    item.accept("targetPort")
    given["appProtocol"] = item.string("appProtocol")
    item.finish(refuse=False)
    return {key: value for key, value in given.items() if value}


def _fixed(
    origin: Source,
    selector: Mapping[str, str],
    wanted: set[tuple[str, str]],
    objects: Objects,
    notes: Notes,
    before: bool,
) -> dict[str, list[str]]:
    """The fixed addresses of the selected Pods, by Pod. ``before``: Pods that were translated before have none here."""
    found: dict[str, list[str]] = {}
    path = f"metadata.annotations[{_present(origin, _SELECTOR)[0]}]"
    for pod in _selected(origin, selector, objects):
        for entry in pods.read(pod, Notes()):
            if (entry.kind, entry.name) not in wanted:
                continue
            given = [text.partition("/")[0] for key in ("ip", "ip6") if (text := entry.reader.string(key))]
            if pod.kind != "Pod" or {"dynamic", "none"} & set(given) or not given:
                when = f"{pod.subject} gets its address on {entry.name} only when it starts"
                _without(path, when, objects, notes)
                continue
            found.setdefault(pod.name, []).extend(given)
    if not found and not before and not any(path in one for one in (*map(str, notes.faults), *notes.warnings)):
        message = f"no Pod among these objects has fixed addresses on {', '.join(sorted(name for _, name in wanted))}"
        _without(path, message, objects, notes)
    return found


_HOW = (
    "podnet writes no endpoints of networks other than the default; write EndpointSlices from the annotation "
    f"{api_names.STATUS_ANNOTATION} of the Pods"
)


def _without(path: str, why: str, objects: Objects, notes: Notes) -> None:
    """The Service stays as it is, without endpoints, if whoever translates takes care of them."""
    if objects.settings.get(keys.MANUAL_SERVICES) == "manual":
        notes.warn(path, f"{why}: {_HOW}")
    else:
        notes.unsupported(path, message=f"{why}: {_HOW}, and translate with --set {keys.MANUAL_SERVICES}=manual")


def _selected(origin: Source, selector: Mapping[str, str], objects: Objects) -> list[Source]:
    found = []
    for group, kind in workloads.TEMPLATES:
        for item in objects.all(group, kind):
            pod = _readable(item)
            if pod and pod.namespace == origin.namespace and selector.items() <= dict(pod.labels).items():
                found.append(pod)
    return found


def _readable(item: Source) -> Source | None:
    """The Pod in ``item``; one that is broken is refused where it stands."""
    try:
        return workloads.pod(item.body, item.namespace)
    except InvalidError:
        return None


def _slices(origin: Source, ports: list[dict[str, Any]], found: Mapping[str, list[str]]) -> tuple[dict[str, Any], ...]:
    made = []
    for kind, mark in (("IPv4", "."), ("IPv6", ":")):
        endpoints = [
            _endpoint(origin, pod, address) for pod in sorted(found) for address in found[pod] if mark in address
        ]
        if endpoints:
            made.append(_slice(origin, kind, ports, endpoints))
    return tuple(made)


def _endpoint(origin: Source, pod: str, address: str) -> dict[str, Any]:
    """``ready`` is as if the Service tolerated unready Pods: nobody follows their readiness."""
    target = {"kind": "Pod", "namespace": origin.namespace, "name": pod}
    return {"addresses": [address], "conditions": {"ready": True}, "targetRef": target}


def _slice(origin: Source, kind: str, ports: list[dict[str, Any]], endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    meta = {"name": f"{origin.name}-{kind.lower()}", "namespace": origin.namespace, "labels": _labels(origin)}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": kind,
        "ports": ports,
        "endpoints": endpoints,
    }


def _labels(origin: Source) -> dict[str, str]:
    return {"kubernetes.io/service-name": origin.name, "endpointslice.kubernetes.io/managed-by": names.COMPAT}
