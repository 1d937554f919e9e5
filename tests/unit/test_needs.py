"""Nothing is skipped in silence."""

import pytest
from podnet_tests import needs


@pytest.mark.parametrize("reason", ["", "unconditional skip"])
def test_a_skip_without_reason_is_a_fault_everywhere(reason: str) -> None:
    assert needs.skip_fault(reason, ci=False)
    assert needs.skip_fault(reason, ci=True)


@pytest.mark.parametrize("reason", ["needs root", "needs the program nft", "there is no Go here"])
def test_what_root_could_have_run_must_run_in_ci(reason: str) -> None:
    assert needs.skip_fault(reason, ci=False) == ""
    assert "CI=true" in needs.skip_fault(reason, ci=True)


def test_what_the_kernel_lacks_is_excused() -> None:
    assert needs.skip_fault("kernel lacks vlan", ci=True) == ""


def test_an_unknown_need_is_an_error() -> None:
    with pytest.raises(KeyError):
        needs.missing("luck")
