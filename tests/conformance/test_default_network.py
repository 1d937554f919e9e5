"""The network default is always there: deleted, it comes back at once and is never left terminating."""

from conformance import kit

REQUIREMENTS = (8, 9)


def test_it(place: kit.Place) -> None:
    former = place.cluster.get("podnetwork/default")["metadata"]["uid"]
    place.cluster.kubectl("delete", "podnetwork", "default", "--wait=false")

    def anew() -> bool:
        meta = place.cluster.get("podnetwork/default")["metadata"]
        return meta["uid"] != former and "deletionTimestamp" not in meta

    kit.eventually(anew, 20)
