"""Pods of one network reach each other over it across nodes, and Pods of another network do not reach them."""

from conformance import kit

REQUIREMENTS = (13, 14, 15)
STORIES = (1, 3, 4, 5)


def test_it(place: kit.Place) -> None:
    one, two, other = place.running("one", "two", "other")
    address = kit.attached(two)["conformance-a"]["addresses"][0]
    kit.eventually(lambda: place.reaches("one", address), 20)
    away = kit.attached(other)["conformance-b"]["addresses"][0]
    assert not place.reaches("one", away), "networks are apart"
    assert one["status"]["podIP"], "the default network is untouched"
