"""A Pod that uses no network is left as its user wrote it."""

from conformance import kit

REQUIREMENTS = (1,)


def test_it(place: kit.Place) -> None:
    [pod] = place.running("plain")
    assert not any("multinetwork" in key for key in pod["metadata"].get("annotations", {}))
    assert not pod["spec"].get("affinity")
    assert pod["spec"]["containers"][0]["resources"] == {}
    assert not any("multinetwork" in one["type"] for one in pod["status"]["conditions"])
