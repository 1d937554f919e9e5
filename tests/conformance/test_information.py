"""A process finds its networks in a file and in variables from its first instruction on."""

import json

from conformance import kit

REQUIREMENTS = (17,)


def test_it(place: kit.Place) -> None:
    [pod] = place.running("informed")
    told = json.loads(place.inside("informed", "cat", "/etc/podnet/networks.json"))
    address = kit.attached(pod)["conformance-a"]["addresses"][0]
    assert [(one["network"], one["addresses"][0]) for one in told] == [("conformance-a", address)]
    assert address.partition("/")[0] in place.inside("informed", "env")
