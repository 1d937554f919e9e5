"""podnet-compat --systems before a real API server: Pods of other systems get their lists as they are made, and what
their networks have become follows them.

The webhooks and the rights are those of the overlay compat-systems-npwg, as kustomize renders it; of all the kinds that
it watches a few are installed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from podnet_api import names as api_names
from podnet_compat import names
from podnet_tests import danm_examples, kubevirt_examples, legacy_kinds, npwg_examples, rendered
from podnet_tests.foreign_objects import listed, run
from podnet_tests.foreign_objects import pod as plain
from podnet_tests.genie_examples import pod as genies
from podnet_tests.waiting import eventually, never

from .conftest import CRDS, REGISTRATION, free_port

PODS = "/api/v1/namespaces/default/pods"
NETS = "/apis/danm.io/v1/namespaces/default/danmnets"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions"
MAPS = "/api/v1/namespaces/kube-system/configmaps"
CONFIGS = "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs"
NETWORKS = "/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks"
ATTACHMENTS = "/apis/multinetwork.x-k8s.io/v1alpha1/namespaces/default/podnetworkattachments"
SYSTEMS = "danm,genie,knitter,gke,isovalent", "tungsten,kuryr,antrea,ovn-kubernetes,kube-ovn"
COMPAT = "system:serviceaccount:podnet-system:podnet-compat"
LIST = "multinetwork.x-k8s.io/networks"
STATUS = "k8s.v1.cni.cncf.io/network-status"
SOURCE = api_names.SOURCE_ANNOTATION
NPWG = "k8s.v1.cni.cncf.io/networks"


@pytest.fixture(scope="module")
def live(apiserver: Any, spawn: Any) -> Iterator[Any]:
    """The API server with podnet-compat, its webhooks and a DanmNet."""
    port, objects = free_port(), rendered.overlay("compat-systems-npwg")
    _define(apiserver)
    for item in objects:
        if item["metadata"]["name"].startswith("podnet-compat") and "Role" in item["kind"]:
            namespace = item["metadata"].get("namespace")
            where = f"namespaces/{namespace}/" if namespace in {"kube-system"} else ""
            if where or item["kind"].startswith("Cluster"):
                path = f"/apis/rbac.authorization.k8s.io/v1/{where}{item['kind'].lower()}s"
                assert apiserver.send("POST", path, item).code in {201, 409}
    registered = _register(apiserver, objects, port)
    flags = [f"--systems={names}" for names in SYSTEMS]
    spawn("podnet_compat.main", "--namespace", "default", *flags, port=port, until="serving")
    time.sleep(1)  # the API server learns of the caBundle by a watch
    yield apiserver
    apiserver.send("DELETE", registered)
    for name in ("danm", "plain", "genie", "antrea", "vm"):
        apiserver.send("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
    for collection in (NETS, NADS, ATTACHMENTS):  # the last ones would stay for a minute
        apiserver.send("DELETE", collection)
    eventually(lambda: "" if not _made(apiserver, "Danm") else "what was made is there")
    for collection in (NETWORKS, CONFIGS):
        apiserver.send("DELETE", collection, query={"labelSelector": names.SELECTOR})


def _define(server: Any) -> None:
    crd = legacy_kinds.definition("danm.io", "v1", "DanmNet", "danmnets", legacy_kinds.OPEN)
    assert server.send("POST", CRDS, crd).code == 201
    assert server.send("POST", CRDS, legacy_kinds.NAD).code in {201, 409}
    eventually(lambda: _put(server, _net("n", cidr="10.7.0.0/24")), 20)
    eventually(lambda: "" if server.send("GET", NADS).code == 200 else "NADs are not served", 20)


def _net(name: str, **options: Any) -> dict[str, Any]:
    return danm_examples.network("DanmNet", name, "default", host_device="ens4", **options)


def _put(server: Any, net: dict[str, Any]) -> str:
    """Write ``net``, over what there is; "" when it is done."""
    path = f"{NETS}/{net['metadata']['name']}"
    there = server.send("GET", path)
    version = there.body.get("metadata", {}).get("resourceVersion")
    if version:
        changed = {**net, "metadata": {**net["metadata"], "resourceVersion": version}}
        answer = server.send("PUT", path, changed)
    else:
        answer = server.send("POST", NETS, net)
    return "" if answer.code in {200, 201} else str(answer.message)


def _made(server: Any, source: str) -> list[str]:
    """The PodNetworks and NetworkConfigs that were made from ``source``, or from what begins so."""
    found = [one for path in (NETWORKS, CONFIGS) for one in server.send("GET", path).body["items"]]
    said = [(one["metadata"]["name"], (one["metadata"].get("annotations") or {}).get(SOURCE, "")) for one in found]
    return sorted(name for name, text in said if text.startswith(source))


def _cidr(server: Any, name: str, wanted: str) -> str:
    """Whether NetworkConfig ``name`` gives addresses of ``wanted``."""
    spec = server.send("GET", f"{CONFIGS}/{name}").body.get("spec", {})
    found = spec.get("ipam", {}).get("ranges", [{}])[0].get("cidr", "")
    return "" if found == wanted else f"it is {found!r}"


def _register(server: Any, objects: list[dict[str, Any]], port: int) -> str:
    [wanted] = [
        one
        for one in objects
        if (one["kind"], one["metadata"]["name"]) == ("MutatingWebhookConfiguration", "compat.multinetwork.x-k8s.io")
    ]
    for one in wanted["webhooks"]:
        service = one["clientConfig"].pop("service")
        one["clientConfig"]["url"] = f"https://127.0.0.1:{port}{service['path']}"
    answer = server.send("POST", f"{REGISTRATION}/mutatingwebhookconfigurations", wanted)
    assert answer.code == 201, answer.message
    return f"{REGISTRATION}/mutatingwebhookconfigurations/{wanted['metadata']['name']}"


def _pod(item: dict[str, Any], name: str) -> dict[str, Any]:
    containers = {"containers": [{"name": "c", "image": "i"}]}
    return {**item, "metadata": {**item["metadata"], "name": name, "namespace": "default"}, "spec": containers}


def test_a_pod_of_danm_gets_its_list(live: Any) -> None:
    entries = [{"network": "n", "ip": "dynamic"}, {"network": "n", "ip": "10.7.0.9"}]
    answer = live.send("POST", PODS, _pod(danm_examples.pod(entries, "default"), "danm"))
    assert answer.code == 201, answer.message
    first, second = json.loads(answer.body["metadata"]["annotations"][LIST])
    assert first == {"podNetworkName": "default.n", "interfaceName": "eth0"}
    made = live.send("GET", f"{ATTACHMENTS}/{second['podNetworkAttachmentName']}")
    assert made.body["spec"]["podNetworkName"] == "default.n-2"
    assert live.send("GET", "/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/default.n").code == 200


def test_a_pod_whose_network_is_missing_is_refused(live: Any) -> None:
    answer = live.send("POST", PODS, _pod(danm_examples.pod([{"network": "gone"}], "default"), "gone"))
    assert answer.code == 422
    assert answer.causes[0][0] == "metadata.annotations[danm.io/interfaces][0]"
    assert "the requested network gone of type DanmNet in namespace default does not exist" in answer.message


def test_a_pod_of_nobody_is_not_asked_about(live: Any) -> None:
    answer = live.send("POST", PODS, _pod(genies(), "plain"))
    assert answer.code == 201, answer.message
    assert LIST not in answer.body["metadata"].get("annotations", {})


def test_genies_status_goes_with_the_network_status(live: Any) -> None:
    answer = live.send("POST", PODS, _pod(genies(cni="weave,flannel"), "genie"))
    assert answer.code == 201, answer.message
    assert [n["podNetworkName"] for n in json.loads(answer.body["metadata"]["annotations"][LIST])] == [
        "weave",
        "flannel",
    ]
    rows = [{"interface": "eth0", "ips": ["10.0.0.5"]}, {"interface": "eth1", "ips": ["10.1.0.5"]}]
    told = {"metadata": {"annotations": {STATUS: json.dumps(rows)}}}
    answer = live.send("PATCH", f"{PODS}/genie/status", told)
    assert answer.code == 200, answer.message
    found = json.loads(answer.body["metadata"]["annotations"]["multi-ip-preferences"])
    assert found["ips"]["ip2"] == {"ip": "10.1.0.5", "interface": "eth1"}


def test_a_network_is_made_and_follows_its_edits(live: Any) -> None:
    """Before a Pod names it; addresses are immutable in a NetworkConfig, so without Pods it is replaced."""
    assert _put(live, _net("e", cidr="10.8.0.0/24")) == ""
    eventually(lambda: _cidr(live, "default.e", "10.8.0.0/24"), 20)
    eventually(lambda: "" if _made(live, "DanmNet default/e") == ["default.e"] * 2 else "no PodNetwork", 20)
    uid = live.send("GET", f"{NETWORKS}/default.e").body["metadata"]["uid"]
    assert _put(live, _net("e", cidr="10.8.0.0/24", rt_tables=201)) == ""
    eventually(lambda: "" if _spec(live, "default.e").get("policyRouting") else "not followed", 20)
    assert live.send("GET", f"{NETWORKS}/default.e").body["metadata"]["uid"] == uid, "changed in place"
    assert _put(live, _net("e", cidr="10.9.0.0/24")) == ""
    eventually(lambda: _cidr(live, "default.e", "10.9.0.0/24"), 20)
    eventually(lambda: "" if _made(live, "DanmNet default/e") == ["default.e"] * 2 else "no PodNetwork", 20)
    assert live.send("DELETE", f"{NETS}/e").code == 200
    eventually(lambda: " ".join(_made(live, "DanmNet default/e")), 20)


def test_an_edit_and_a_deletion_wait_for_pods(live: Any) -> None:
    assert _put(live, _net("used", cidr="10.10.0.0/24")) == ""
    answer = live.send("POST", PODS, _pod(danm_examples.pod([{"network": "used", "ip": "dynamic"}], "default"), "user"))
    assert answer.code == 201, answer.message
    assert _put(live, _net("used", cidr="10.11.0.0/24")) == ""
    eventually(lambda: _event(live, "used", "Pods use PodNetwork default.used, which stays as it was"), 20)
    assert _cidr(live, "default.used", "10.10.0.0/24") == ""
    again = live.send("POST", PODS, _pod(danm_examples.pod([{"network": "used", "ip": "dynamic"}], "default"), "later"))
    assert any("cannot follow the edit of DanmNet default/used" in line for line in again.warnings)
    assert live.send("DELETE", f"{NETS}/used").code == 200
    never(lambda: "" if _made(live, "DanmNet default/used") == ["default.used"] * 2 else "it went", 2)
    for name in ("user", "later"):
        live.send("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
    assert _put(live, _net("other", cidr="10.12.0.0/24")) == ""  # any change has everything looked at
    eventually(lambda: " ".join(_made(live, "DanmNet default/used")), 20)
    live.send("DELETE", f"{NETS}/other")


def test_what_cannot_be_translated_says_so(live: Any) -> None:
    assert _put(live, _net("wrong", vlan=5, vxlan=6)) == ""
    eventually(lambda: _event(live, "wrong", "spec.Options.vxlan: Invalid value: 6"), 20)
    answer = live.send("POST", PODS, _pod(danm_examples.pod([{"network": "wrong"}], "default"), "wrong"))
    assert answer.code == 422
    assert "spec.Options.vxlan: Invalid value: 6: VLAN ID and VxLAN ID exclude each other" in answer.message
    live.send("DELETE", f"{NETS}/wrong")


def test_a_pod_on_a_network_of_antrea(live: Any) -> None:
    """It rides on the annotation of Multus: eth1, not net1, and the interface in the agent's bridge."""
    agent = npwg_examples.agent("ens4")
    assert live.send("POST", MAPS, agent).code in {201, 409}
    assert live.send("POST", NADS, _here(npwg_examples.antrea("tagged", vlan=7))).code == 201
    answer = live.send("POST", PODS, _pod(plain({NPWG: "tagged"}, "default"), "antrea"))
    assert answer.code == 201, answer.message
    found = json.loads(answer.body["metadata"]["annotations"][LIST])
    assert [one["interfaceName"] for one in found] == ["eth0", "eth1"]
    assert _spec(live, "default.tagged")["vlan"]["vid"] == 7


