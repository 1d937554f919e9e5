"""RBAC says who may use a network: without the verb use there is no Pod on it."""

import json

from conformance import kit

REQUIREMENTS = (16,)
BINDING = "clusterrolebinding/podnet-use-everyone"


def test_it(place: kit.Place) -> None:
    open_to_all = place.cluster.get(BINDING)
    pod = place.get("pod/allowed")
    container = {key: pod["spec"]["containers"][0][key] for key in ("name", "image")}
    meta = {"name": "mine", "annotations": {kit.NETWORKS: json.dumps([{"podNetworkName": "conformance-a"}])}}
    body = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}})
    place.kubectl("create", "rolebinding", "tenant", "--clusterrole=edit", "--user=conformance-tenant")
    create = ("create", "--filename=-", "--dry-run=server", "--as=conformance-tenant")
    kit.eventually(lambda: place.kubectl(*create, stdin=body), 20)
    place.cluster.kubectl("delete", BINDING)
    try:
        told = kit.eventually(lambda: _refusal(place, create, body), 30)
        assert "may use PodNetwork conformance-a" in told
    finally:
        keep = {key: open_to_all[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
        keep["metadata"] = {"name": open_to_all["metadata"]["name"]}
        place.cluster.kubectl("create", "--filename=-", stdin=json.dumps(keep))
    kit.eventually(lambda: place.kubectl(*create, stdin=body), 20)


def _refusal(place: kit.Place, create: tuple[str, ...], body: str) -> str:
    """A yes is remembered for ten seconds."""
    try:
        place.kubectl(*create, stdin=body)
    except kit.KubectlError as error:
        return str(error)
    return ""
