"""A Pod reaches the Kubernetes API over another network than the default one."""

from conformance import kit

REQUIREMENTS = (20,)
CALL = "$(command -v nc || command -v nc.openbsd) -z -w 3 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"


def test_it(place: kit.Place) -> None:
    [pod] = place.running("caller")
    interface = kit.attached(pod)[f"outward-{place.namespace}"]["interface"]
    routes = [line.split() for line in place.inside("caller", "cat", "/proc/net/route").splitlines()[1:]]
    assert [route[0] for route in routes if route[1] == "00000000"] == [interface], "the way out is the other network"
    kit.eventually(lambda: _answers(place), 20)


def _answers(place: kit.Place) -> bool:
    """Whether the API's Service takes a connection."""
    return bool(place.inside("caller", "sh", "-c", f"{CALL} && echo yes"))
