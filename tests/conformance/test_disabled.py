"""A disabled network is not Ready for one reason, and is Ready again when it is enabled."""

import json

from conformance import kit

REQUIREMENTS = (2, 3)


def test_it(place: kit.Place) -> None:
    what = f"podnetwork/conformance-off-{place.namespace}"

    def state() -> tuple[str, str]:
        found = kit.condition(place.cluster.get(what), "Ready")
        return found["status"], found["reason"]

    kit.eventually(lambda: state() == ("False", "AdministrativelyDisabled"))
    place.cluster.kubectl("patch", what, "--type=merge", "--patch", json.dumps({"spec": {"enabled": True}}))
    kit.eventually(lambda: state()[0] == "True")
    refused = place.refused("patch", what, "--type=merge", "--patch", '{"spec":{"provider":"example.com/other"}}')
    assert "immutable" in refused
