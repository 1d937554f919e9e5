"""Nothing is skipped in silence."""

import pytest
from podnet_hack.vm import runner
from podnet_tests import needs


@pytest.mark.parametrize("reason", ["", "unconditional skip"])
def test_a_skip_without_reason_is_a_fault_everywhere(reason: str) -> None:
    assert needs.skip_fault(reason, ci=False)
    assert needs.skip_fault(reason, ci=True)


@pytest.mark.parametrize("reason", ["needs root", "needs the program nft", "there is no Go here"])
def test_what_root_could_have_run_must_run_in_ci(reason: str) -> None:
    assert needs.skip_fault(reason, ci=False) == ""
    assert "CI=true" in needs.skip_fault(reason, ci=True)


@pytest.mark.parametrize("reason", ["kernel lacks vlan", needs.ONLY_VM])
def test_what_the_kernel_lacks_is_excused_but_not_in_the_vm(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert needs.skip_fault(reason, ci=True) == ""
    monkeypatch.setenv(runner.INSIDE, "1")
    assert needs.skip_fault(reason, ci=False) == "the VM has everything"


def test_the_vm_runs_what_the_kernel_lacks_and_nothing_else() -> None:
    assert needs.is_left_to_vm("kernel lacks vlan")
    assert needs.is_left_to_vm(needs.missing("vm"))
    assert not needs.is_left_to_vm("needs root")
    assert not needs.is_left_to_vm("")


def test_an_unknown_need_is_an_error() -> None:
    with pytest.raises(KeyError):
        needs.missing("luck")
