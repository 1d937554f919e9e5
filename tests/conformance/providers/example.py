"""An example of another provider: networks are Wires, an API of its own that podnet has never heard of.

`python providers/example.py` watches PodNetworks of provider example.com/wires and says of each whether its
parameters are in order: exactly one reference to a Wire that exists and whose colour is known. That is all that a
provider owes the API; how it attaches Pods is its own affair. It knows nothing of podnet but the names of the API.
"""

from __future__ import annotations

import datetime
import time
from typing import Any

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

GROUP, VERSION = "multinetwork.x-k8s.io", "v1alpha1"
PROVIDER = "example.com/wires"
WIRES = ("example.com", "v1", "wires")
COLOURS = {"red", "green", "blue"}
CRD = {
    "metadata": {"name": "wires.example.com"},
    "spec": {
        "group": WIRES[0],
        "names": {"kind": "Wire", "plural": WIRES[2], "singular": "wire", "listKind": "WireList"},
        "scope": "Cluster",
        "versions": [
            {
                "name": WIRES[1],
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"colour": {"type": "string", "maxLength": 63}}}
                        },
                    }
                },
            }
        ],
    },
}


def verdict(api: client.CustomObjectsApi, network: dict[str, Any]) -> tuple[bool, str, str]:
    """Whether the parameters of a network are in order, a reason and a sentence."""
    refs = network["spec"].get("parametersRefs", [])
    if [(ref["group"], ref["kind"]) for ref in refs] != [("example.com", "Wire")]:
        return False, "WireNotReferenced", "spec.parametersRefs must be one Wire of example.com"
    try:
        wire = api.get_cluster_custom_object(*WIRES, refs[0]["name"])
    except ApiException as error:
        return False, "WireNotFound", f"cannot get Wire {refs[0]['name']}: {error.reason}"
    colour = wire.get("spec", {}).get("colour")
    return (True, "WireIsFine", f"the wire is {colour}") if colour in COLOURS else (False, "WireIsOdd", f"{colour!r}")


def report(api: client.CustomObjectsApi, network: dict[str, Any]) -> None:
    """Write ParamsReady where it is not what stands there; conditions of others stay."""
    fine, reason, message = verdict(api, network)
    conditions: list[dict[str, Any]] = network.get("status", {}).get("conditions", [])
    old: dict[str, Any] = next((one for one in conditions if one["type"] == "ParamsReady"), {})
    if (old.get("status"), old.get("reason")) == (str(fine), reason):
        return
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    mine = {"type": "ParamsReady", "status": str(fine), "reason": reason, "message": message, "lastTransitionTime": now}
    network["status"] = {"conditions": [*(one for one in conditions if one["type"] != "ParamsReady"), mine]}
    try:
        api.replace_cluster_custom_object_status(GROUP, VERSION, "podnetworks", network["metadata"]["name"], network)
    except ApiException as error:
        if error.status != 409:  # somebody else changed it: the watch brings it again
            raise


def ensure_crd() -> None:
    """The kind that is this provider's own."""
    try:
        client.ApiextensionsV1Api().create_custom_resource_definition(
            {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **CRD}
        )
    except ApiException as error:
        if error.status != 409:
            raise


def main() -> None:
    """Watch until killed."""
    config.load_kube_config()
    ensure_crd()
    api = client.CustomObjectsApi()
    while True:
        for event in watch.Watch().stream(
            api.list_cluster_custom_object, GROUP, VERSION, "podnetworks", timeout_seconds=2
        ):
            network = event["object"]
            if event["type"] != "DELETED" and network["spec"]["provider"] == PROVIDER:
                report(api, network)
        time.sleep(0.1)  # a Wire may have come meanwhile: the next watch lists everything again


if __name__ == "__main__":
    main()
