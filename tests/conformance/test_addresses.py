"""A running Pod gets and loses addresses of a network that it stays on."""

import json

from conformance import kit

REQUIREMENTS = (25,)


def test_it(place: kit.Place) -> None:
    [pod] = place.running("addressed")
    assert kit.attached(pod)["conformance-a"]["addresses"] == ["10.231.201.1/16"]
    entries = [{key: v for key, v in one.items() if key != "podNetworkAttachmentName"} for one in kit.listed(pod)]
    entries[1]["podNetworkAttachmentName"] = "second"
    place.kubectl("annotate", "pod", "addressed", f"{kit.NETWORKS}={json.dumps(entries)}", "--overwrite")

    def now() -> bool:
        entry = kit.attached(place.get("pod/addressed"))["conformance-a"]
        return bool(entry["addresses"] == ["10.231.201.2/16"])

    kit.eventually(now, 30)