def test_the_pod_of_a_machine_comes_with_the_annotation_of_multus(live: Any) -> None:
    """So nothing of KubeVirt is translated live: what virt-controller writes becomes what its machine becomes."""
    bridge = {"type": "bridge", "bridge": "br1"}
    body = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "net1"}}
    assert live.send("POST", NADS, {**body, "spec": {"config": json.dumps(bridge)}}).code == 201
    machine = kubevirt_examples.machine([kubevirt_examples.POD, kubevirt_examples.multus("red", "default/net1")])
    text = json.dumps([{"name": "net1", "namespace": "default", "interface": "podb1f51a511f1"}])
    answer = live.send("POST", PODS, _pod(plain({NPWG: text}, "default"), "vm"))
    assert answer.code == 201, answer.message
    found = json.loads(answer.body["metadata"]["annotations"][LIST])
    assert [f"{one['podNetworkName']}@{one['interfaceName']}" for one in found] == [
        one.removesuffix("!") for one in listed(run(machine))
    ]


def _here(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "metadata": {**item["metadata"], "namespace": "default"}}


def _spec(server: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.send("GET", f"{CONFIGS}/{name}").body.get("spec", {})
    return found


def _event(server: Any, name: str, words: str) -> str:
    """Whether one Event on ``name`` says ``words``."""
    query = {"fieldSelector": f"involvedObject.name={name},reason=NotTranslated"}
    found = server.send("GET", "/api/v1/namespaces/default/events", query=query).body["items"]
    said = [one["message"] for one in found if words in one["message"]]
    return "" if len(said) == 1 else f"the Events of {name} are {[one['message'] for one in found]}"


RIGHTS = [
    *((verb, "danm.io", plural, "", "") for verb in ("get", "list", "watch")
      for plural in ("danmnets", "tenantnetworks", "clusternetworks", "tenantconfigs")),
    ("watch", "networking.gke.io", "networks", "", ""),
    ("watch", "isovalent.com", "isovalentpodnetworks", "", ""),
    ("watch", "k8s.ovn.org", "clusteruserdefinednetworks", "", ""),
    ("watch", "crd.antrea.io", "ippools", "", ""),
    ("watch", "", "namespaces", "", ""),
    ("get", "", "configmaps", "kube-system", "antrea-config"),
    ("get", "", "configmaps", "kube-system", "danm-installer-config"),
]  # fmt: skip


@pytest.mark.parametrize("right", RIGHTS, ids=" ".join)
def test_the_rights_are_there(live: Any, right: tuple[str, ...]) -> None:
    verb, group, resource, namespace, name = right
    asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
    assert _allowed(live, asked)


def test_no_other_configmaps_are_read(live: Any) -> None:
    asked = {"verb": "get", "group": "", "resource": "configmaps", "namespace": "kube-system", "name": "other"}
    assert not _allowed(live, asked)


def _allowed(server: Any, asked: dict[str, str]) -> bool:
    review = {"spec": {"user": COMPAT, "resourceAttributes": asked}}
    answer = server.send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer.body["status"]["allowed"])
