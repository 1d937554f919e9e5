"""A Pod has the networks that it lists, each once, under the names that it gives them, and no others."""

from conformance import kit

REQUIREMENTS = (10, 11)
STORIES = (1, 7)


def test_it(place: kit.Place) -> None:
    two, only = place.running("two", "only-default")
    assert set(kit.attached(two)) == {"conformance-a", "conformance-b"}
    assert kit.attached(two)["conformance-b"]["interface"] == "wire"
    assert kit.attached(two)["conformance-a"]["interface"] == "net1"
    assert kit.attached(only) == {}
    assert [entry["podNetworkName"] for entry in kit.listed(only)] == ["default"]
    assert "wire" in place.inside("two", "cat", "/proc/net/dev")
    assert "net1" not in place.inside("only-default", "cat", "/proc/net/dev")
