"""A network that is used stays until its last user is gone."""

from conformance import kit

REQUIREMENTS = (4,)


def test_it(place: kit.Place) -> None:
    what = f"podnetwork/conformance-held-{place.namespace}"
    kit.eventually(lambda: kit.condition(place.cluster.get(what), "InUse")["status"] == "True")
    place.cluster.kubectl("delete", what, "--wait=false")
    kit.eventually(lambda: place.cluster.get(what)["metadata"].get("deletionTimestamp"))
    place.kubectl("delete", "podnetworkattachment", "holder")
    kit.eventually(lambda: not place.cluster.kubectl("get", what, "--ignore-not-found"))
