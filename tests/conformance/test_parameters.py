"""An attachment carries parameters of its own, in objects that are the implementation's."""

from conformance import kit

REQUIREMENTS = (12,)


def test_it(place: kit.Place) -> None:
    [pod] = place.running("own")
    entry = kit.attached(pod)["conformance-a"]
    assert entry["addresses"] == ["10.231.200.7/16"]
    assert entry["mac"] == "02:00:00:00:77:07"
