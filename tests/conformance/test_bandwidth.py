"""An attachment narrows what one Pod sends; everything else about the two Pods is equal."""

from conformance import kit

STORIES = (10,)
BYTES = 50_000
"""Many times what the narrow attachment lets through at once and keeps waiting; a moment's work without a limit."""


def test_it(place: kit.Place) -> None:
    _, _, other = place.running("narrow", "wide", "other")
    address = kit.attached(other)["conformance-a"]["addresses"][0].partition("/")[0]
    kit.eventually(lambda: place.reaches("narrow", address) and place.reaches("wide", address), 20)
    assert answered(place, "wide", address) > 0
    assert answered(place, "narrow", address) == 0
    assert place.reaches("narrow", address), "what is within the limit goes on passing"


def answered(place: kit.Place, pod: str, address: str) -> int:
    """How many of four large pings were answered."""
    try:
        said = place.inside(pod, "ping", "-c", "4", "-s", str(BYTES), "-W", "2", address)
    except kit.KubectlError:  # ping's way to say that none was
        return 0
    return said.count("time=")
