"""e) What was written for Multus runs as it is."""

import json

from podnet_api import names

from podnet_hack.demo.stage import Stage


def show(on: Stage) -> None:
    """A NetworkAttachmentDefinition and a Pod with the Multus annotation."""
    on.tell.heading("e) Manifests written for Multus, unchanged")
    on.tell.say(
        "A NetworkAttachmentDefinition, and a Pod that names it in k8s.v1.cni.cncf.io/networks. Multus is absent."
    )
    on.kubectl("apply -f examples/multus.yaml")
    on.tell.holds("the Pod starts", on.runs("samplepod"))
    on.kubectl("exec samplepod -- ip -brief address")
    on.kubectl("get pod samplepod -o jsonpath='{.metadata.annotations.k8s\\.v1\\.cni\\.cncf\\.io/network-status}'")
    on.tell.holds("its network-status is there, as tools know it", lambda: _status(on), seconds=10)
    on.tell.run(f"kubectl get podnetworks -l {names.GENERATED_BY_LABEL}")


def _status(on: Stage) -> str:
    annotations = on.world.get("pod", "samplepod")["metadata"]["annotations"]
    entries = json.loads(annotations.get(names.NPWG_STATUS_ANNOTATION, "[]"))
    found = [entry for entry in entries if entry.get("name") == "demo/macvlan-conf" and entry.get("ips")]
    good = found and found[0]["interface"] == "net1" and found[0]["ips"][0].startswith("192.168.1.")
    return "" if good else f"it is {json.dumps(entries)}"
