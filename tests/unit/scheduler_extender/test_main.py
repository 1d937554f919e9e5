"""The command line, a start that fails, and the gauges."""

from __future__ import annotations

import re
import sys

import pytest
from podnet_api.kube import Client, Credentials
from podnet_scheduler_extender import main
from podnet_scheduler_extender.fake import Cluster
from podnet_scheduler_extender.watches import Watches


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:10261", ("127.0.0.1", 10261)), ("[::1]:80", ("::1", 80)), (":9000", ("", 9000))],
)
def test_listen(text: str, address: tuple[str, int]) -> None:
    assert main.arguments(["--listen", text]).listen == address


@pytest.mark.parametrize(
    "argv",
    [
        ["--listen", "nonsense"],
        ["--listen", "a:b"],
        ["--listen", "a:99999"],
        ["--claim-ttl", "0"],
        ["--claim-ttl", "soon"],
        ["--log-level", "loud"],
        ["--score-weights", "luck=1"],
        ["--score-weights", "spread=much"],
        ["--score-weights", "spread=0"],
        ["--score-weights", "spread=-1,pack=2"],
        ["--score-weights", "spread=nan"],
    ],
)
def test_bad_flags_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.arguments(argv)
    assert caught.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_defaults() -> None:
    args = main.arguments([])
    assert (args.listen, args.claim_ttl, args.kubeconfig) == (("127.0.0.1", 10261), 30.0, None)
    assert main.arguments(["-v", "4", "--claim-ttl", "10s"]).claim_ttl == 10


def test_a_kubeconfig_that_is_not_there_ends_the_program_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["podnet-scheduler-extender", "--kubeconfig", "/nonexistent"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert str(caught.value.code).startswith("cannot read kubeconfig /nonexistent")


def test_the_page_says_what_is_known_and_how_fresh_it_is() -> None:
    cluster = Cluster()
    watches = Watches(Client(Credentials("http://127.0.0.1:1", None), "test"), cluster.state)
    main.gauges(cluster.extender, watches)
    cluster.config("blue")
    cluster.network("blue")
    cluster.node("a", "blue")
    cluster.filter("flies", ["blue"], ["a"])
    cluster.filter("waits", ["nowhere"], ["a"])
    page = cluster.extender.metrics.page().decode()
    shown = dict(re.findall(r"^podnet_extender_(\w+) ([0-9.]+)$", page, re.MULTILINE))
    assert (shown["claims"], shown["waiting_pods"], shown["ready"]) == ("1.0", "1.0", "0.0")
    assert 0 <= float(shown["cache_age_seconds"]) < 60
