"""A running Pod gets and loses networks by an edit of its list."""

import json

from conformance import kit

REQUIREMENTS = (24,)
STORIES = (8,)


def test_it(place: kit.Place) -> None:
    [pod] = place.running("plugged")
    before = kit.listed(pod)
    more = [*before, {"podNetworkName": "conformance-b", "interfaceName": "late"}]
    _edit(place, more)
    kit.eventually(lambda: set(kit.attached(place.get("pod/plugged"))) == {"conformance-a", "conformance-b"}, 30)
    assert "late" in place.inside("plugged", "cat", "/proc/net/dev")
    _edit(place, before)
    kit.eventually(lambda: set(kit.attached(place.get("pod/plugged"))) == {"conformance-a"}, 30)
    assert "late" not in place.inside("plugged", "cat", "/proc/net/dev")
    assert place.get("pod/plugged")["metadata"]["uid"] == pod["metadata"]["uid"]


def _edit(place: kit.Place, entries: list[kit.Object]) -> None:
    place.kubectl("annotate", "pod", "plugged", f"{kit.NETWORKS}={json.dumps(entries)}", "--overwrite")
