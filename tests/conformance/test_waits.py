"""A Pod whose network is missing, or disabled, or not ready waits, and says why."""

from conformance import kit

REQUIREMENTS = (10, 18)


def test_it(place: kit.Place) -> None:
    missing = f"conformance-none-{place.namespace}"

    def says() -> bool:
        pod = place.get("pod/lost")
        told = " ".join(one.get("message", "") for one in pod["status"].get("conditions", ()))
        return missing in told and pod["status"]["phase"] == "Pending"

    kit.eventually(says)
    assert "containerStatuses" not in place.get("pod/lost")["status"]
